package story

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/test/hubtest"
)

var update = flag.Bool("update", false, "rewrite testdata")

const goldenFile = "testdata/matrix.tsv"

// The matrix: every operation for everybody. Strangers are refused with the code of
// their mistake, the others as the golden file says, and no refusal leaves a trace
// but in the journal.
func TestMatrix(t *testing.T) {
	hubtest.Each(t, identityFiles(), func(t *testing.T, h *hubtest.Hub) {
		w := newWorld(t, h)
		m := &matrix{world: w, want: readGolden(t), requests: map[string]string{}, unknown: map[string]bool{}}
		m.refusals(t)
		m.audited(t)
		if t.Failed() {
			return
		}
		m.allowances(t)
	})
}

type cell struct{ operation, principal string }

type matrix struct {
	*world
	want     map[cell]string   // allow or deny
	requests map[string]string // of callers who are known
	unknown  map[string]bool   // of the others: those beyond a number a second are counted only
}

func operations(f func(m *shape.Model, op *shape.Operation, name string)) {
	for _, m := range hubtest.Models {
		for i := range m.Operations {
			f(m, &m.Operations[i], m.SigningName+":"+m.Operations[i].Name)
		}
	}
}

// refusals tries all that has to be refused.
func (m *matrix) refusals(t *testing.T) {
	m.store.Settle()
	refused, n := 0, 0
	operations(func(model *shape.Model, op *shape.Operation, name string) {
		n++
		before := m.store.Snapshot()
		plain := hubtest.Encode(t, model, op, m.input(t, model, op))
		for _, p := range strangers() {
			a := m.Send(t, p.with(plain))
			if want := p.codes[model.SigningName]; a.Code != want {
				t.Errorf("%s by %s: %d %s %.200s, want %s", name, p.name, a.Status, a.Code, a.Body, want)
			}
			refused++
			m.unknown[a.RequestID] = true
		}
		for _, p := range known(m.node) {
			if m.want[cell{name, p.name}] != "deny" {
				continue
			}
			a := m.Send(t, p.with(plain))
			if a.Code != p.codes[model.SigningName] {
				t.Errorf("%s by %s: %d %s %.200s, want a denial", name, p.name, a.Status, a.Code, a.Body)
			}
			refused++
			m.requests[a.RequestID] = name + " by " + p.name
		}
		m.store.Unchanged(t, before, name+", refused to all,")
	})
	if n < 216 {
		t.Errorf("%d operations", n)
	}
	t.Logf("%d refusals over %d operations", refused, n)
}

var uuidForm = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

var countForm = regexp.MustCompile(`"count":([0-9]+)`)

// audited wants a fact in the journal for every refusal of a caller who is known,
// and every other one told or counted.
func (m *matrix) audited(t *testing.T) {
	m.End(t) // what was gathered is recorded at the end
	have := map[string]bool{}
	for _, row := range m.store.Rows("select request_id, body from journal_row where kind like 'api.called%'") {
		for _, id := range uuidForm.FindAllString(row, -1) {
			have[id] = true
		}
	}
	told := 0
	for id := range m.unknown {
		if have[id] {
			told++
		}
	}
	for _, row := range m.store.Rows("select body from journal_row where kind = 'api.refused.many'") {
		n, _ := strconv.Atoi(countForm.FindStringSubmatch(row)[1])
		told += n
	}
	if told != len(m.unknown) {
		t.Errorf("%d of %d refusals of strangers are told or counted", told, len(m.unknown))
	}
	missing := 0
	for id, what := range m.requests {
		if have[id] {
			continue
		}
		if missing++; missing < 10 {
			t.Errorf("no fact of the refusal of %s", what)
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d refusals left no fact", missing, len(m.requests))
	}
	store := m.Store
	if strings.HasPrefix(store, "sqlite:") {
		store = ""
	}
	m.Begin(t, store)
}

// allowances tries all that has to be allowed, however it ends.
func (m *matrix) allowances(t *testing.T) {
	got := map[cell]string{}
	allowed := 0
	principals := known(m.node)
	slices.SortStableFunc(principals, func(a, b principal) int { return strings.Compare(whoGoesFirst(a), whoGoesFirst(b)) })
	for _, p := range principals {
		operations(func(model *shape.Model, op *shape.Operation, name string) {
			c := cell{name, p.name}
			if got[c] = m.want[c]; got[c] == "deny" {
				return
			}
			a := m.Send(t, p.with(hubtest.Encode(t, model, op, m.input(t, model, op))))
			got[c] = "allow"
			if a.Code == p.codes[model.SigningName] {
				got[c] = "deny"
			}
			if a.Status == 500 || a.Code == badSignature[model.SigningName] || strings.HasPrefix(a.Code, "ExpiredToken") {
				t.Errorf("%s by %s: %d %s", name, p.name, a.Status, a.Body)
			}
			allowed++
		})
	}
	t.Logf("%d allowances", allowed)
	text := golden(got)
	if *update {
		if err := os.WriteFile(goldenFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(golden(m.want), text); d != "" && !*update {
		t.Errorf("run with -update when this is meant:\n%s", d)
	}
}

// whoGoesFirst lets the node go before those who can deregister it.
func whoGoesFirst(p principal) string {
	if p.name == "node" {
		return ""
	}
	return "later"
}

// golden is the text of the golden file.
func golden(got map[cell]string) string {
	var b strings.Builder
	principals := known(&hubtest.Node{})
	b.WriteString("operation")
	for _, p := range principals {
		b.WriteString("\t" + p.name)
	}
	b.WriteString("\n")
	operations(func(_ *shape.Model, _ *shape.Operation, name string) {
		b.WriteString(name)
		for _, p := range principals {
			b.WriteString("\t" + got[cell{name, p.name}])
		}
		b.WriteString("\n")
	})
	return b.String()
}

// readGolden reads the golden file; nothing when it is to be written.
func readGolden(t *testing.T) map[cell]string {
	t.Helper()
	out := map[cell]string{}
	if *update {
		return out
	}
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var head []string
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if head == nil {
			head = f
			continue
		}
		for i := 1; i < len(f); i++ {
			out[cell{f[0], head[i]}] = f[i]
		}
	}
	return out
}

// The golden file itself is held against rules that it must keep.
func TestMatrixIsSane(t *testing.T) {
	want := readGolden(t)
	look := regexp.MustCompile(`:(Get|List|Describe|BatchGet|Decode|StartExecutionPreview)`)
	free := map[string]bool{"sts:GetCallerIdentity": true, "sts:GetSessionToken": true}
	grants := regexp.MustCompile(`:(Put|Delete)ResourcePolicy$|:PutContactPolicy$|:DeleteIncidentRecord$|:DeleteTimelineEvent$`)
	secrets := regexp.MustCompile(`ssm:Get(Parameter|Parameters|ParametersByPath|ParameterHistory|AccessToken)$`)
	rows := 0
	operations(func(_ *shape.Model, _ *shape.Operation, name string) {
		rows++
		allowed := func(p string) bool { return want[cell{name, p}] == "allow" }
		for _, p := range []string{"nobody", "other tag"} {
			if allowed(p) && !free[name] {
				t.Errorf("%s is allowed to %s", name, p)
			}
		}
		if allowed("Observer") && !look.MatchString(name) && !free[name] {
			t.Errorf("an observer may change something: %s", name)
		}
		for i, p := range tiers {
			switch {
			case grants.MatchString(name) && allowed(p):
				t.Errorf("%s, which only an administrator may, is allowed to %s", name, p)
			case i < 3 && secrets.MatchString(name) && allowed(p):
				t.Errorf("%s gives secrets to %s", name, p)
			case i > 0 && i < 4 && allowed(tiers[i-1]) && !allowed(p):
				t.Errorf("%s is allowed to %s and not to %s", name, tiers[i-1], p)
			}
		}
		if !allowed("admin") {
			t.Errorf("%s is not allowed to the administrator", name)
		}
	})
	if rows < 216 {
		t.Errorf("%d rows", rows)
	}
}
