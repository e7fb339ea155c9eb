package plane

import "github.com/watchbill/watchbill/internal/wire/plane"

// numbers is a set of frame numbers that grows at its end, as spans.
type numbers [][2]uint64 // first and last

func (n *numbers) add(number uint64) {
	if last := len(*n) - 1; last >= 0 && (*n)[last][1]+1 == number {
		(*n)[last][1] = number
		return
	}
	*n = append(*n, [2]uint64{number, number})
}

func (n numbers) has(number uint64) bool {
	for _, span := range n {
		if span[0] <= number && number <= span[1] {
			return true
		}
	}
	return false
}

// forget takes the numbers up to one out, of whole spans.
func (n *numbers) forget(number uint64) {
	for len(*n) > 0 && (*n)[0][1] <= number {
		*n = (*n)[1:]
	}
}

// guard says whether input of a terminal or a command is dropped: it came when
// nothing may be typed, now or before. The caller holds the lock.
func (r *Relay) guard(s *stream, f *plane.Frame, fresh bool) bool {
	if fresh {
		why := r.session.InputClosed()
		if why == "" {
			return false
		}
		s.dropped.add(f.Number())
		if !r.told && f.Kind() == plane.KindData {
			go func() {
				r.Notice("the input was dropped: " + why)
				r.mu.Lock()
				r.told = true
				r.mu.Unlock()
			}()
		}
	}
	return (f.Kind() == plane.KindData || f.Kind() == plane.KindSignal) && s.dropped.has(f.Number())
}

// empty is a frame without content in the place of f, whose number it keeps: both
// ends go on counting.
func empty(f *plane.Frame) *plane.Frame {
	out := plane.NewFrame(plane.KindData, f.Stream(), 0)
	out.SetNumber(f.Number())
	f.Release()
	return out
}
