package session

import "testing"

func TestHostsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"169.254.169.254", "169.254.170.2", "169.254.1.1", "2852039166", "0xa9fea9fe", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518", "169.16689662",
		"0xa9.0xfe.0xa9.0xfe", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "[::ffff:169.254.169.254]", "::169.254.169.254", "64:ff9b::169.254.169.254",
		"2002:a9fe:a9fe::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd00:ec2::253", "100.100.100.200", "192.0.0.192", "168.63.129.16",
		"metadata.google.internal", "METADATA.google.internal.", "instance-data", "0.0.0.0", "0", "::", "224.0.0.1", "ff02::1", "169.254.169.254.",
	} {
		if CheckHost(host, 80, nil) == nil {
			t.Errorf("%q is allowed", host)
		}
	}
}

func TestHostsThatAreAllowed(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"", "localhost", "127.0.0.1", "::1", "10.0.0.5", "192.168.1.1", "db.internal", "db.internal.", "8.8.8.8", "2001:db8::1", "1.2.3.4.5", "08.1.1.1",
		"169.253.1.1", "fd00:ec3::1", "metadata.example.com",
	} {
		if err := CheckHost(host, 80, nil); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed, host string
		port          int
		want          bool
	}{
		{"db.internal", "db.internal", 5432, true},
		{"db.internal", "DB.internal.", 5432, true},
		{"db.internal:5432", "db.internal", 5432, true},
		{"db.internal:5432", "db.internal", 22, false},
		{"*.internal", "db.internal", 1, true},
		{"*.internal", "db.external", 1, false},
		{"*", "10.0.0.1", 1, false}, // a name is not an address
		{"10.0.0.0/8", "10.1.2.3", 1, true},
		{"10.0.0.0/8:443", "10.1.2.3", 443, true},
		{"10.0.0.0/8:443", "10.1.2.3", 80, false},
		{"10.0.0.0/8", "0x0a.1.2.3", 1, true},
		{"10.0.0.0/8", "11.1.2.3", 1, false},
		{"10.0.0.5", "10.0.0.5", 1, true},
		{"2001:db8::/32", "2001:db8::9", 1, true},
		{"[2001:db8::9]:443", "2001:db8::9", 443, true},
		{"[2001:db8::9]:443", "2001:db8::9", 80, false},
		{"localhost", "", 80, true},
		{"db.internal", "", 80, false},
		{"169.254.169.254", "169.254.169.254", 80, true}, // the document says so
		{"[", "db.internal", 80, false},
	} {
		if got := CheckHost(c.host, c.port, []string{c.allowed}) == nil; got != c.want {
			t.Errorf("%s to %q:%d: %t", c.allowed, c.host, c.port, got)
		}
	}
}
