package nodes

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Write writes the table of nodes as they are at a time.
func Write(w io.Writer, nodes []Node, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "ID\tNAME\tPLATFORM\tAGENT\tSTATUS\tLAST SEEN\tTAGS")
	for _, n := range nodes {
		cells := []string{
			n.ID, cmp.Or(n.Name, n.ComputerName), cmp.Or(n.Platform, n.PlatformType), strings.TrimSpace(cmp.Or(n.Agent, "agent") + " " + n.AgentVersion),
			n.PingStatus, ago(n.LastSeen, now), tags(n.Tags),
		}
		for i := range cells {
			cells[i] = cmp.Or(plain(cells[i]), "-")
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// plain takes out of a node's own words what a terminal would obey.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// ago is how long before now a time was, in one unit.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return ""
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

func tags(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, " ")
}
