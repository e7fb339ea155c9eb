package parameter

import (
	"context"
	"regexp"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const (
	maxLabels   = 10
	defaultPage = 50
)

type historyToken struct {
	Name    string
	Version int64
}

// GetParameterHistory lists the versions of a parameter, oldest first.
func (s *Service) GetParameterHistory(ctx context.Context, in *ssm.GetParameterHistoryInput) (*ssm.GetParameterHistoryOutput, error) {
	r, err := parseName(*in.Name, db.ScopeOf(ctx))
	if err != nil {
		return nil, err
	}
	var after historyToken
	if err := parseToken(in.NextToken, &after); err != nil {
		return nil, err
	}
	limit := limitOf(in.MaxResults, defaultPage)
	var name string
	var versions []*version
	var marks []labeled
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		v, err := find(tx, r)
		if err != nil {
			return err
		}
		name = v.name
		if versions, err = history(tx, name, after.Version, limit+1); err != nil {
			return err
		}
		marks, err = labels(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if after.Name != "" && after.Name != name {
		return nil, badToken()
	}
	out := &ssm.GetParameterHistoryOutput{Parameters: []ssm.ParameterHistory{}}
	if len(versions) > limit {
		versions = versions[:limit]
		out.NextToken = new(page.Token(historyToken{name, versions[limit-1].number}))
	}
	for _, v := range versions {
		h, err := s.projectHistory(ctx, v, marks, given(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, h)
	}
	return out, nil
}

func (s *Service) projectHistory(ctx context.Context, v *version, marks []labeled, decrypt bool) (ssm.ParameterHistory, error) {
	value, err := s.value(ctx, db.ScopeOf(ctx), v, decrypt)
	h := ssm.ParameterHistory{
		DataType: new(v.dataType), Labels: []string{}, LastModifiedDate: new(v.modified), LastModifiedUser: new(v.modifiedBy),
		Name: new(v.name), Policies: projectPolicies(v.policies), Tier: v.tier, Type: v.typ, Value: new(value), Version: new(v.number),
		AllowedPattern: ptr.OrNil(v.pattern), Description: ptr.OrNil(v.description), KeyId: ptr.OrNil(v.keyID),
	}
	for _, l := range marks {
		if l.number == v.number {
			h.Labels = append(h.Labels, l.label)
		}
	}
	return h, err
}

func limitOf(n *int32, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return int(*n)
}

func parseToken(text *string, to any) error {
	if text == nil || *text == "" {
		return nil
	}
	if err := page.Parse(*text, to); err != nil {
		return badToken()
	}
	return nil
}

func badToken() error {
	return &ssm.InvalidNextToken{Message: "The specified token isn't valid."}
}

var labelForm = regexp.MustCompile(`^[a-zA-Z_.\-][a-zA-Z0-9_.\-]*$`)

// validLabel tells whether a label keeps the rules: letters, digits and .-_,
// not beginning with a digit, aws or ssm.
func validLabel(l string) bool {
	lower := strings.ToLower(l)
	return labelForm.MatchString(l) && !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm")
}

// LabelParameterVersion puts labels on a version, by default the newest. A label
// that another version has moves. Labels that break the rules come back in
// InvalidLabels; the others are put on all the same.
func (s *Service) LabelParameterVersion(ctx context.Context, in *ssm.LabelParameterVersionInput) (*ssm.LabelParameterVersionOutput, error) {
	r, err := labelTarget(*in.Name, in.ParameterVersion, db.ScopeOf(ctx))
	if err != nil {
		return nil, err
	}
	valid, invalid := splitLabels(in.Labels)
	out := &ssm.LabelParameterVersionOutput{InvalidLabels: invalid}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		v, err := find(tx, r)
		if err != nil {
			return err
		}
		out.ParameterVersion = new(v.number)
		return s.label(tx, v, valid)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func labelTarget(name string, number *int64, scope db.Scope) (reference, error) {
	r, err := parseOwnName(name, scope)
	if err != nil || number == nil {
		return r, err
	}
	return r.at(*number), nil
}

func splitLabels(all []string) (valid, invalid []string) {
	invalid = []string{}
	for _, l := range all {
		if validLabel(l) {
			valid = append(valid, l)
		} else {
			invalid = append(invalid, l)
		}
	}
	return valid, invalid
}

func (s *Service) label(tx *db.Tx, v *version, add []string) error {
	if len(add) == 0 {
		return nil
	}
	all, err := labels(tx, v.name)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, l := range all {
		if l.number == v.number {
			has[l.label] = true
		}
	}
	for _, l := range add {
		has[l] = true
		if err := setLabel(tx, v.name, l, v.number); err != nil {
			return err
		}
	}
	if len(has) > maxLabels {
		return &ssm.ParameterVersionLabelLimitExceeded{Message: "A parameter version can have a maximum of ten labels."}
	}
	return s.record(tx, "parameter.labeled", fact{Operation: "LabelParameterVersion", Name: v.name, Version: v.number, Labels: add})
}

// UnlabelParameterVersion takes labels off a version. Those that it does not
// have come back in InvalidLabels.
func (s *Service) UnlabelParameterVersion(ctx context.Context, in *ssm.UnlabelParameterVersionInput) (*ssm.UnlabelParameterVersionOutput, error) {
	r, err := labelTarget(*in.Name, in.ParameterVersion, db.ScopeOf(ctx))
	if err != nil {
		return nil, err
	}
	var out *ssm.UnlabelParameterVersionOutput
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		v, err := find(tx, r)
		if err != nil {
			return err
		}
		out, err = s.unlabel(tx, v, in.Labels)
		audit.Answer(tx, out)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) unlabel(tx *db.Tx, v *version, names []string) (*ssm.UnlabelParameterVersionOutput, error) {
	out := &ssm.UnlabelParameterVersionOutput{InvalidLabels: []string{}, RemovedLabels: []string{}}
	for _, l := range names {
		had, err := unsetLabel(tx, v.name, l, v.number)
		switch {
		case err != nil:
			return nil, err
		case had:
			out.RemovedLabels = append(out.RemovedLabels, l)
		default:
			out.InvalidLabels = append(out.InvalidLabels, l)
		}
	}
	if len(out.RemovedLabels) == 0 {
		return out, nil
	}
	return out, s.record(tx, "parameter.unlabeled", fact{Operation: "UnlabelParameterVersion", Name: v.name, Version: v.number, Labels: out.RemovedLabels})
}
