package bucket

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
)

// The bytes of a part are encrypted in segments, so that any range can be read: each
// is AES-256-GCM with its number as nonce, and the last one says that it is the last.
// The key is used for one part only.
const (
	segment  = 64 << 10
	tagBytes = 16
	keyBytes = 32
)

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(number int64, last bool) []byte {
	b := make([]byte, 12)
	if last {
		b[0] = 1
	}
	binary.BigEndian.PutUint64(b[4:], uint64(number))
	return b
}

// sealing reads plain bytes and gives out encrypted ones.
type sealing struct {
	in     *bufio.Reader
	aead   cipher.AEAD
	plain  []byte
	ready  []byte
	number int64
	size   int64 // of the plain bytes so far
	ended  bool
}

func newSealing(in io.Reader, key []byte) (*sealing, error) {
	aead, err := newAEAD(key)
	return &sealing{in: bufio.NewReaderSize(in, segment), aead: aead, plain: make([]byte, segment)}, err
}

// Read gives out encrypted bytes.
func (s *sealing) Read(p []byte) (int, error) {
	for len(s.ready) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

func (s *sealing) next() error {
	n, err := io.ReadFull(s.in, s.plain)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if s.ended = err != nil; !s.ended {
		_, err := s.in.Peek(1)
		if s.ended = errors.Is(err, io.EOF); err != nil && !s.ended {
			return err
		}
	}
	s.ready = s.aead.Seal(s.ready[:0], nonce(s.number, s.ended), s.plain[:n], nil)
	s.number++
	s.size += int64(n)
	return nil
}

// opening reads encrypted bytes from a segment on and gives out plain ones.
type opening struct {
	in     io.Reader
	aead   cipher.AEAD
	number int64
	last   int64 // number of the last segment
	buf    []byte
	ready  []byte
}

// lastSegment is the number of the last segment of size plain bytes.
func lastSegment(size int64) int64 { return max(0, (size-1)/segment) }

// Read gives out plain bytes.
func (o *opening) Read(p []byte) (int, error) {
	for len(o.ready) == 0 {
		if o.number > o.last {
			return 0, io.EOF
		}
		n, err := io.ReadFull(o.in, o.buf[:segment+tagBytes])
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, errors.Join(errors.New("bucket: the bytes of an object are missing"), err)
		}
		o.ready, err = o.aead.Open(o.buf[:0], nonce(o.number, o.number == o.last), o.buf[:n], nil)
		if err != nil {
			return 0, errors.New("bucket: the bytes of an object are not what was written")
		}
		if o.number++; n == tagBytes {
			return 0, io.EOF // an empty object
		}
	}
	n := copy(p, o.ready)
	o.ready = o.ready[n:]
	return n, nil
}
