package alarm

import (
	"cmp"
	"embed"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "alarm", FS: migrateFS}

// repeatEvery is how often at most repeats of an alarm are told of.
const repeatEvery = time.Minute

// Signal is what a sender says of one alarm. Key names the alarm among those of
// an integration. Times may be zero when the sender does not give them.
type Signal struct {
	Source      string // what kind of system sends, as "alertmanager"
	Integration string // the name of the integration it came by
	Key         string
	State       State
	Summary     string
	Description string
	StartsAt    time.Time
	EndsAt      time.Time
	Labels      map[string]string
	Annotations map[string]string
	URL         string // where the sender shows the alarm
	ARN         string // of the alarm itself, "" when it has none
}

// Entry is an alarm in the register.
type Entry struct {
	Integration string
	Key         string
	Source      string
	State       State
	Since       time.Time // when the state began, by the sender's clock
	Opened      int64     // how often it came to stand
	Repeats     int64     // how often it was repeated since it stands, or stood last
	Deliveries  int64     // signals of all kinds
	LastSeen    time.Time
	Severity    string
	Owner       string
	Reference   string // incident ARN or OpsItem id it became last, "" for none
	Summary     string
	Labels      map[string]string
	Detail      Detail

	spell   spell
	unnoted int64 // deliveries since the last fact
	noted   time.Time
}

// Detail is kept to be shown.
type Detail struct {
	Description string            `json:"description,omitzero"`
	Annotations map[string]string `json:"annotations,omitzero"`
	URL         string            `json:"url,omitzero"`
	ARN         string            `json:"arn,omitzero"`
}

// ID names an alarm in facts.
func (e *Entry) ID() string { return "alarm/" + e.Integration + "/" + e.Key }

// Transition is what Observe did.
type Transition struct {
	Change Change
	Told   bool // a fact was recorded; whoever acts on repeats does so on these only
	Entry  Entry
}

// Service keeps the register.
type Service struct {
	Journal *journal.Journal
}

// New makes the service.
func New(s Service) *Service { return &s }

// Observe takes a signal into the register, in the scope of tx.
func (s *Service) Observe(tx *db.Tx, sig Signal) (Transition, error) {
	e, err := take(tx, sig)
	if err != nil {
		return Transition{}, err
	}
	if e.Deliveries == 0 {
		e.describe(sig)
	}
	described := e.Deliveries == 0
	var change Change
	e.spell, change = next(e.spell, moment{state: sig.State, starts: micro(sig.StartsAt), ends: micro(sig.EndsAt)}, tx.Now)
	e.State, e.Since, e.Opened = e.spell.state, e.spell.since, e.spell.opened
	switch change {
	case Opened, Reopened:
		e.Repeats = 0
	case Folded:
		e.Repeats++
	}
	e.Deliveries++
	e.unnoted++
	e.LastSeen = tx.Now
	told := change != Late && (change != Folded || tx.Now.Sub(e.noted) >= repeatEvery)
	if told {
		e.describe(sig)
		if err := s.tell(tx, e, change); err != nil {
			return Transition{}, err
		}
		e.noted, e.unnoted = tx.Now, 0
	}
	if err := save(tx, e, described || told); err != nil {
		return Transition{}, fmt.Errorf("alarm %s: %w", e.ID(), err)
	}
	return Transition{Change: change, Told: told, Entry: *e}, nil
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// describe takes over what a signal says besides the state.
func (e *Entry) describe(sig Signal) {
	e.Source, e.Summary, e.Labels = sig.Source, clip(sig.Summary, maxText), clipAll(sig.Labels)
	e.Severity = clip(sig.Labels["severity"], maxName)
	e.Owner = clip(cmp.Or(sig.Labels["owner"], sig.Labels["team"]), maxName)
	e.Detail = Detail{
		Description: clip(sig.Description, maxText), Annotations: clipAll(sig.Annotations),
		URL: clip(sig.URL, maxText), ARN: clip(sig.ARN, maxText),
	}
}

// told is the body of the facts.
type told struct {
	Integration string            `json:"integration"`
	Key         string            `json:"key"`
	Source      string            `json:"source"`
	State       State             `json:"state"`
	Since       time.Time         `json:"since"`
	Summary     string            `json:"summary"`
	Severity    string            `json:"severity,omitzero"`
	Owner       string            `json:"owner,omitzero"`
	Labels      map[string]string `json:"labels,omitzero"`
	Deliveries  int64             `json:"deliveries"` // that this fact stands for
	Again       bool              `json:"again,omitzero"`
	Unopened    bool              `json:"unopened,omitzero"`
}

var kinds = map[Change]string{
	Opened: "alarm.opened", Reopened: "alarm.opened", Folded: "alarm.repeated",
	Resolved: "alarm.resolved", Unopened: "alarm.resolved",
}

func (s *Service) tell(tx *db.Tx, e *Entry, change Change) error {
	f := journal.Fact{Kind: kinds[change], Subject: e.ID(), Body: told{
		Integration: e.Integration, Key: e.Key, Source: e.Source, State: e.State, Since: e.Since, Summary: e.Summary,
		Severity: e.Severity, Owner: e.Owner, Labels: e.Labels, Deliveries: e.unnoted,
		Again: change == Reopened, Unopened: change == Unopened,
	}}
	if e.Reference != "" {
		f.Related = []string{e.Reference}
	}
	return s.Journal.Record(tx, f)
}

// Refer notes what an alarm became: an incident's ARN or an OpsItem's id.
func (s *Service) Refer(tx *db.Tx, integration, key, reference string) error {
	n, err := tx.Exec(`update alarm_alarm set reference = $1 where account = $2 and region = $3 and integration = $4 and alarm_key = $5`,
		reference, tx.Scope.Account, tx.Scope.Region, integration, key)
	if err == nil && n == 0 {
		err = fmt.Errorf("no such alarm")
	}
	if err != nil {
		return fmt.Errorf("alarm %s of %s: %w", key, integration, err)
	}
	return nil
}
