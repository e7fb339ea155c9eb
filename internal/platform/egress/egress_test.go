package egress_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/platform/egress"
)

func TestCheck(t *testing.T) {
	private := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Deny: []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("8.8.8.8/32")}}
	tests := []struct {
		policy  egress.Policy
		address string
		ok      bool
	}{
		{egress.Policy{}, "93.184.216.34", true},
		{egress.Policy{}, "2606:2800:220:1::1", true},
		{egress.Policy{}, "127.0.0.1", false},
		{egress.Policy{}, "::1", false},
		{egress.Policy{}, "::ffff:127.0.0.1", false},
		{egress.Policy{}, "10.0.0.1", false},
		{egress.Policy{}, "192.168.1.1", false},
		{egress.Policy{}, "169.254.169.254", false},
		{egress.Policy{}, "fe80::1%eth0", false},
		{egress.Policy{}, "fd00:ec2::254", false},
		{egress.Policy{}, "100.64.0.1", false},
		{egress.Policy{}, "0.0.0.0", false},
		{egress.Policy{}, "224.0.0.1", false},
		{egress.Policy{}, "255.255.255.255", false},
		{egress.Policy{}, "64:ff9b::7f00:1", false},
		{private, "10.1.1.1", true},
		{private, "10.1.2.1", false},
		{private, "10.2.1.1", false},
		{private, "8.8.8.8", false},
		{egress.Policy{Allow: egress.Loopback()}, "127.0.0.1", true},
	}
	for _, tt := range tests {
		err := tt.policy.Check(netip.MustParseAddr(tt.address))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, egress.ErrRefused) {
			t.Errorf("%s: %v", tt.address, err)
		}
	}
}

func TestClientChecksTheResolvedAddress(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("http://10.0.0.1/", http.StatusFound))
	defer srv.Close()
	if _, err := (egress.Policy{}).Client(time.Second).Get(srv.URL); !errors.Is(err, egress.ErrRefused) {
		t.Fatalf("loopback was dialed: %v", err)
	}
	resp, err := egress.Policy{Allow: egress.Loopback()}.Client(time.Second).Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Fatalf("a redirect was followed: %d", resp.StatusCode)
	}
}
