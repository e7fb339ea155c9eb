package plane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// script is a connection that gives what it was given and keeps what is written.
type script struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// written is what a side writes for a frame.
func written(client bool, kind Kind, payload []byte) []byte {
	s := &script{in: bytes.NewReader(nil)}
	f := frameOf(kind, 7, payload)
	f.SetNumber(9)
	_ = NewLink(s, client).WriteFrame(f)
	return s.out.Bytes()
}

func TestFramesOfAllLengths(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{true, false} {
		for _, n := range []int{0, 1, 109, 110, 125, 126, 1024, 1025, 65519, 65520, MaxData} {
			want := bytes.Repeat([]byte{byte(n), 1, 2}, n)[:n]
			l := NewLink(&script{in: bytes.NewReader(written(client, KindData, want))}, !client)
			f, err := l.ReadFrame()
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if f.Kind() != KindData || f.Stream() != 7 || f.Number() != 9 || !bytes.Equal(f.Payload(), want) {
				t.Errorf("%d bytes: kind %d, stream %d, number %d, %d bytes", n, f.Kind(), f.Stream(), f.Number(), len(f.Payload()))
			}
			f.Release()
		}
	}
}

// mask puts a mask on a frame that was written with the mask of zeros.
func mask(frame []byte, key [4]byte) []byte {
	out := bytes.Clone(frame)
	at := 2
	switch out[1] &^ bitMasked {
	case 126:
		at = 4
	case 127:
		at = 10
	}
	copy(out[at:], key[:])
	for i := range out[at+4:] {
		out[at+4+i] ^= key[i&3]
	}
	return out
}

func TestOtherMasksAndPieces(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("abc"), 1000)
	whole := written(true, KindData, payload)
	body := whole[8:]
	piece := func(first byte, b []byte) []byte {
		out := []byte{first, bitMasked | 126, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(out[2:], uint16(len(b)))
		return append(out, b...)
	}
	cases := map[string][]byte{
		"mask":   mask(whole, [4]byte{1, 2, 3, 4}),
		"pieces": append(append(piece(opBinary, body[:100]), piece(opContinue, body[100:2000])...), piece(bitFinal|opContinue, body[2000:])...),
	}
	for name, in := range cases {
		f, err := NewLink(&script{in: bytes.NewReader(in)}, false).ReadFrame()
		if err != nil || !bytes.Equal(f.Payload(), payload) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFramesThatAreNone(t *testing.T) {
	t.Parallel()
	good := written(true, KindData, []byte("x"))
	long := []byte{bitFinal | opBinary, bitMasked | 127, 0, 0, 0, 0, 0, 1, 0, 17, 0, 0, 0, 0}
	huge := []byte{bitFinal | opBinary, bitMasked | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	cases := map[string]struct {
		in   []byte
		want error
	}{
		"without a mask": {written(false, KindData, []byte("x")), ErrLink},
		"a text":         {append([]byte{bitFinal | opText}, good[1:]...), ErrLink},
		"an extension":   {append([]byte{good[0] | 0x40}, good[1:]...), ErrLink},
		"too short":      {[]byte{bitFinal | opBinary, bitMasked | 3, 0, 0, 0, 0, 1, 2, 3}, ErrLink},
		"too long":       {append(long, make([]byte, 17+MaxData)...), ErrLink},
		"enormous":       {huge, ErrLink},
		"cut":            {good[:len(good)-1], io.ErrUnexpectedEOF},
		"a long ping":    {append([]byte{bitFinal | opPing, bitMasked | 126, 1, 0, 0, 0, 0, 0}, make([]byte, 256)...), ErrLink},
		"closed":         {[]byte{bitFinal | opClose, bitMasked | 2, 0, 0, 0, 0, 3, 0xe8}, ErrBye},
	}
	for name, c := range cases {
		if _, err := NewLink(&script{in: bytes.NewReader(c.in)}, false).ReadFrame(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUsedNumbers(t *testing.T) {
	t.Parallel()
	var u used
	for _, id := range []uint32{1, 3, 2, 7} {
		if !u.add(id) {
			t.Errorf("%d is refused", id)
		}
	}
	for _, id := range []uint32{1, 2, 3, 7} {
		if u.add(id) {
			t.Errorf("%d is used twice", id)
		}
	}
	if u.all != 3 || len(u.more) != 1 || u.has(5) {
		t.Errorf("%+v", u)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(written(true, KindData, []byte("x")))
	f.Add([]byte{bitFinal | opPing, bitMasked, 0, 0, 0, 0, bitFinal | opClose, bitMasked, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		l := NewLink(&script{in: bytes.NewReader(in)}, false)
		for {
			fr, err := l.ReadFrame()
			if err != nil {
				return
			}
			if len(fr.Payload()) > MaxData {
				t.Fatalf("%d bytes", len(fr.Payload()))
			}
			fr.Release()
		}
	})
}
