package text_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/lang/text"
)

func TestClip(t *testing.T) {
	for in, want := range map[string]string{"": "", "abc": "abc", "abcd": "abc", "äöü": "äöü", "äöüß": "äöü"} {
		if got := text.Clip(in, 3); got != want {
			t.Errorf("Clip(%q) = %q, want %q", in, got, want)
		}
	}
}
