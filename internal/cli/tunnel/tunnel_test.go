package tunnel

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestParseForward(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Forward{
		"80:db:5432":            {"127.0.0.1:80", "db", 5432},
		"0:localhost:22":        {"127.0.0.1:0", "localhost", 22},
		"0.0.0.0:80:db:5432":    {"0.0.0.0:80", "db", 5432},
		"[::1]:80:[fd00::1]:22": {"[::1]:80", "fd00::1", 22},
		"80:[fd00::1]:22":       {"127.0.0.1:80", "fd00::1", 22},
	} {
		if got, err := ParseForward(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "80", "80:db", "x:db:1", "80:db:0", "80:db:70000", "70000:db:1", "80::1", "a:b:c:d:e", "[::1:80:db:1"} {
		if got, err := ParseForward(in); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

type pair struct {
	io.Reader
	io.Writer
}

func TestReadSocks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in   string
		host string
		port int
	}{
		{"\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50", "10.0.0.1", 80},
		{"\x05\x02\x02\x00\x05\x01\x00\x03\x02db\x15\x38", "db", 5432},
		{"\x05\x01\x00\x05\x01\x00\x04" + strings.Repeat("\x00", 15) + "\x01\x00\x16", "::1", 22},
		{"\x04\x01\x00\x50", "", 0},                     // version 4
		{"\x05\x01\x02", "", 0},                         // passwords only
		{"\x05\x01\x00\x05\x02\x00\x01", "", 0},         // BIND
		{"\x05\x01\x00\x05\x01\x00\x09", "", 0},         // kind of address
		{"\x05\x01\x00\x05\x01\x00\x03\x00\x00", "", 0}, // no name
		{"\x05\x01\x00\x05\x01\x00\x03\x20d", "", 0},    // cut
		{"\x05\xff\x00", "", 0},
		{"", "", 0},
	}
	for _, c := range cases {
		host, port, err := readSocks(pair{strings.NewReader(c.in), &bytes.Buffer{}})
		if host != c.host || port != c.port || (err == nil) != (c.host != "") {
			t.Errorf("%q: %s %d %v", c.in, host, port, err)
		}
	}
}

func FuzzReadSocks(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x03\x02db\x15\x38"))
	f.Fuzz(func(t *testing.T, in []byte) {
		host, port, err := readSocks(pair{bytes.NewReader(in), io.Discard})
		if err == nil && (host == "" || port < 0 || port > 65535) {
			t.Errorf("%q %d", host, port)
		}
	})
}
