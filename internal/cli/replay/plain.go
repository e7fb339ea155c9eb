package replay

import "strings"

// Plain takes control sequences out of text that comes in pieces. Its zero value is
// ready.
type Plain struct{ state plainState }

type plainState int

const (
	ground   plainState = iota
	escape              // after ESC
	sequence            // CSI, up to its final letter
	text                // OSC, DCS and the like, up to BEL or ESC \
	textEnd             // after ESC in one of these
	charset             // ESC ( and the like: one more character
)

// Text is s without control sequences and control characters other than line ends
// and tabs.
func (p *Plain) Text(s string) string {
	var b strings.Builder
	for _, r := range s {
		if p.shows(r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// shows takes one character and says whether it is text.
func (p *Plain) shows(r rune) bool {
	switch p.state {
	case escape:
		p.state = afterEscape(r)
	case sequence:
		if r >= 0x40 && r <= 0x7e {
			p.state = ground
		}
	case text:
		switch r {
		case 0x07, 0x9c:
			p.state = ground
		case 0x1b:
			p.state = textEnd
		}
	case textEnd:
		p.state = ground
		if r != '\\' {
			p.state = afterEscape(r)
		}
	case charset:
		p.state = ground
	default:
		return p.plain(r)
	}
	return false
}

// plain takes a character outside of sequences.
func (p *Plain) plain(r rune) bool {
	switch {
	case r == 0x1b:
		p.state = escape
	case r == 0x9b:
		p.state = sequence
	case r == 0x90 || r == 0x9d || r == 0x9e || r == 0x9f:
		p.state = text
	default:
		return r == '\n' || r == '\t' || r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f)
	}
	return false
}

func afterEscape(r rune) plainState {
	switch r {
	case '[':
		return sequence
	case ']', 'P', 'X', '^', '_':
		return text
	case '(', ')', '*', '+', '-', '.', '/', '#', '%', ' ':
		return charset
	case 0x1b:
		return escape
	}
	return ground
}
