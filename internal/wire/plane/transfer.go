package plane

import (
	"encoding/json"
	"io"
	"net"
)

// SendJSON sends a value as a frame.
func (s *Stream) SendJSON(kind Kind, v any) error {
	f, err := FrameJSON(kind, s.id, v)
	if err != nil {
		return err
	}
	return s.Send(f)
}

// Answer sends the node's answer to the opening.
func (s *Stream) Answer(o Opened) error { return s.SendJSON(KindOpened, o) }

// Exit ends what the node sends.
func (s *Stream) Exit(e Exit) error { return s.SendJSON(KindExit, e) }

// WriteKind sends bytes in as many frames of a kind as they need.
func (s *Stream) WriteKind(kind Kind, p []byte) (n int, err error) {
	for len(p) > 0 {
		part := min(len(p), MaxData)
		f := s.Frame(kind, part)
		copy(f.Payload(), p)
		if err := s.Send(f); err != nil {
			return n, err
		}
		n += part
		p = p[part:]
	}
	return n, nil
}

// Write sends bytes as data.
func (s *Stream) Write(p []byte) (int, error) { return s.WriteKind(KindData, p) }

// Copy sends what a reader gives, until it ends, in frames of a kind. The frames
// are read into directly; a small read that fits is put into a small frame, so
// that an idle stream holds no large buffer.
func (s *Stream) Copy(kind Kind, r io.Reader) (n int64, err error) {
	for {
		f := s.Frame(kind, MaxData)
		m, err := r.Read(f.Payload())
		if m > 0 {
			n += int64(m)
			if err := s.Send(f.fit(m)); err != nil {
				return n, err
			}
		} else {
			f.Release()
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// fit is the frame with the first n bytes of the payload.
func (f *Frame) fit(n int) *Frame {
	if n > smallData {
		f.shorten(n)
		return f
	}
	g := frameOf(f.Kind(), f.Stream(), f.Payload()[:n])
	f.Release()
	return g
}

// Result is what came of a stream at the client.
type Result struct {
	Exit
	Bytes int64 // received as data
}

// Receive writes the stream's data to out and its standard error to errs until
// the final frame.
func (s *Stream) Receive(out, errs io.Writer) (r Result, err error) {
	for {
		f, err := s.Next()
		if err == io.EOF {
			return r, nil
		}
		if err != nil {
			return r, err
		}
		switch f.Kind() {
		case KindData:
			r.Bytes += int64(len(f.Payload()))
			_, err = out.Write(f.Payload())
		case KindStderr:
			_, err = errs.Write(f.Payload())
		case KindExit:
			err = json.Unmarshal(f.Payload(), &r.Exit)
		}
		f.Release()
		if err != nil {
			return r, err
		}
	}
}

// Join copies between a stream and a connection until both directions end or one
// fails, and gives the bytes to and from the stream.
func (s *Stream) Join(conn net.Conn) (to, from int64) {
	done := make(chan int64, 1)
	go func() {
		n, err := s.Copy(KindData, conn)
		if err == nil {
			err = s.CloseWrite()
		}
		if err != nil {
			s.Reset("the connection was lost")
		}
		done <- n
	}()
	r, err := s.Receive(conn, io.Discard)
	if half, ok := conn.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
	} else {
		s.Reset("the connection was lost")
		_ = conn.Close()
	}
	to = <-done
	_ = conn.Close()
	return to, r.Bytes
}
