package ssmdoc

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The worst contents of 64 KB that we could think of are parsed and checked
// within a second on a busy machine (100 ms on an idle one).
func TestBombs(t *testing.T) {
	t.Parallel()
	fill := func(head, unit string) string {
		return head + strings.Repeat(unit, (MaxContent-len(head))/len(unit))
	}
	var chain, parameters, choices strings.Builder
	for i := 0; chain.Len() < MaxContent-100; i++ {
		fmt.Fprintf(&chain, "- {name: s%d, action: 'aws:pause', nextStep: s%d}\n", i+1, i)
	}
	for i := 0; parameters.Len() < MaxContent/2; i++ {
		fmt.Fprintf(&parameters, " p%d: {type: String}\n", i)
	}
	for i := 0; choices.Len() < MaxContent-200; i++ {
		choices.WriteString("{NextStep: b, Variable: x, StringEquals: y},")
	}
	start := "schemaVersion: '0.3'\nmainSteps:\n"
	bombs := map[string]string{
		"flow lists":     fill("", "["),
		"block lists":    fill("", "- "),
		"flow maps":      fill("", "{a: "),
		"complex keys":   fill("", "? "),
		"aliases":        "a: &a [x,x,x,x,x,x,x,x]\n" + fill("b: &b ", "[*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c "),
		"many items":     fill("a: [", "1,")[:MaxContent-8] + "1]",
		"backward chain": start + "- {name: s0, action: 'aws:pause', isEnd: true}\n" + chain.String(),
		"references":     "schemaVersion: '0.3'\nparameters:\n" + parameters.String() + "mainSteps:\n- name: a\n  action: aws:sleep\n  inputs:\n    Duration: \"" + strings.Repeat("{{p0}}", 4000) + "\"\n",
		"choices":        start + "- {name: b, action: 'aws:branch', inputs: {Choices: [" + strings.TrimSuffix(choices.String(), ",") + "]}}\n",
		"pattern":        "schemaVersion: '0.3'\nparameters:\n a: {type: String, default: " + strings.Repeat("a", 20000) + ", allowedPattern: '^(?=a)(a|aa)+$'}\nmainSteps:\n- {name: a, action: 'aws:pause'}\n",
		"repeat":         "schemaVersion: '0.3'\nparameters:\n a: {type: String, allowedPattern: '" + strings.Repeat("(x{1000})", 100) + "'}\nmainSteps:\n- {name: a, action: 'aws:pause'}\n",
		"escapes":        fill("\"", `\u0000`) + "\"",
		"comments":       fill("", "#\n"),
		"documents":      fill("", "---\n"),
	}
	for name, content := range bombs {
		began := time.Now()
		d, err := Parse([]byte(content), YAML)
		if err == nil {
			err = d.Validate("Automation")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %v: %v", name, took, err)
		}
		t.Logf("%s: %v: %.100v", name, time.Since(began), err)
	}
}
