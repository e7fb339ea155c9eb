package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCleanMappings(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 08:01 1 /opt/watchbill
Size:               1024 kB
Anonymous:             0 kB
00500000-00600000 r--p 00100000 08:01 1 /opt/watchbill
Anonymous:             4 kB
00600000-00700000 rw-p 00200000 08:01 1 /opt/watchbill
Anonymous:             0 kB
00700000-00800000 r--p 00000000 08:01 2 /opt/watchbill.db
Anonymous:             0 kB
`
	got := clean(smaps, "/opt/watchbill")
	if diff := cmp.Diff([]mapping{{0x400000, 0x500000}}, got, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	slim() // and the program goes on
}
