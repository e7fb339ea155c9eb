package parameter

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// position is where a list by name goes on.
type position struct {
	Name    string
	Version int64 `json:",omitzero"` // in lists by label
}

// DescribeParameters lists parameters without their values, by name.
func (s *Service) DescribeParameters(ctx context.Context, in *ssm.DescribeParametersInput) (*ssm.DescribeParametersOutput, error) {
	filters, err := describeFilters(in)
	if err != nil {
		return nil, err
	}
	var after position
	if err := parseToken(in.NextToken, &after); err != nil {
		return nil, err
	}
	out := &ssm.DescribeParametersOutput{Parameters: []ssm.ParameterMetadata{}}
	if given(in.Shared) {
		return out, nil // nothing is shared between accounts
	}
	limit := limitOf(in.MaxResults, defaultPage)
	var rows []*version
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		f := scoped(tx).And("name > ?", after.Name)
		for _, want := range filters {
			want.apply(tx, f)
		}
		rows, err = list(tx, f, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		out.NextToken = new(page.Token(position{Name: rows[limit-1].name}))
	}
	for _, v := range rows {
		out.Parameters = append(out.Parameters, projectMetadata(db.ScopeOf(ctx), v))
	}
	return out, nil
}

func scoped(tx *db.Tx) *db.Filter {
	return new(db.Filter).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

func projectMetadata(scope db.Scope, v *version) ssm.ParameterMetadata {
	return ssm.ParameterMetadata{
		ARN: new(parameterARN(scope, v.name)), AllowedPattern: ptr.OrNil(v.pattern), DataType: new(v.dataType), Description: ptr.OrNil(v.description),
		KeyId: ptr.OrNil(v.keyID), LastModifiedDate: new(v.modified), LastModifiedUser: new(v.modifiedBy), Name: new(v.name),
		Policies: projectPolicies(v.policies), Tier: v.tier, Type: v.typ, Version: new(v.number),
	}
}

// describeFilters gathers either form of filters.
func describeFilters(in *ssm.DescribeParametersInput) ([]filter, error) {
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, fault.Validation("You can use either Filters or ParameterFilters in a single request.")
	}
	if len(in.Filters) == 0 {
		return parseFilters(in.ParameterFilters, describeKeys)
	}
	all := make([]ssm.ParameterStringFilter, 0, len(in.Filters))
	for _, f := range in.Filters {
		option := optionEquals
		if f.Key == ssm.ParametersFilterKeyName {
			option = optionBeginsWith
		}
		all = append(all, ssm.ParameterStringFilter{Key: new(string(f.Key)), Option: new(option), Values: f.Values})
	}
	return parseFilters(all, describeKeys)
}

const defaultPathPage = 10

// GetParametersByPath reads the parameters of a hierarchy: those right below the
// path, or all below it.
func (s *Service) GetParametersByPath(ctx context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	path, err := checkPath(*in.Path)
	if err != nil {
		return nil, err
	}
	filters, err := parseFilters(in.ParameterFilters, pathKeys)
	if err != nil {
		return nil, err
	}
	var after position
	if err := parseToken(in.NextToken, &after); err != nil {
		return nil, err
	}
	option := optionOneLevel
	if given(in.Recursive) {
		option = optionRecursive
	}
	filters = append(filters, filter{key: keyPath, option: option, values: []string{path}})
	limit := limitOf(in.MaxResults, defaultPathPage)
	var rows []*version
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = listPath(tx, filters, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ssm.GetParametersByPathOutput{Parameters: []ssm.Parameter{}}
	if len(rows) > limit {
		rows = rows[:limit]
		out.NextToken = new(page.Token(position{rows[limit-1].name, rows[limit-1].number}))
	}
	for _, v := range rows {
		p, err := s.project(ctx, v, "", given(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, *p)
	}
	return out, nil
}

// listPath lists newest versions, or with a Label filter the versions that carry
// one of the labels.
func listPath(tx *db.Tx, filters []filter, after position, limit int) ([]*version, error) {
	var wanted []string
	f := scoped(tx)
	for _, want := range filters {
		if want.key == keyLabel {
			wanted = want.values
		} else {
			want.apply(tx, f)
		}
	}
	if wanted == nil {
		return list(tx, f.And("name > ?", after.Name), limit)
	}
	f.And("(name > ? or (name = ? and version > ?))", after.Name, after.Name, after.Version)
	return listLabeled(tx, f, wanted, limit)
}
