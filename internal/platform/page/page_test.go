package page_test

import (
	"errors"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/page"
)

func TestRoundTripAndRefusals(t *testing.T) {
	type position struct{ Name string }
	var got position
	if err := page.Parse(page.Token(position{"a/b"}), &got); err != nil || got.Name != "a/b" {
		t.Fatal(got, err)
	}
	for _, bad := range []string{"x", "w1", "w1!", "w1bnVsbA=", page.Token(map[string]int{"other": 1}), page.Token("s"), page.Token(position{"a"}) + "A"} {
		if err := page.Parse(bad, &got); !errors.Is(err, page.ErrToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := page.Parse("", &got); err != nil {
		t.Fatal(err)
	}
}
