package shell

// Escape looks for ~. at the beginning of a line, as OpenSSH does. ~~ is one
// tilde.
type Escape struct {
	middle bool // not at the beginning of a line
	tilde  bool // a tilde is held back
}

// Take gives what is to be sent of some input, and whether the session is to end.
func (e *Escape) Take(in []byte) (out []byte, over bool) {
	out = make([]byte, 0, len(in)+1)
	for _, c := range in {
		if e.tilde {
			e.tilde = false
			switch c {
			case '.':
				return out, true
			case '~':
			default:
				out = append(out, '~')
			}
			out = append(out, c)
			e.middle = c != '\r' && c != '\n'
			continue
		}
		if c == '~' && !e.middle {
			e.tilde = true
			continue
		}
		out = append(out, c)
		e.middle = c != '\r' && c != '\n'
	}
	return out, false
}
