package parameter

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// GetParameter reads a parameter, or the version that a selector names.
func (s *Service) GetParameter(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	r, err := parseReference(*in.Name, db.ScopeOf(ctx))
	if err != nil {
		return nil, err
	}
	var v *version
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		v, err = find(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	p, err := s.project(ctx, v, r.selector, given(in.WithDecryption))
	if err != nil {
		return nil, err
	}
	return &ssm.GetParameterOutput{Parameter: p}, nil
}

func given(b *bool) bool { return b != nil && *b }

// find reads what r names, with readColumns: ParameterNotFound or
// ParameterVersionNotFound.
func find(tx *db.Tx, r reference) (*version, error) {
	for _, name := range r.names {
		v, err := r.in(tx, name)
		if v != nil || err != nil {
			return v, err
		}
	}
	if r.selector == "" {
		return nil, notFound(r.names[0])
	}
	for _, name := range r.names {
		if v, err := read(tx, name); v != nil || err != nil {
			return nil, errors.Join(err, r.versionNotFound(name))
		}
	}
	return nil, notFound(r.names[0])
}

func (r reference) in(tx *db.Tx, name string) (*version, error) {
	switch {
	case r.selector == "":
		return read(tx, name)
	case r.label != "":
		return readLabeled(tx, name, r.label)
	}
	return readVersion(tx, name, r.number)
}

func (r reference) versionNotFound(name string) error {
	what := "label " + r.label
	if r.label == "" {
		what = "version " + strings.TrimPrefix(r.selector, ":")
	}
	return &ssm.ParameterVersionNotFound{Message: "Systems Manager could not find " + what + " of " + name + ". Verify the version or label and try again."}
}

// project is the output shape of a version.
func (s *Service) project(ctx context.Context, v *version, selector string, decrypt bool) (*ssm.Parameter, error) {
	scope := db.ScopeOf(ctx)
	value, err := s.value(ctx, scope, v, decrypt)
	if err != nil {
		return nil, err
	}
	p := &ssm.Parameter{
		ARN: new(parameterARN(scope, v.name)), DataType: new(v.dataType), LastModifiedDate: new(v.modified), Name: new(v.name),
		Type: v.typ, Value: new(value), Version: new(v.number),
	}
	if selector != "" {
		p.Selector = new(selector)
	}
	return p, nil
}

// value is the plain value, or what is stored when a SecureString is read
// without decryption.
func (s *Service) value(ctx context.Context, scope db.Scope, v *version, decrypt bool) (string, error) {
	if v.typ != ssm.ParameterTypeSecureString {
		return v.value, nil
	}
	if !decrypt {
		return base64.StdEncoding.EncodeToString(v.sealed), nil
	}
	plain, err := s.Sealer.Open(ctx, v.sealed, place(scope, v.name, v.number))
	if err != nil {
		return "", fmt.Errorf("parameter %s version %d: %w", v.name, v.number, err)
	}
	return string(plain), nil
}

// Resolve reads a parameter for another capability, in its transaction. name may
// hold a selector; errors are those of GetParameter.
func (s *Service) Resolve(ctx context.Context, tx *db.Tx, name string, decrypt bool) (value string, typ ssm.ParameterType, number int64, err error) {
	r, err := parseReference(name, tx.Scope)
	if err != nil {
		return "", "", 0, err
	}
	v, err := find(tx, r)
	if err != nil {
		return "", "", 0, err
	}
	value, err = s.value(ctx, tx.Scope, v, decrypt)
	return value, v.typ, v.number, err
}

// GetParameters reads up to ten parameters; those that cannot be read come back
// in InvalidParameters.
func (s *Service) GetParameters(ctx context.Context, in *ssm.GetParametersInput) (*ssm.GetParametersOutput, error) {
	if name := duplicate(in.Names); name != "" {
		return nil, fault.Validation("Duplicate parameter name: %s", name)
	}
	out := &ssm.GetParametersOutput{InvalidParameters: []string{}, Parameters: []ssm.Parameter{}}
	found := make([]*version, len(in.Names))
	selectors := make([]string, len(in.Names))
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		for i, name := range in.Names {
			r, err := parseReference(name, tx.Scope)
			if err == nil {
				selectors[i] = r.selector
				found[i], err = find(tx, r)
			}
			if err != nil && !isCallers(err) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, v := range found {
		if v == nil {
			out.InvalidParameters = append(out.InvalidParameters, in.Names[i])
			continue
		}
		p, err := s.project(ctx, v, selectors[i], given(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, *p)
	}
	return out, nil
}

func duplicate(names []string) string {
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] {
			return n
		}
		seen[n] = true
	}
	return ""
}

// isCallers tells errors about the name from failures of the store.
func isCallers(err error) bool {
	_, ok := errors.AsType[fault.Coded](err)
	return ok
}

// DeleteParameter deletes a parameter with its history.
func (s *Service) DeleteParameter(ctx context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	r, err := parseOwnName(*in.Name, db.ScopeOf(ctx))
	if err != nil {
		return nil, err
	}
	out := &ssm.DeleteParameterOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		return s.removeFound(tx, r)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteParameters deletes up to ten parameters; those that do not exist come
// back in InvalidParameters.
func (s *Service) DeleteParameters(ctx context.Context, in *ssm.DeleteParametersInput) (*ssm.DeleteParametersOutput, error) {
	out := &ssm.DeleteParametersOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		*out = ssm.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
		for _, name := range in.Names {
			switch err := s.removeNamed(tx, name); {
			case err == nil:
				out.DeletedParameters = append(out.DeletedParameters, name)
			case isCallers(err):
				out.InvalidParameters = append(out.InvalidParameters, name)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) removeNamed(tx *db.Tx, name string) error {
	r, err := parseOwnName(name, tx.Scope)
	if err != nil {
		return err
	}
	return s.removeFound(tx, r)
}

func (s *Service) removeFound(tx *db.Tx, r reference) error {
	v, err := lock(tx, r.names[0])
	if err != nil {
		return err
	}
	if v == nil {
		return notFound(r.names[0])
	}
	return s.remove(tx, v, "parameter.deleted")
}

// remove deletes a parameter with its versions, labels, tags and timers.
func (s *Service) remove(tx *db.Tx, v *version, kind string) error {
	if err := s.unschedule(tx, v); err != nil {
		return err
	}
	if err := dropAll(tx, v.name); err != nil {
		return err
	}
	if err := tagging.Drop(tx, Kind, v.name); err != nil {
		return err
	}
	return s.record(tx, kind, fact{Operation: "Delete", Name: v.name, Version: v.number, Type: v.typ, Tier: v.tier})
}
