package ssmdoc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Any tree written as JSON or YAML is read back as the same tree.
func TestEncodeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 3)
		for _, format := range []string{JSON, YAML} {
			text, err := n.Encode(format)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Parse(text, format)
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if diff := cmp.Diff(n.Any(), d.Root.Any()); diff != "" {
				t.Fatalf("%s\n%s:\n%s", diff, format, text)
			}
		}
	})
}

func genNode(t *rapid.T, depth int) *Node {
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return &Node{Kind: Null}
	case 1:
		return &Node{Kind: Bool, Value: rapid.Bool().Draw(t, "bool")}
	case 2:
		return &Node{Kind: Number, Value: rapid.Int64().Draw(t, "int")}
	case 3:
		s := genText(t)
		return &Node{Kind: String, Text: s, Value: s}
	case 4:
		n := &Node{Kind: List}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			n.Items = append(n.Items, genNode(t, depth-1))
		}
		return n
	}
	n := &Node{Kind: Map}
	for i, key := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z:~#0-9 ]{1,5}`), 0, 3, rapid.ID[string]).Draw(t, "keys") {
		if key != "schemaVersion" {
			n.Fields = append(n.Fields, Field{Key: key, Line: i, Value: genNode(t, depth-1)})
		}
	}
	return n
}

func genText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "yes", "no", "on", "null", "~", "0123", "1e3", "2026-01-02", "<<", "a: b", "# x", "- x", "!Ref x", "&a", "*a", "a\nb\n", " lead\n  deep\n", "tab\there", "trail \n", "\n", "%x", "@x", "`x`", "0x1f", ".inf", "true", "{{ x }}"}),
		rapid.StringMatching(`[ -~]{0,12}`),
		rapid.StringMatching(`([ -~]{0,5}\n){0,3}`),
	).Draw(t, "text")
}

func TestConvertKeepsOrderAndRefusesText(t *testing.T) {
	t.Parallel()
	got, err := Convert([]byte("b: 1\na: [x, {c: '<&>'}]\ne: {}\nf: []\n"), YAML, JSON)
	if err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"b\": 1,\n  \"a\": [\n    \"x\",\n    {\n      \"c\": \"<&>\"\n    }\n  ],\n  \"e\": {},\n  \"f\": []\n}"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := Convert([]byte("x"), TEXT, JSON); err == nil || !strings.Contains(err.Error(), "cannot be read as JSON") {
		t.Errorf("got %v", err)
	}
	if _, err := Convert([]byte("{"), JSON, YAML); err == nil {
		t.Error("broken JSON was converted")
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	if got := Hash([]byte("abc")); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(got)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"PT10M": 10 * time.Minute, "P1DT2H": 26 * time.Hour, "P1W": 168 * time.Hour, "PT0S": 0, "PT1H1M1S": 3661 * time.Second} {
		if got, err := Duration(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "P1DT", "10M", "PT1.5S", "P1Y", "PT-1S", "pt1s"} {
		if d, err := Duration(text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}
