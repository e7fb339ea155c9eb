package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// play is a machine and a clock. What it does is told in short words.
type play struct {
	t   *testing.T
	m   *Machine
	now time.Time
}

func newPlay(t *testing.T, resumed, locked bool) *play {
	return &play{t, NewMachine("s-1", "mi-1", resumed, locked), time.Unix(1000, 0)}
}

// do gives the effects of events.
func (p *play) do(events ...Event) (out []string) {
	p.t.Helper()
	for _, e := range events {
		for _, x := range p.m.Next(e, p.now) {
			out = append(out, p.tell(x))
		}
	}
	return out
}

func (p *play) tell(e Effect) string {
	switch x := e.(type) {
	case Send:
		m, err := mgs.Unmarshal(x.Raw)
		if err != nil {
			p.t.Fatal(err)
		}
		return fmt.Sprintf("%s<%s", x.Side, short(p.t, m))
	case Deliver:
		s := fmt.Sprintf("deliver %s %q", x.Side, x.Payload)
		if x.Late {
			s += " late"
		}
		return s
	case Ping:
		return fmt.Sprintf("ping %d", x.Number)
	case Wake:
		return "wake"
	case Finish:
		return "finish " + x.Side.String()
	case Drop:
		return "drop " + x.Side.String()
	case State:
		return "state " + x.State
	}
	return "?"
}

// short names a frame.
func short(t *testing.T, m *mgs.Message) string {
	switch m.Type {
	case mgs.TypeAcknowledge:
		var a mgs.Acknowledge
		if err := mgs.Decode(m.Payload, &a); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("ack %d", a.SequenceNumber)
	case mgs.TypeChannelClosed:
		var c mgs.ChannelClosed
		if err := mgs.Decode(m.Payload, &c); err != nil {
			t.Fatal(err)
		}
		return "closed " + c.Output
	case mgs.TypePausePublication:
		return "pause"
	case mgs.TypeStartPublication:
		return "start"
	}
	return fmt.Sprintf("%d %s", m.Sequence, m.Payload)
}

func frame(side Side, m *mgs.Message) Frame {
	raw, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return Frame{side, m, raw}
}

func out(n int64, text string) Frame {
	return frame(Node, mgs.NewStreamData(mgs.TypeOutputStreamData, n, mgs.PayloadOutput, []byte(text)))
}

func in(n int64, text string) Frame {
	return frame(Client, mgs.NewStreamData(mgs.TypeInputStreamData, n, mgs.PayloadOutput, []byte(text)))
}

func ackOf(f Frame) Frame {
	a, err := mgs.NewAcknowledge(f.Message)
	if err != nil {
		panic(err)
	}
	return frame(f.Side.other(), a)
}

func (p *play) want(got []string, want ...string) {
	p.t.Helper()
	if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
		p.t.Fatalf("effects (-want +got):\n%s", d)
	}
}

func both(t *testing.T) *play {
	p := newPlay(t, false, false)
	p.want(p.do(Opened{Node}, Opened{Client}))
	return p
}

func TestForwardsAndRemembersAcknowledgements(t *testing.T) {
	p := both(t)
	f := out(0, "$ ")
	p.want(p.do(f), `deliver node "$ "`, "client<0 $ ")
	p.want(p.do(ackOf(f)), "node<ack 0")
	p.want(p.do(f, f), "node<ack 0", "node<ack 0") // never forwarded again
	f = in(0, "ls")
	p.want(p.do(f), `deliver client "ls"`, "node<0 ls")
	p.want(p.do(f), "node<0 ls") // not acknowledged: it may be lost
	p.want(p.do(ackOf(f), f), "client<ack 0", "client<ack 0")
}

func TestHoldsWhatFollowsTheHandshake(t *testing.T) {
	p := both(t)
	complete := frame(Node, mgs.NewStreamData(mgs.TypeOutputStreamData, 0, mgs.PayloadHandshakeComplete, []byte("{}")))
	p.want(p.do(complete), `deliver node "{}"`, "client<0 {}", "wake")
	p.want(p.do(out(1, "a"), out(2, "b")), `deliver node "a"`, `deliver node "b"`)
	p.now = p.now.Add(Fence - time.Millisecond)
	p.want(p.do(Tick{}))
	p.now = p.now.Add(time.Millisecond)
	p.want(p.do(Tick{}), "client<1 a", "client<2 b")
	p.want(p.do(out(3, "c")), `deliver node "c"`, "client<3 c")
}

func TestEndsBehindTheFence(t *testing.T) {
	p := both(t)
	complete := frame(Node, mgs.NewStreamData(mgs.TypeOutputStreamData, 0, mgs.PayloadHandshakeComplete, []byte("{}")))
	p.do(complete, out(1, "a"))
	p.want(p.do(End{"over"}), "node<closed over", "finish node")
	p.now = p.now.Add(Fence)
	p.want(p.do(Tick{}), "client<1 a", "client<closed over", "finish client")
}

func TestStateIsForTheHubOnly(t *testing.T) {
	p := both(t)
	m, err := mgs.NewSessionState(mgs.SessionConnected, "s-1")
	if err != nil {
		t.Fatal(err)
	}
	p.want(p.do(frame(Node, m)), "state Connected")
	p.want(p.do(frame(Client, m)))
	m, err = mgs.NewSessionState(mgs.SessionConnected, "s-2")
	if err != nil {
		t.Fatal(err)
	}
	p.want(p.do(frame(Node, m)), "drop node")
}

func TestReplaysTheEnd(t *testing.T) {
	p := newPlay(t, false, false)
	p.want(p.do(End{"bad parameters"}))
	p.want(p.do(Opened{Client}), "client<closed bad parameters", "finish client")
	p.want(p.do(Closed{Client}, Opened{Client}), "client<closed bad parameters", "finish client")
	p.want(p.do(out(0, "x"), in(0, "y")))
}

func TestPausesWhileTheClientIsAway(t *testing.T) {
	p := both(t)
	f := out(0, "a")
	p.do(f)
	p.want(p.do(Closed{Client}), "node<pause")
	p.want(p.do(out(1, "b")), `deliver node "b"`)
	p.want(p.do(Opened{Client}), "client<0 a", "client<1 b", "node<start")
	p.want(p.do(Closed{Client}, Closed{Node}), "node<pause")
	p.want(p.do(Opened{Node}), "node<pause")
	p.want(p.do(Closed{Node}, Opened{Client}), "client<0 a", "client<1 b")
	p.want(p.do(Opened{Node}), "node<start")
}

func TestSendsAgainOnANewSocket(t *testing.T) {
	p := both(t)
	a, b := in(0, "a"), in(1, "b")
	p.do(a, b, ackOf(a), Closed{Node})
	p.want(p.do(in(2, "c")), `deliver client "c"`)
	p.want(p.do(Opened{Node}), "node<1 b", "node<2 c")
}

func TestProvesWhatTheClientHad(t *testing.T) {
	p := both(t)
	a, b := out(0, "a"), out(1, "b")
	p.do(in(0, "x"), a, ackOf(a), b, Closed{Client}) // the acknowledgement of b is lost
	p.want(p.do(Opened{Client}), "client<1 b", "ping 1", "node<start")
	p.want(p.do(Pong{7}))
	p.want(p.do(Pong{1}), "node<ack 1")
	p.want(p.do(b), "node<ack 1")
}

func TestDoesNotProveBeforeTheClientTakesOutput(t *testing.T) {
	p := both(t)
	p.do(out(0, "a"), Closed{Client})
	p.want(p.do(Opened{Client}), "client<0 a", "node<start")
}

// TestProvesNothingOfAClientThatStarts: the client acknowledges the first
// output before it takes more. What it refuses then must reach it later.
func TestProvesNothingOfAClientThatStarts(t *testing.T) {
	p := both(t)
	a, b := out(0, "a"), out(1, "b")
	p.do(a, ackOf(a), b)
	p.want(p.do(b, Pong{1}), "client<1 b")
	p.want(p.do(Closed{Client}, Opened{Client}, b, Pong{1}), "node<pause", "client<1 b", "node<start", "client<1 b")
	p.do(in(0, "typed")) // the client takes output from now on, but b was sent before
	p.want(p.do(Pong{1}))
	p.want(p.do(b), "client<1 b", "ping 1")
	p.want(p.do(ackOf(b), Pong{1}), "node<ack 1")
}

// TestKeepsTheOrderForAClientThatStarts: it would lose what comes early.
func TestKeepsTheOrderForAClientThatStarts(t *testing.T) {
	p := both(t)
	p.want(p.do(out(1, "b")))
	p.want(p.do(out(0, "a")), `deliver node "a"`, `deliver node "b"`, "client<0 a")
	p.want(p.do(out(1, "b")), "client<1 b")
}

func TestDeliversInOrderAndOnce(t *testing.T) {
	p := both(t)
	p.do(in(0, "x"))
	p.want(p.do(out(2, "c"), out(1, "b")), "client<2 c", "client<1 b")
	p.want(p.do(out(1, "b")), "client<1 b")
	p.want(p.do(out(0, "a")), `deliver node "a"`, `deliver node "b"`, `deliver node "c"`, "client<0 a")
	p.want(p.do(out(-1, "x"), out(maxAhead+9, "y")), "drop node", "drop node")
}

func TestGivesAGapUp(t *testing.T) {
	p := both(t)
	big := slices.Repeat([]byte("x"), 64<<10)
	var late int
	for n := range int64(40) {
		for _, e := range p.m.Next(frame(Node, mgs.NewStreamData(mgs.TypeOutputStreamData, n+1, mgs.PayloadOutput, big)), p.now) {
			if d, ok := e.(Deliver); ok && d.Late {
				late++
			}
		}
	}
	if late != 1 || p.m.dirs[Node].earlyBytes > maxEarly || p.m.dirs[Node].bytes > maxWindow {
		t.Fatalf("%d late deliveries, %d bytes early, %d in the window", late, p.m.dirs[Node].earlyBytes, p.m.dirs[Node].bytes)
	}
	p.want(p.do(out(0, "a")), `deliver node "a" late`, "client<0 a")
}

func TestAfterAHubThatKeptNothing(t *testing.T) {
	p := newPlay(t, true, false)
	p.want(p.do(Opened{Node}, Opened{Client}), "node<start")
	p.want(p.do(out(700_000, "b")), `deliver node "b"`, "client<700000 b")
	p.want(p.do(out(699_999, "a")), `deliver node "a" late`, "client<699999 a")
	p.want(p.do(in(50, "x")), `deliver client "x"`, "node<50 x") // the person types: the client takes output
	p.want(p.do(out(699_999, "a")), "client<699999 a", "ping 1")
	p.want(p.do(Pong{1}), "node<ack 699999")
	p.want(p.do(out(700_000, "b")), "client<700000 b", "ping 2") // it went before the person typed
	p.want(p.do(Pong{2}), "node<ack 700000")
}

func TestDropsInputWithoutTheSecondPerson(t *testing.T) {
	p := newPlay(t, false, true)
	p.do(Opened{Node}, Opened{Client})
	complete := frame(Node, mgs.NewStreamData(mgs.TypeOutputStreamData, 0, mgs.PayloadHandshakeComplete, []byte(`{"HandshakeTimeToComplete":5,"CustomerMessage":"Hello."}`)))
	if got := fmt.Sprint(p.do(complete)); !strings.Contains(got, `Hello.\n`+strings.ReplaceAll(twoPersons, "\n", `\n`)+"s-1") {
		t.Errorf("the client is told %s", got)
	}
	p.now = p.now.Add(Fence)
	size := frame(Client, mgs.NewStreamData(mgs.TypeInputStreamData, 0, mgs.PayloadSize, []byte(`{"cols":80,"rows":24}`)))
	p.want(p.do(size), `deliver client "{\"cols\":80,\"rows\":24}"`, `node<0 {"cols":80,"rows":24}`)
	typed := in(1, "reboot\r")
	p.want(p.do(typed, typed), `deliver client "-"`, "node<1 -", "node<1 -")
	p.want(p.do(Closed{Node}, Opened{Node}), `node<0 {"cols":80,"rows":24}`, "node<1 -")
	p.want(p.do(Lock{false}, typed, in(2, "ls\r")), "node<1 -", `deliver client "ls\r"`, "node<2 ls\r")
	p.want(p.do(Lock{true}, in(2, "ls\r"), in(3, "more")), "node<2 ls\r", `deliver client "-"`, "node<3 -") // 2 went before: the node may have lost it
	p.want(p.do(frame(Node, ackOf(typed).Message)), "client<ack 1")
}

func TestRefusesWhatMakesNoSense(t *testing.T) {
	p := both(t)
	for name, f := range map[string]Frame{
		"ack of what was not sent": ackOf(out(0, "a")),
		"ack that is not JSON":     frame(Client, mgs.New(mgs.TypeAcknowledge, []byte("x"))),
		"ack of another type":      frame(Client, mgs.New(mgs.TypeAcknowledge, []byte(`{"AcknowledgedMessageType":"agent_job","AcknowledgedMessageSequenceNumber":0}`))),
	} {
		t.Run(name, func(t *testing.T) { p.want(p.do(f), "drop client") })
	}
	for name, f := range map[string]Frame{
		"output from the client": frame(Client, out(0, "a").Message),
		"input from the node":    frame(Node, in(0, "a").Message),
		"unknown type":           frame(Node, mgs.New("made_up", []byte("{}"))),
		"control frame":          frame(Client, mgs.New(mgs.TypeChannelClosed, []byte("{}"))),
	} {
		t.Run(name, func(t *testing.T) { p.want(p.do(f)) })
	}
}

func TestBoundsTheMemoryOfAcknowledgements(t *testing.T) {
	p := both(t)
	for n := range int64(3 * maxSpans) {
		f := out(n, "x")
		p.m.Next(f, p.now)
		if n%2 == 1 {
			p.m.Next(ackOf(f), p.now)
		}
	}
	if n := len(p.m.dirs[Node].acked); n > maxSpans {
		t.Fatalf("%d spans", n)
	}
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0, 3, 1, 4, 5, 6, 7, 8, 9, 10}, true)
	f.Add([]byte{0, 1, 10, 0, 10, 5, 12, 0, 11, 3, 2, 1, 9}, false)
	f.Fuzz(func(t *testing.T, script []byte, locked bool) {
		p := newPlay(t, false, locked)
		script = script[:min(len(script), 200)]
		for i := 0; i+1 < len(script); i += 2 {
			for _, e := range p.m.Next(fuzzEvent(script[i], int64(script[i+1])), p.now) {
				if s, ok := e.(Send); ok && !p.m.open[s.Side] {
					t.Fatal("sent to a side that is not there")
				}
				if d, ok := e.(Deliver); ok && d.Side == Client && d.PayloadType == mgs.PayloadOutput && p.m.locked {
					t.Fatal("input flows without a second person")
				}
			}
			p.now = p.now.Add(7 * time.Millisecond)
		}
		for _, d := range p.m.dirs {
			if d.bytes > maxWindow || d.earlyBytes > maxEarly || d.bytes < 0 || d.earlyBytes < 0 {
				t.Fatalf("%d bytes in the window, %d early", d.bytes, d.earlyBytes)
			}
		}
	})
}

func fuzzEvent(kind byte, n int64) Event {
	side := Side(n & 1)
	switch kind % 12 {
	case 0:
		return Opened{side}
	case 1:
		return Closed{side}
	case 2:
		return out(n, "o")
	case 3:
		return in(n, "i")
	case 4:
		return ackOf(out(n, "o"))
	case 5:
		return ackOf(in(n, "i"))
	case 6:
		return Pong{uint64(n)}
	case 7:
		return Tick{}
	case 8:
		return Lock{side == 0}
	case 9:
		return frame(Node, mgs.NewStreamData(mgs.TypeOutputStreamData, n, mgs.PayloadHandshakeComplete, nil))
	case 10:
		return frame(Client, mgs.NewStreamData(mgs.TypeInputStreamData, n, mgs.PayloadSize, []byte("{}")))
	}
	return End{"over"}
}
