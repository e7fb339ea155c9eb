package shape

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a body, so that no input can exhaust the stack.
const maxDepth = 64

// scanner reads one JSON text (RFC 8259, strictly) token by token.
type scanner struct {
	data  []byte
	pos   int
	depth int
	buf   []byte // holds a string that has escapes, until the next one is read
}

// peek skips white space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take consumes c when it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.pos >= len(s.data) {
		return false
	}
	s.pos++
	return true
}

// word consumes a literal such as null.
func (s *scanner) word(w string) bool {
	if s.peek() == 0 || !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return false
	}
	s.pos += len(w)
	return true
}

// end reports whether only white space is left.
func (s *scanner) end() bool {
	s.peek()
	return s.pos >= len(s.data)
}

// open consumes the first byte of an object or a list.
func (s *scanner) open(c byte) *problem {
	if !s.take(c) {
		return s.syntax()
	}
	if s.depth++; s.depth > maxDepth {
		return refuse("the request is nested deeper than %d levels", maxDepth)
	}
	return nil
}

// more moves to the next item of an object or list that end closes: false and
// nil when it was closed.
func (s *scanner) more(first bool, end byte) (bool, *problem) {
	if s.take(end) {
		s.depth--
		return false, nil
	}
	if first {
		return true, nil
	}
	if !s.take(',') || s.peek() == end {
		return false, s.syntax()
	}
	return true, nil
}

// key reads a member's name and the colon after it. The bytes are valid until
// the next string is read.
func (s *scanner) key() ([]byte, *problem) {
	k, p := s.text()
	if p != nil {
		return nil, p
	}
	if !s.take(':') {
		return nil, s.syntax()
	}
	return k, nil
}

// text reads a string. The bytes are valid until the next string is read.
func (s *scanner) text() ([]byte, *problem) {
	if !s.take('"') {
		return nil, s.syntax()
	}
	start := s.pos
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			t := s.data[start:s.pos]
			s.pos++
			return checked(t)
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return nil, s.syntax()
		}
	}
	return nil, s.syntax()
}

// checked refuses what is not UTF-8.
func checked(t []byte) ([]byte, *problem) {
	if !utf8.Valid(t) {
		return nil, refuse("the request is not valid UTF-8")
	}
	return t, nil
}

// escaped goes on with a string that began at start and has an escape at pos.
func (s *scanner) escaped(start int) ([]byte, *problem) {
	s.buf = append(s.buf[:0], s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		s.pos++
		switch {
		case c == '"':
			return checked(s.buf)
		case c < 0x20:
			return nil, s.syntax()
		case c != '\\':
			s.buf = append(s.buf, c)
		default:
			if p := s.escape(); p != nil {
				return nil, p
			}
		}
	}
	return nil, s.syntax()
}

// escape reads what follows a backslash into the buffer.
func (s *scanner) escape() *problem {
	if s.pos >= len(s.data) {
		return s.syntax()
	}
	c := s.data[s.pos]
	s.pos++
	if c == 'u' {
		return s.unicode()
	}
	i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
	if i < 0 {
		return s.syntax()
	}
	s.buf = append(s.buf, "\"\\/\b\f\n\r\t"[i])
	return nil
}

// unicode reads the four digits of \uXXXX, and the second half of a pair.
func (s *scanner) unicode() *problem {
	r, ok := s.hex4()
	if !ok {
		return s.syntax()
	}
	if r == 0 {
		return refuse("the request has a NUL character in a string")
	}
	if utf16.IsSurrogate(r) {
		if !bytes.HasPrefix(s.data[s.pos:], []byte(`\u`)) {
			return refuse("the request is not valid UTF-8")
		}
		s.pos += 2
		low, ok := s.hex4()
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return refuse("the request is not valid UTF-8")
		}
	}
	s.buf = utf8.AppendRune(s.buf, r)
	return nil
}

func (s *scanner) hex4() (rune, bool) {
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.data[s.pos:s.pos+4]), 16, 16)
	s.pos += 4
	return rune(n), err == nil
}

// number reads a number as it is written.
func (s *scanner) number() ([]byte, *problem) {
	s.peek()
	start := s.pos
	s.byteIf('-')
	if !s.byteIf('0') && !s.digits() {
		return nil, s.syntax()
	}
	if s.byteIf('.') && !s.digits() {
		return nil, s.syntax()
	}
	if s.byteIf('e') || s.byteIf('E') {
		_ = s.byteIf('+') || s.byteIf('-')
		if !s.digits() {
			return nil, s.syntax()
		}
	}
	return s.data[start:s.pos], nil
}

// byteIf consumes c when it is the very next byte.
func (s *scanner) byteIf(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// skip passes over one value.
func (s *scanner) skip() *problem {
	switch c := s.peek(); c {
	case '{', '[':
		return s.skipAll(c)
	case '"':
		_, p := s.text()
		return p
	case 't', 'f', 'n':
		if s.word("true") || s.word("false") || s.word("null") {
			return nil
		}
		return s.syntax()
	default:
		_, p := s.number()
		return p
	}
}

// skipAll passes over an object or list.
func (s *scanner) skipAll(open byte) *problem {
	if p := s.open(open); p != nil {
		return p
	}
	for first := true; ; first = false {
		ok, p := s.more(first, open+2) // '[' + 2 is ']' and '{' + 2 is '}'
		if !ok || p != nil {
			return p
		}
		if open == '{' {
			if _, p := s.key(); p != nil {
				return p
			}
		}
		if p := s.skip(); p != nil {
			return p
		}
	}
}

func (s *scanner) syntax() *problem {
	p := refuse("the request is not valid JSON at byte %d", s.pos)
	if s.pos >= len(s.data) {
		p = refuse("the request ends in the middle of a value")
	}
	p.whole = true
	return p
}
