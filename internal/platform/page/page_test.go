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

func TestLimit(t *testing.T) {
	for asked, want := range map[int32]int{-1: 9, 0: 9, 1: 1, 9: 9, 10: 9} {
		if got := page.Limit(&asked, 9); got != want {
			t.Errorf("Limit(%d) = %d, want %d", asked, got, want)
		}
	}
	if got := page.Limit(nil, 9); got != 9 {
		t.Errorf("Limit(nil) = %d", got)
	}
}
