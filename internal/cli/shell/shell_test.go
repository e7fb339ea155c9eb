package shell

import "testing"

func TestEscape(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in   []string
		out  string
		over bool
	}{
		{[]string{"~."}, "", true},
		{[]string{"ls\r", "~", "."}, "ls\r", true},
		{[]string{"a~."}, "a~.", false},
		{[]string{"~~."}, "~.", false},
		{[]string{"~a\r~"}, "~a\r", false},
		{[]string{"~\r~."}, "~\r", true},
		{[]string{"x\n~.rest"}, "x\n", true},
	}
	for _, c := range cases {
		var e Escape
		var out string
		over := false
		for _, in := range c.in {
			b, o := e.Take([]byte(in))
			out, over = out+string(b), over || o
		}
		if out != c.out || over != c.over {
			t.Errorf("%q: %q, %v", c.in, out, over)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for want, words := range map[string][]string{
		"ls -l | wc": {"ls -l | wc"}, `'ls' '-l'`: {"ls", "-l"}, `'echo' 'it'\''s $HOME'`: {"echo", "it's $HOME"}, `'a' ''`: {"a", ""},
	} {
		if got := Line(words); got != want {
			t.Errorf("%q: %s", words, got)
		}
	}
}
