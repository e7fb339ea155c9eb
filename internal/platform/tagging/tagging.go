package tagging

import (
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "tagging", FS: migrateFS}

// Max is how many tags one resource can have.
const Max = 50

// Errors that callers turn into the code of their service.
var (
	// ErrTooMany says that a resource would have more than Max tags.
	ErrTooMany = errors.New("tagging: a resource can have at most 50 tags")
	// ErrKind says that nothing registered the kind.
	ErrKind = errors.New("tagging: resources of this kind cannot be tagged")
)

// Check tells whether a resource exists; its error goes to the caller of
// AddTagsToResource and its siblings as it is.
type Check func(tx *db.Tx, id string) error

var registry struct {
	sync.RWMutex
	checks map[string]Check
}

// Register makes resources of a kind taggable through the API. Capabilities call
// it when they are made; the last one wins.
func Register(kind string, check Check) {
	registry.Lock()
	defer registry.Unlock()
	if registry.checks == nil {
		registry.checks = map[string]Check{}
	}
	registry.checks[kind] = check
}

// Exists runs the check of a kind: nil when the resource exists, ErrKind when
// nothing registered the kind.
func Exists(tx *db.Tx, kind, id string) error {
	registry.RLock()
	check := registry.checks[kind]
	registry.RUnlock()
	if check == nil {
		return ErrKind
	}
	return check(tx, id)
}

// Pairs turns a list of API tags into a map. A key that is given twice is a
// ValidationException.
func Pairs[T any](list []T, pair func(T) (key, value *string)) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, t := range list {
		key, value := pair(t)
		if key == nil || value == nil {
			return nil, fault.Validation("a tag has a key and a value")
		}
		if _, ok := out[*key]; ok {
			return nil, fault.Validation("Duplicate tag key: %s", *key)
		}
		out[*key] = *value
	}
	return out, nil
}

// Set adds tags to a resource, over values they already have. The prefix aws: is
// refused with a ValidationException, more than Max tags with ErrTooMany.
func Set(tx *db.Tx, kind, id string, tags map[string]string) error {
	if len(tags) > Max {
		return ErrTooMany
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if reserved(name) {
			return fault.Validation("aws: prefixed tag key names are not allowed for external use.")
		}
		_, err := tx.Exec(`insert into tagging_tag(account, region, kind, id, name, value) values($1, $2, $3, $4, $5, $6)
			on conflict(account, region, kind, id, name) do update set value = excluded.value`,
			tx.Scope.Account, region(tx, kind), kind, id, name, tags[name])
		if err != nil {
			return fmt.Errorf("tag %s %s: %w", kind, id, err)
		}
	}
	return checkCount(tx, kind, id)
}

func reserved(name string) bool { return len(name) >= 4 && strings.EqualFold(name[:4], "aws:") }

func checkCount(tx *db.Tx, kind, id string) error {
	var n int
	err := tx.QueryRow(`select count(*) from tagging_tag where account = $1 and region = $2 and kind = $3 and id = $4`,
		tx.Scope.Account, region(tx, kind), kind, id).Scan(&n)
	if err != nil {
		return fmt.Errorf("tag %s %s: %w", kind, id, err)
	}
	if n > Max {
		return ErrTooMany
	}
	return nil
}

// Get is the tags of a resource; empty when it has none.
func Get(tx *db.Tx, kind, id string) (map[string]string, error) {
	all, err := GetAll(tx, kind, []string{id})
	if all[id] == nil {
		return map[string]string{}, err
	}
	return all[id], err
}

type row struct{ id, name, value string }

func scanRow(r *sql.Rows) (t row, err error) {
	err = r.Scan(&t.id, &t.name, &t.value)
	return t, err
}

// GetAll is the tags of several resources by id; one without tags is left out.
func GetAll(tx *db.Tx, kind string, ids []string) (map[string]map[string]string, error) {
	f := scoped(tx, kind).In("id", ids)
	rows, err := db.Rows(tx, `select id, name, value from tagging_tag`+f.Where(), f.Args, scanRow)
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", kind, err)
	}
	out := map[string]map[string]string{}
	for _, t := range rows {
		if out[t.id] == nil {
			out[t.id] = map[string]string{}
		}
		out[t.id][t.name] = t.value
	}
	return out, nil
}

// Remove takes tags off a resource; a name that it does not have is no error.
func Remove(tx *db.Tx, kind, id string, names []string) error {
	f := scoped(tx, kind).And("id = ?", id).In("name", names)
	if _, err := tx.Exec(`delete from tagging_tag`+f.Where(), f.Args...); err != nil {
		return fmt.Errorf("untag %s %s: %w", kind, id, err)
	}
	return nil
}

// Drop forgets all tags of a resource, when it is deleted.
func Drop(tx *db.Tx, kind, id string) error {
	f := scoped(tx, kind).And("id = ?", id)
	if _, err := tx.Exec(`delete from tagging_tag`+f.Where(), f.Args...); err != nil {
		return fmt.Errorf("untag %s %s: %w", kind, id, err)
	}
	return nil
}

// Filter asks for a tag with one of the values, or a value that begins with one of
// them; no values ask for the key alone.
type Filter struct {
	Key    string
	Values []string
	Prefix bool
}

// Find is the ids of a kind that match every filter, in order. At least one
// filter is needed: a resource without tags is not found here.
func Find(tx *db.Tx, kind string, filters []Filter) ([]string, error) {
	f := scoped(tx, kind)
	Where(f, tx, kind, "id", filters)
	ids, err := db.Rows(tx, `select distinct id from tagging_tag`+f.Where()+` order by id`, f.Args, func(r *sql.Rows) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	})
	if err != nil {
		return nil, fmt.Errorf("find %s by tags: %w", kind, err)
	}
	return ids, nil
}

// Where adds to a list query the condition that the resource in column has the
// tags asked for.
func Where(f *db.Filter, tx *db.Tx, kind, column string, filters []Filter) {
	for _, want := range filters {
		sub := scoped(tx, kind).And("name = ?", want.Key)
		want.values(sub)
		text := sub.Where()
		for i := len(sub.Args); i >= 1; i-- {
			text = strings.Replace(text, fmt.Sprintf("$%d", i), "?", 1)
		}
		f.And(column+" in (select id from tagging_tag"+text+")", sub.Args...)
	}
}

func (w *Filter) values(f *db.Filter) {
	if len(w.Values) == 0 {
		return
	}
	if !w.Prefix {
		f.In("value", w.Values)
		return
	}
	var texts []string
	var args []any
	for _, v := range w.Values {
		texts = append(texts, "substr(value, 1, ?) = ?")
		args = append(args, utf8.RuneCountInString(v), v)
	}
	f.And("("+strings.Join(texts, " or ")+")", args...)
}

func scoped(tx *db.Tx, kind string) *db.Filter {
	return new(db.Filter).And("account = ?", tx.Scope.Account).And("region = ?", region(tx, kind)).And("kind = ?", kind)
}

func region(tx *db.Tx, kind string) string {
	if strings.HasPrefix(kind, "arn:") {
		return ""
	}
	return tx.Scope.Region
}
