package document

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// filters is what ListDocuments is asked for. Keys are joined by and, the
// values of one key by or.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DocumentKeyValuesFilter.html
type filters struct {
	values map[string][]string
	tags   []tagging.Filter
}

var filterKeys = []string{"Owner", "Name", "PlatformTypes", "DocumentType", "TargetType", "SearchKeyword", "SchemaVersion"}

var owners = []string{"Amazon", "Private", "Public", "Self", "All", "ThirdParty"}

func readFilters(in *ssm.ListDocumentsInput) (*filters, error) {
	f := &filters{values: map[string][]string{}}
	for _, old := range in.DocumentFilterList {
		if err := f.add(string(old.Key), []string{ptr.Value(old.Value)}); err != nil {
			return nil, err
		}
	}
	for _, filter := range in.Filters {
		if err := f.add(ptr.Value(filter.Key), filter.Values); err != nil {
			return nil, err
		}
	}
	for _, o := range f.values["Owner"] {
		if !slices.Contains(owners, o) {
			return nil, &ssm.InvalidFilterKey{Message: fmt.Sprintf("Owner %s is not one of %s.", o, strings.Join(owners, ", "))}
		}
	}
	return f, nil
}

func (f *filters) add(key string, values []string) error {
	if tag, ok := strings.CutPrefix(key, "tag:"); ok && tag != "" {
		f.tags = append(f.tags, tagging.Filter{Key: tag, Values: values})
		return nil
	}
	if key == "TagKeys" || key == "tag-key" {
		for _, tag := range values {
			f.tags = append(f.tags, tagging.Filter{Key: tag})
		}
		return nil
	}
	if !slices.Contains(filterKeys, key) {
		return &ssm.InvalidFilterKey{Message: fmt.Sprintf("The filter key %q is not valid.", key)}
	}
	if _, twice := f.values[key]; twice {
		return &ssm.InvalidFilterKey{Message: fmt.Sprintf("The filter key %s is given twice.", key)}
	}
	f.values[key] = values
	return nil
}

func (f *filters) owner(which ...string) bool {
	given := f.values["Owner"]
	return len(given) == 0 || slices.ContainsFunc(given, func(o string) bool { return o == "All" || slices.Contains(which, o) })
}

// owned says whether documents of AWS are wanted; they have no tags.
func (f *filters) owned() bool { return f.owner(amazon, "Public") && len(f.tags) == 0 }

// query selects the stored documents, nil when none can match.
func (f *filters) query(tx *db.Tx) *db.Filter {
	q := &db.Filter{}
	q.And("d.region = ?", tx.Scope.Region)
	account := tx.Scope.Account
	var who []string
	var args []any
	if f.owner("Self") {
		who, args = append(who, "d.account = ?"), append(args, account)
	}
	shared := `exists (select 1 from document_share s where s.account = d.account and s.region = d.region and s.name = d.name and s.shared_with = ?)`
	if f.owner("Private") {
		who, args = append(who, "d.account <> ? and "+shared), append(args, account, account)
	}
	if f.owner("Public") {
		who, args = append(who, shared), append(args, public)
	}
	if len(who) == 0 {
		return nil
	}
	q.And("("+strings.Join(who, " or ")+")", args...)
	if len(f.tags) > 0 {
		q.And("d.account = ?", account)
		tagging.Where(q, tx, kind, "d.name", f.tags)
	}
	f.narrow(q)
	return q
}

// narrow adds the conditions on documents and their default versions.
func (f *filters) narrow(q *db.Filter) {
	for key, column := range map[string]string{"DocumentType": "d.type", "TargetType": "v.target_type", "SchemaVersion": "v.schema_version"} {
		if values, ok := f.values[key]; ok {
			q.In(column, values)
		}
	}
	either(q, f.values["Name"], func(v string) (string, []any) {
		return `substr(d.name, 1, length(?)) = ?`, []any{v, v}
	})
	either(q, f.values["PlatformTypes"], func(v string) (string, []any) {
		return `replace(v.platforms, ?, '') <> v.platforms`, []any{`"` + v + `"`}
	})
	either(q, f.values["SearchKeyword"], func(v string) (string, []any) {
		return `lower(d.name) like ? escape '\'`, []any{"%" + like(strings.ToLower(v)) + "%"}
	})
}

// either adds the condition that one of the values holds.
func either(q *db.Filter, values []string, cond func(string) (string, []any)) {
	conds, args := []string{}, []any{}
	for _, v := range values {
		c, a := cond(v)
		conds, args = append(conds, c), append(args, a...)
	}
	if len(conds) > 0 {
		q.And("("+strings.Join(conds, " or ")+")", args...)
	}
}

// like escapes what LIKE would read as a wildcard.
func like(s string) string { return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) }

func placeholder(n int) string { return fmt.Sprintf("$%d", n) }

// matches tests a document of AWS.
func (f *filters) matches(l listed) bool {
	one := func(key string, test func(string) bool) bool {
		values, ok := f.values[key]
		return !ok || slices.ContainsFunc(values, test)
	}
	return one("DocumentType", func(v string) bool { return v == string(l.head.Type) }) &&
		one("TargetType", func(v string) bool { return v == l.version.TargetType }) &&
		one("SchemaVersion", func(v string) bool { return v == l.version.Schema }) &&
		one("Name", func(v string) bool { return strings.HasPrefix(l.head.Name, v) }) &&
		one("SearchKeyword", func(v string) bool { return strings.Contains(strings.ToLower(l.head.Name), strings.ToLower(v)) }) &&
		one("PlatformTypes", func(v string) bool {
			return slices.ContainsFunc(l.version.Platforms, func(p ssm.PlatformType) bool { return string(p) == v })
		})
}
