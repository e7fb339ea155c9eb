package session

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandWords(t *testing.T) {
	v := values{text: map[string]string{"x": "a b; $(c)", "q": `'"`, "empty": "", "again": "{{ x }}", "cmd": `echo 'one two' 3`}}
	for text, want := range map[string][]string{
		"echo a; b":             {"echo", "a;", "b"},
		`sh -c "echo  a" 'b c'`: {"sh", "-c", "echo  a", "b c"},
		`a\ b "c\"d" 'e\f'`:     {"a b", `c"d`, `e\f`},
		"echo {{ x }}":          {"echo", "a b; $(c)"},
		"echo pre-{{x}}-post":   {"echo", "pre-a b; $(c)-post"},
		"echo {{ q }} {{ q }}":  {"echo", `'"`, `'"`},
		"echo {{ empty }} end":  {"echo", "", "end"},
		"echo {{ again }}":      {"echo", "{{ x }}"},
		"echo {{ unknown }}":    {"echo", "{{ unknown }}"},
		" {{ cmd }} ":           {"echo", "one two", "3"},
		"{{ x }}":               {"a", "b;", "$(c)"},
	} {
		got, err := commandWords(text, v)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"", "  ", "{{ empty }}", `echo "a`, "''"} {
		if got, err := commandWords(text, v); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestWholeRunes(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "aé": 3, "a\xc3": 1, "a\xe2\x82": 1, "\xe2\x82\xac": 3, "\xff": 1, "a\xff": 2, "\xf0\x9f\x98": 0} {
		if got := wholeRunes([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestNewer(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"1.2.707.0", "1.2.331.0", true},
		{"1.2.331.0", "1.2.331.0", false},
		{"1.10.0.0", "1.9.0.0", true},
		{"1.1.70.0", "1.1.69.99999", true},
		{"1.1.69.0", "1.1.69.99999", false},
		{"", "1.1.69.99999", false},
		{"x.y", "1.0", false},
	} {
		if got := newer(tt.a, tt.b); got != tt.want {
			t.Errorf("newer(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
