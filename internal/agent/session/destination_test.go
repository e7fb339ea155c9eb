package session

import (
	"errors"
	"net/netip"
	"testing"
)

func TestDeniedAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.0.0.1": true, "192.0.2.7": true, "2001:db8::1": true, "fd00:1::1": true,
		"169.254.169.254": false, "169.254.170.2": false, "::ffff:169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false,
		"fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false, "0.0.0.0": false, "::": false, "::ffff:0.0.0.0": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "64:ff9b::169.254.169.254": false, "2002:a9fe:a9fe::1": false,
	} {
		if got := allowed(netip.MustParseAddr(text)); got != want {
			t.Errorf("allowed(%s) = %v", text, got)
		}
	}
}

// Names are checked by what they resolve to, in any form of writing.
func TestDestination(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "::ffff:a9fe:a9fe", "0.0.0.0"} {
		d, err := newDestination(host, "80")
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := d.dial(t.Context()); !errors.Is(err, errDenied) {
			t.Errorf("%s: %v, %v", host, conn, err)
		}
	}
	for _, port := range []string{"", "0", "-1", "65536", "ssh", "22 "} {
		if _, err := newDestination("", port); err == nil {
			t.Errorf("port %q accepted", port)
		}
	}
}
