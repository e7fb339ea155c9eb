package relay

import "slices"

// maxSpans bounds the memory of a set. Sequence numbers come nearly in order,
// so a set has a few spans; only a hostile peer makes more.
const maxSpans = 4096

// span is the numbers from, ..., to-1.
type span struct{ from, to int64 }

// spans is a set of sequence numbers, sorted and without neighbours.
type spans []span

// at is the index of the first span that ends behind n.
func (s spans) at(n int64) int {
	i, _ := slices.BinarySearchFunc(s, n, func(p span, n int64) int {
		if p.to <= n {
			return -1
		}
		return 1
	})
	return i
}

func (s spans) has(n int64) bool {
	i := s.at(n)
	return i < len(s) && s[i].from <= n
}

// add puts n into the set; false when the set is full.
func (s *spans) add(n int64) bool {
	if s.has(n) {
		return true
	}
	i := s.at(n)
	before, after := i > 0 && (*s)[i-1].to == n, i < len(*s) && (*s)[i].from == n+1
	switch {
	case before && after:
		(*s)[i-1].to = (*s)[i].to
		*s = slices.Delete(*s, i, i+1)
	case before:
		(*s)[i-1].to++
	case after:
		(*s)[i].from--
	case len(*s) >= maxSpans:
		return false
	default:
		*s = slices.Insert(*s, i, span{n, n + 1})
	}
	return true
}
