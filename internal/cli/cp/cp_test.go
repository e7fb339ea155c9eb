package cp

import "testing"

func TestSplit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"mi-1:/a": {"mi-1", "/a"}, "mi-1:": {"mi-1", ""}, "./a:b": {"", "./a:b"}, "/a": {"", "/a"}, "a": {"", "a"}, `C:\x`: {"", `C:\x`}, ":a": {"", ":a"},
	} {
		if node, path := Split(in); node != want[0] || path != want[1] {
			t.Errorf("%s: %q %q", in, node, path)
		}
	}
}

// Names that a node sends never lead out of the copy, T22.
func TestLocal(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "/etc/passwd", "..", "../x", "a/../../x", "a/b/../../../x"} {
		if got, err := local(bad); err == nil {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
	for _, good := range []string{".", "a", "a/b", "a/..b", "..."} {
		if _, err := local(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "/", "..", "a/..", "."} {
		if got, err := base(bad); err == nil {
			t.Errorf("the name of %q is %q", bad, got)
		}
	}
}
