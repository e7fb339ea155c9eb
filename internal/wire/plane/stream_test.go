package plane

import (
	"errors"
	"io"
	"testing"
)

// A frame counts once and in its turn: a repeated one, one ahead of its turn and
// one behind the end are dropped.
func TestFramesOutOfTurn(t *testing.T) {
	t.Parallel()
	s := newStream(NewEndpoint(Config{}), 1, Open{})
	for _, c := range []struct {
		number uint64
		kind   Kind
		text   string
	}{
		{2, KindData, "early"},
		{1, KindData, "a"},
		{1, KindData, "again"},
		{3, KindData, "early"},
		{2, KindData, "b"},
		{0, KindData, "none"},
		{1 << 63, KindData, "far"},
		{3, KindFin, ""},
		{4, KindData, "behind the end"},
		{3, KindFin, ""},
	} {
		f := NewFrame(c.kind, 1, len(c.text))
		copy(f.Payload(), c.text)
		f.SetNumber(c.number)
		s.receive(f)
	}
	var got string
	for {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += string(f.Payload()) + " "
	}
	if got != "a b  " { // the last is the end
		t.Errorf("taken: %q", got)
	}
}
