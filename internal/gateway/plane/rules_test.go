package plane

import (
	"encoding/json"
	"testing"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

func TestRules(t *testing.T) {
	t.Parallel()
	const (
		tunnel = `{"properties":{"portNumber":"1","type":"Tunnel"}}`
		files  = `{"properties":{"linux":{"commands":"watchbill:files"}}}`
		logs   = `{"properties":{"linux":{"commands":"watchbill:files read /var/log /srv"}}}`
		drop   = `{"properties":{"linux":{"commands":"watchbill:files write /srv/in"}}}`
		run    = `{"properties":{"linux":{"commands":"{{ command }}"}}}`
	)
	port := session.Session{Kind: session.Port, Host: "db", Port: 5432}
	type open = plane.Open
	cases := []struct {
		name string
		s    session.Session
		doc  string
		o    open
		want bool
	}{
		{"shell", session.Session{Kind: session.StandardStream}, `{}`, open{Kind: plane.Shell}, true},
		{"commands in a terminal", session.Session{Kind: session.InteractiveCommands}, `{}`, open{Kind: plane.Shell}, true},
		{"exec in a shell", session.Session{Kind: session.StandardStream}, `{}`, open{Kind: plane.Exec}, false},
		{"connection in a shell", session.Session{Kind: session.StandardStream}, `{}`, open{Kind: plane.TCP, Host: "db", Port: 1}, false},
		{"file in a shell", session.Session{Kind: session.StandardStream}, `{}`, open{Kind: plane.Get, Path: "/etc/passwd"}, false},
		{"exec", session.Session{Kind: session.NonInteractiveCommands}, run, open{Kind: plane.Exec}, true},
		{"shell for a command", session.Session{Kind: session.NonInteractiveCommands}, run, open{Kind: plane.Shell}, false},
		{"file for a command", session.Session{Kind: session.NonInteractiveCommands}, run, open{Kind: plane.Put, Path: "/x"}, false},
		{"exec for files", session.Session{Kind: session.NonInteractiveCommands}, files, open{Kind: plane.Exec}, false},
		{"file", session.Session{Kind: session.NonInteractiveCommands}, files, open{Kind: plane.Put, Path: "/x"}, true},
		{"read below", session.Session{Kind: session.NonInteractiveCommands}, logs, open{Kind: plane.Get, Path: "/var/log/a"}, true},
		{"list it", session.Session{Kind: session.NonInteractiveCommands}, logs, open{Kind: plane.List, Path: "/srv/"}, true},
		{"read beside", session.Session{Kind: session.NonInteractiveCommands}, logs, open{Kind: plane.Get, Path: "/var/logs/a"}, false},
		{"read above", session.Session{Kind: session.NonInteractiveCommands}, logs, open{Kind: plane.Get, Path: "/var/log/../../etc/shadow"}, false},
		{"read of the home", session.Session{Kind: session.NonInteractiveCommands}, logs, open{Kind: plane.Get, Path: "var/log/a"}, false},
		{"write where one reads", session.Session{Kind: session.NonInteractiveCommands}, logs, open{Kind: plane.Put, Path: "/var/log/a"}, false},
		{"write", session.Session{Kind: session.NonInteractiveCommands}, drop, open{Kind: plane.Put, Path: "/srv/in/a"}, true},
		{"read where one writes", session.Session{Kind: session.NonInteractiveCommands}, drop, open{Kind: plane.Get, Path: "/srv/in/a"}, false},
		{"its port", port, `{"properties":{"portNumber":"5432","host":"db"}}`, open{Kind: plane.TCP, Host: "db", Port: 5432}, true},
		{"what the document says", port, `{}`, open{Kind: plane.TCP}, true},
		{"another port", port, `{}`, open{Kind: plane.TCP, Host: "db", Port: 22}, false},
		{"another host", port, `{}`, open{Kind: plane.TCP, Host: "db2", Port: 5432}, false},
		{"shell at a port", port, `{}`, open{Kind: plane.Shell}, false},
		{"tunnel", port, tunnel, open{Kind: plane.TCP, Host: "elsewhere", Port: 80}, true},
		{"tunnel nowhere", port, tunnel, open{Kind: plane.TCP}, false},
		{"tunnel to a port of none", port, tunnel, open{Kind: plane.TCP, Host: "x", Port: 70000}, false},
		{"unknown", port, tunnel, open{Kind: "udp", Host: "x", Port: 70}, false},
	}
	// The forms of the metadata address that resolvers take, T19.
	for _, host := range []string{
		"169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.16689662", "[::ffff:169.254.169.254]",
		"::ffff:a9fe:a9fe", "fe80::1", "fd00:ec2::254", "metadata.google.internal", "METADATA.GOOGLE.INTERNAL.", "100.100.100.200", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
	} {
		cases = append(cases, struct {
			name string
			s    session.Session
			doc  string
			o    open
			want bool
		}{"tunnel to " + host, port, tunnel, open{Kind: plane.TCP, Host: host, Port: 80}, false})
	}
	for _, c := range cases {
		c.s.Document = json.RawMessage(c.doc)
		r, err := rulesOf(&c.s)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.allow(c.o); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	s := &session.Session{Kind: session.Port, Port: 1, AllowedHosts: []string{"*.db.example:5432", "10.0.0.0/8"}, Document: json.RawMessage(`{"properties":{"type":"Tunnel"}}`)}
	r, err := rulesOf(s)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"a.db.example": true, "db.example": false, "10.1.2.3": true, "11.1.2.3": false, "localhost": false} {
		if err := r.allow(plane.Open{Kind: plane.TCP, Host: host, Port: 5432}); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}
