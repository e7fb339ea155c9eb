package sigv4_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// meaning is everything of a request that a signature stands for; two requests
// of equal meaning may both be accepted.
func meaning(r *http.Request, body []byte) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	for _, v := range q {
		slices.Sort(v)
	}
	h := r.Header.Clone()
	for _, v := range h {
		for i := range v {
			v[i] = strings.Join(strings.FieldsFunc(v[i], func(c rune) bool { return c == ' ' }), " ")
		}
	}
	auth := strings.ReplaceAll(strings.ReplaceAll(h.Get("Authorization"), ", ", ","), " ,", ",")
	h.Del("Authorization")
	return fmt.Sprint(r.Method, "\x00", path, "\x00", q, err, "\x00", r.Host, "\x00", h, "\x00", auth, "\x00", string(body))
}

// edit changes one byte of s: replaces, drops, adds or doubles it.
func edit(rnd *rand.Rand, s string) string {
	alphabet := "abzAZ019/-_.~%=&;,+ :*\x7f"
	c := string(alphabet[rnd.IntN(len(alphabet))])
	if s == "" {
		return c
	}
	i := rnd.IntN(len(s))
	switch rnd.IntN(5) {
	case 0:
		return s[:i] + s[i+1:]
	case 1:
		return s[:i] + c + s[i:]
	case 2:
		return s[:i] + string(s[i]) + s[i:]
	case 3:
		return s[:i] + string(s[i]^0x20) + s[i+1:]
	}
	return s[:i] + c + s[i+1:]
}

// mutate applies one edit to one part of the request, reporting whether the
// result can arrive at a server at all.
func mutate(rnd *rand.Rand, r *http.Request, body []byte) ([]byte, bool) {
	switch rnd.IntN(6) {
	case 0:
		r.Method = edit(rnd, r.Method)
	case 1:
		r.Host = edit(rnd, r.Host)
	case 2:
		return []byte(edit(rnd, string(body))), true
	case 3:
		u, err := url.ParseRequestURI(edit(rnd, r.URL.RequestURI()))
		if err != nil {
			return body, false
		}
		r.URL = u
	case 4:
		mutateName(rnd, r.Header)
	default:
		name := headerName(rnd, r.Header)
		if name == "" {
			return body, false
		}
		r.Header[name] = []string{edit(rnd, r.Header[name][0])}
	}
	return body, true
}

func headerName(rnd *rand.Rand, h http.Header) string {
	names := make([]string, 0, len(h))
	for n := range h {
		names = append(names, n)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return names[rnd.IntN(len(names))]
}

func mutateName(rnd *rand.Rand, h http.Header) {
	name := headerName(rnd, h)
	switch {
	case name == "" || rnd.IntN(3) == 0:
		h.Set("X-Amz-Added", "1")
	case rnd.IntN(2) == 0:
		h.Add(name, h.Get(name))
	default:
		h.Set(edit(rnd, name), h.Get(name))
		h.Del(name)
	}
}

// A change to the letter of a signed request never passes.
func TestMutantsRefused(t *testing.T) {
	t.Parallel()
	var verifier sigv4.Verifier
	total := 0
	for i, v := range vectors {
		rnd := rand.New(rand.NewPCG(7, uint64(i)))
		base, body := sent(t, v)
		want := meaning(base, body)
		for range 3000 {
			r := base.Clone(t.Context())
			changed, ok := mutate(rnd, r, body)
			if !ok || meaning(r, changed) == want {
				continue
			}
			total++
			if _, err := verifier.Verify(r, changed, now, lookup); err == nil {
				t.Fatalf("%s accepted a mutant:\n%s\n%s", v.name, want, meaning(r, changed))
			}
		}
	}
	t.Logf("%d mutants, none accepted", total)
	if total < 20000 {
		t.Errorf("only %d mutants", total)
	}
}

func FuzzVerify(f *testing.F) {
	for _, v := range vectors {
		r, body := sent(f, v)
		f.Add(r.Method, r.URL.RequestURI(), r.Host, r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"), body)
	}
	valid := map[string]bool{}
	for _, v := range vectors {
		r, body := sent(f, v)
		valid[meaning(r, body)] = true
	}
	var verifier sigv4.Verifier
	f.Fuzz(func(t *testing.T, method, uri, host, auth, date string, body []byte) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{"Authorization": {auth}, "X-Amz-Date": {date}}}
		if _, err := verifier.Verify(r, body, now, lookup); err == nil && !valid[meaning(r, body)] {
			t.Errorf("accepted %s", meaning(r, body))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r, body := sent(b, vectors[0])
	var verifier sigv4.Verifier
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Verify(r, body, now, lookup); err != nil {
			b.Fatal(err)
		}
	}
}
