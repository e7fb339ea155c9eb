package mgs

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// promptFrame was captured from the stock agent: a shell prompt.
const promptFrame = "00000074" +
	"6f75747075745f73747265616d5f646174612020202020202020202020202020" +
	"00000001000001a1ff4bacef00000000000000000000000000000001" +
	"96fba0decff45f9a8321ae2407e44e01" +
	"e5b111ba26d5bb1cc89d8a3d74fad4cf1ebd5701c29877969c322b456d0784a3" +
	"00000001000000022420"

func golden(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(promptFrame)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenFrame(t *testing.T) {
	want := &Message{
		Type: "output_stream_data", Created: time.UnixMilli(0x1a1ff4bacef).UTC(), Flags: FlagSYN,
		ID: uuid.MustParse("8321ae24-07e4-4e01-96fb-a0decff45f9a"), PayloadType: 1, Payload: []byte("$ "),
	}
	got, err := Unmarshal(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Unmarshal (-want +got):\n%s", diff)
	}
	b, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b); got != promptFrame {
		t.Errorf("Marshal = %s\nwant %s", got, promptFrame)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	set := func(at int, bytes ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], bytes); return b }
	}
	for name, edit := range map[string]func([]byte) []byte{
		"empty":               func([]byte) []byte { return nil },
		"short":               func(b []byte) []byte { return b[:119] },
		"cut payload":         func(b []byte) []byte { return b[:121] },
		"longer":              func(b []byte) []byte { return append(b, 0) },
		"too large":           func(b []byte) []byte { return append(b, make([]byte, MaxFrame)...) },
		"header length":       set(3, 115),
		"large header length": set(0, 0xff),
		"type in upper case":  set(4, 'O'),
		"space inside type":   set(6, ' '),
		"no type":             set(4, []byte(strings.Repeat(" ", 32))...),
		"schema version":      set(39, 2),
		"no created date":     set(40, make([]byte, 8)...),
		"negative created":    set(40, 0xff),
		"created far away":    set(40, 0x7f),
		"payload length":      set(116, 0xff),
		"digest":              set(80, 0),
		"payload":             set(120, 'x'),
	} {
		if m, err := Unmarshal(edit(golden(t))); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: Unmarshal = %+v, %v; want ErrFrame", name, m, err)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	for name, m := range map[string]*Message{
		"no type":   {Created: time.UnixMilli(1)},
		"long type": {Type: strings.Repeat("a", 33), Created: time.UnixMilli(1)},
		"no time":   {Type: TypeAgentJob},
		"payload":   {Type: TypeAgentJob, Created: time.UnixMilli(1), Payload: make([]byte, MaxPayload+1)},
	} {
		if _, err := m.Marshal(); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: Marshal error %v, want ErrFrame", name, err)
		}
	}
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &Message{
			Type:        rapid.StringMatching(`[a-z_]{1,32}`).Draw(t, "type"),
			Created:     time.UnixMilli(rapid.Int64Range(1, maxMillis).Draw(t, "created")).UTC(),
			Sequence:    rapid.Int64().Draw(t, "sequence"),
			Flags:       rapid.Uint64().Draw(t, "flags"),
			ID:          uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			PayloadType: rapid.Uint32().Draw(t, "payload type"),
			Payload:     rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"),
		}
		b, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(golden(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Unmarshal(b)
		if err != nil {
			return
		}
		again, err := m.Marshal()
		if err != nil {
			t.Fatalf("accepted %x, cannot write it: %v", b, err)
		}
		got, err := Unmarshal(again)
		if err != nil || !cmp.Equal(m, got) {
			t.Fatalf("second reading differs: %v\n%s", err, cmp.Diff(m, got))
		}
	})
}
