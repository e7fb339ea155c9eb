package session

import (
	"errors"
	"testing"
)

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
