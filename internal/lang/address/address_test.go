package address_test

import (
	"net/netip"
	"testing"

	"github.com/watchbill/watchbill/internal/lang/address"
)

func TestDenied(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.0.2.7": false, "2001:db8::1": false, "fd00:1::1": false,
		"64:ff9b::10.0.0.1": false, "::10.0.0.1": false,
		"169.254.169.254": true, "169.254.170.2": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true,
		"0.0.0.0": true, "::": true, "::ffff:0.0.0.0": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true,
		"64:ff9b::169.254.169.254": true, "64:ff9b::168.63.129.16": true, "64:ff9b:1::169.254.169.254": true,
		"::ffff:0:169.254.169.254": true, "::169.254.169.254": true, "2002:a9fe:a9fe::1": true,
	} {
		if got := address.Denied(netip.MustParseAddr(text)); got != want {
			t.Errorf("Denied(%s) = %v", text, got)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"169.254.169.254": "169.254.169.254", "0xa9fea9fe": "169.254.169.254", "2852039166": "169.254.169.254",
		"0251.0376.0251.0376": "169.254.169.254", "169.254.43518": "169.254.169.254", "169.16689662": "169.254.169.254",
		"::ffff:a9fe:a9fe": "169.254.169.254", "64:ff9b::a9fe:a9fe": "169.254.169.254", "fe80::1%eth0": "fe80::1", "::1": "::1",
		"db1": "", "1.2.3.4.5": "", "256.1.1.1": "", "1_0.0.0.1": "", "0b1.0.0.1": "", "0o1.0.0.1": "", "+1.0.0.1": "", "": "",
	} {
		got, ok := address.Parse(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("Parse(%q) = %v, %v", text, got, ok)
		}
	}
}
