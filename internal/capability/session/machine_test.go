package session

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

const (
	connecting   = ssm.SessionStatusConnecting
	connected    = ssm.SessionStatusConnected
	disconnected = ssm.SessionStatusDisconnected
	terminating  = ssm.SessionStatusTerminating
	terminated   = ssm.SessionStatusTerminated
	failed       = ssm.SessionStatusFailed
)

func TestNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events []event
		want   ssm.SessionStatus
	}{
		"begins":                      {nil, connecting},
		"node first":                  {[]event{nodeCame, clientCame}, connected},
		"client first":                {[]event{clientCame, nodeCame}, connected},
		"one end only":                {[]event{clientCame}, connecting},
		"client left":                 {[]event{nodeCame, clientCame, clientLeft}, disconnected},
		"client back":                 {[]event{nodeCame, clientCame, clientLeft, clientCame}, connected},
		"node left and back":          {[]event{nodeCame, clientCame, nodeLeft, nodeCame}, connected},
		"both left, one back":         {[]event{nodeCame, clientCame, nodeLeft, clientLeft, nodeCame}, disconnected},
		"ends":                        {[]event{nodeCame, clientCame, nodeEnded}, terminated},
		"ends again":                  {[]event{nodeCame, clientCame, nodeEnded, nodeFailed, stop}, terminated},
		"fails before it began":       {[]event{nodeFailed}, failed},
		"fails after it began":        {[]event{nodeCame, clientCame, nodeFailed}, terminated},
		"the node is silent":          {[]event{clientCame, silent}, failed},
		"stopped":                     {[]event{nodeCame, clientCame, stop}, terminating},
		"stopped, the node confirms":  {[]event{stop, nodeEnded}, terminated},
		"stopped, nobody confirms":    {[]event{stop, closeOver}, terminated},
		"stopped, sockets come":       {[]event{stop, nodeCame, clientCame}, terminating},
		"a late confirmation":         {[]event{nodeCame, clientCame, closeOver}, connected},
		"silence of one that had run": {[]event{nodeCame, clientCame, nodeLeft, silent}, terminating},
	} {
		s := state{Status: connecting}
		for _, e := range c.events {
			s = next(s, e)
		}
		if s.Status != c.want {
			t.Errorf("%s: %s, want %s", name, s.Status, c.want)
		}
	}
}

// TestNothingComesBack: whatever happens, an ended session stays as it ended, and
// an ending one only ends.
func TestNothingComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := state{Status: connecting}
		for _, e := range rapid.SliceOf(rapid.IntRange(int(nodeCame), int(closeOver))).Draw(t, "events") {
			n := next(s, event(e))
			switch {
			case final(s.Status) && n != s:
				t.Fatalf("%v became %v", s, n)
			case s.Status == terminating && !closing(n.Status):
				t.Fatalf("%v became %v", s, n)
			case n.Status == connected && !(n.Node && n.Client):
				t.Fatalf("%v is connected", n)
			}
			s = n
		}
	})
}
