package replay

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const cast = `{"version":2,"width":80,"height":24,"timestamp":1795377026}
[0.5,"o","$ "]
[1.0,"i","ls\r"]
[2.25,"o","\u001b[31mReadme\u001b[0m.md\r\n"]
[100,"r","100x30"]
[3600.5,"o","\u001b]0;title\u0007bye \u001b]52;c;aGk="]
[3601,"o","\u001b\\gr\u00fc\u00dfe\r\n"]
`

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			options Options
			want    string
			took    time.Duration
		}{
			{Options{Raw: true}, "$ \x1b[31mReadme\x1b[0m.md\r\n\x1b]0;title\abye \x1b]52;c;aGk=\x1b\\grüße\r\n", 0},
			{Options{}, "$ Readme.md\nbye grüße\n", 0},
			{Options{Speed: 1}, "$ Readme.md\nbye grüße\n", 3601 * time.Second},
			{Options{Speed: 10}, "$ Readme.md\nbye grüße\n", 3601 * time.Second / 10},
			{Options{Speed: 1, Pause: time.Second}, "$ Readme.md\nbye grüße\n", 4500 * time.Millisecond},
		} {
			var b strings.Builder
			began := time.Now()
			if err := Play(t.Context(), strings.NewReader(cast), &b, c.options); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); b.String() != c.want || took != c.took {
				t.Errorf("%+v: %q in %v", c.options, b.String(), took)
			}
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := Play(ctx, strings.NewReader(cast), io.Discard, Options{Speed: 1}); err == nil {
			t.Error("it played to the end")
		}
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	got, err := Search(strings.NewReader(cast), "README.md")
	if diff := cmp.Diff([]Match{{2250 * time.Millisecond, "$ Readme.md"}}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err = Search(strings.NewReader(cast), "grüße")
	if err != nil || len(got) != 1 || Clock(got[0].At) != "1:00:01.0" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestBadRecordings(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no header": `[0,"o","x"]`, "version 1": `{"version":1}`, "not an event": "{\"version\":2}\n{}", "two parts": "{\"version\":2}\n[1,\"o\"]",
		"torn": "{\"version\":2}\n[1,\"o\",\"a", "number": "{\"version\":2}\n[1,2,3]",
	} {
		if err := Text(strings.NewReader(text), io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Text(strings.NewReader(""), io.Discard); err != nil {
		t.Errorf("nothing recorded: %v", err)
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m", 3)
	f.Add("\x1b]52;c;aGk=\x1b\\text", 4)
	f.Fuzz(func(t *testing.T, s string, cut int) {
		var whole, pieces Plain
		want := whole.Text(s)
		if strings.ContainsAny(want, "\x1b\x07\r\x00\x7f\u009b") {
			t.Errorf("%q", want)
		}
		if r := []rune(s); len(r) > 0 {
			cut = (cut%len(r) + len(r)) % len(r)
			if got := pieces.Text(string(r[:cut])) + pieces.Text(string(r[cut:])); got != want {
				t.Errorf("%q in pieces, %q whole", got, want)
			}
		}
	})
}
