package parameter

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// The keys and options of ParameterStringFilter.
const (
	keyName     = "Name"
	keyType     = "Type"
	keyKeyID    = "KeyId"
	keyPath     = "Path"
	keyLabel    = "Label"
	keyTier     = "Tier"
	keyDataType = "DataType"
	keyTag      = "tag:"

	optionEquals     = "Equals"
	optionBeginsWith = "BeginsWith"
	optionContains   = "Contains"
	optionRecursive  = "Recursive"
	optionOneLevel   = "OneLevel"
)

// Which keys an operation takes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
var (
	describeKeys = []string{keyPath, keyName, keyType, keyKeyID, keyTier, keyDataType, keyTag}
	pathKeys     = []string{keyType, keyKeyID, keyLabel}
)

// optionsOf is what a key may be compared by; the first is the default.
func optionsOf(key string) []string {
	switch key {
	case keyName:
		return []string{optionEquals, optionBeginsWith, optionContains}
	case keyPath:
		return []string{optionOneLevel, optionRecursive}
	case keyLabel:
		return []string{optionEquals}
	}
	return []string{optionEquals, optionBeginsWith}
}

// known is the values of the keys that have a fixed set.
var known = map[string][]string{
	keyType: {string(ssm.ParameterTypeString), string(ssm.ParameterTypeStringList), string(ssm.ParameterTypeSecureString)},
	keyTier: {string(ssm.ParameterTierStandard), string(ssm.ParameterTierAdvanced), string(ssm.ParameterTierIntelligentTiering)},
}

var filterColumns = map[string]string{keyName: "name", keyType: "type", keyKeyID: "key_id", keyTier: "tier", keyDataType: "data_type"}

// filter is a checked ParameterStringFilter.
type filter struct {
	key    string
	tag    string // of key tag:
	option string
	values []string
}

func parseFilters(in []ssm.ParameterStringFilter, keys []string) ([]filter, error) {
	var out []filter
	seen := map[string]bool{}
	for _, f := range in {
		if seen[*f.Key] {
			return nil, &ssm.InvalidFilterKey{Message: "The following filters are duplicated in the request: [" + *f.Key + "]. A request can contain only one occurrence of a specific filter."}
		}
		seen[*f.Key] = true
		one, err := parseFilter(f, keys)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func parseFilter(in ssm.ParameterStringFilter, keys []string) (filter, error) {
	f := filter{key: *in.Key, values: in.Values}
	if tag, ok := strings.CutPrefix(f.key, keyTag); ok {
		f.key, f.tag = keyTag, tag
	}
	if !slices.Contains(keys, f.key) {
		return f, &ssm.InvalidFilterKey{Message: "The following filter key is not valid: " + *in.Key + ". Valid filter keys include: [" + strings.Join(keys, ", ") + "]."}
	}
	allowed := optionsOf(f.key)
	f.option = allowed[0]
	if in.Option != nil {
		f.option = *in.Option
	}
	if !slices.Contains(allowed, f.option) {
		return f, &ssm.InvalidFilterOption{Message: "The following filter option is not valid: " + f.option + ". Valid options for the key " + *in.Key + " include: [" + strings.Join(allowed, ", ") + "]."}
	}
	if len(f.values) == 0 && f.key != keyTag {
		return f, &ssm.InvalidFilterValue{Message: "The following filter values are missing : null for filter key " + *in.Key + "."}
	}
	return f, f.checkValues()
}

func (f *filter) checkValues() error {
	for i, v := range f.values {
		if set := known[f.key]; set != nil && f.option == optionEquals && !slices.Contains(set, v) {
			return &ssm.InvalidFilterValue{Message: "The following filter value is not valid: " + v + ". Valid values include: [" + strings.Join(set, ", ") + "]."}
		}
		if f.key == keyPath {
			path, err := checkPath(v)
			if err != nil {
				return err
			}
			f.values = slices.Clone(f.values)
			f.values[i] = path
		}
	}
	return nil
}

// apply adds the condition: one of the values matches.
func (f *filter) apply(tx *db.Tx, to *db.Filter) {
	if f.key == keyTag {
		tagging.Where(to, tx, Kind, "name", []tagging.Filter{{Key: f.tag, Values: f.values, Prefix: f.option == optionBeginsWith}})
		return
	}
	if f.option == optionEquals {
		to.In(filterColumns[f.key], f.values)
		return
	}
	var texts []string
	var args []any
	for _, v := range f.values {
		text, a := f.condition(tx, v)
		texts, args = append(texts, text), append(args, a...)
	}
	to.And("("+strings.Join(texts, " or ")+")", args...)
}

func (f *filter) condition(tx *db.Tx, v string) (text string, args []any) {
	column := filterColumns[f.key]
	switch f.option {
	case optionBeginsWith:
		return "substr(" + column + ", 1, ?) = ?", []any{utf8.RuneCountInString(v), v}
	case optionContains:
		return "replace(" + column + ", ?, '') <> " + column, []any{v}
	case optionOneLevel:
		return "name in (select name from parameter_parameter where account = ? and region = ? and parent = ?)", []any{tx.Scope.Account, tx.Scope.Region, v}
	}
	if v == "/" {
		return "1 = 1", nil
	}
	return "(name >= ? and name < ?)", []any{v + "/", v + "0"} // 0 comes right after /
}
