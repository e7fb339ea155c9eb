package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The two kinds of references to parameters that the hub stores. Only the
// document's own text is searched for them: what a parameter brings in is
// never looked at again.
const (
	plainPrefix  = "ssm:"
	securePrefix = "ssm-secure:"
)

// stored asks for the plain stored parameters that steps name and adds them to
// v.
func (r *Runner) stored(ctx context.Context, steps []step, v values) error {
	var inputs []map[string]any
	for _, s := range steps {
		inputs = append(inputs, s.inputs...)
	}
	return r.ask(ctx, inputs, plainPrefix, v.text)
}

// secrets are the values of a document with those of the SecureString
// parameters that one step names, read right before the step starts.
func (r *Runner) secrets(ctx context.Context, s step, v values) (values, error) {
	v.text = maps.Clone(v.text)
	return v, r.ask(ctx, s.inputs, securePrefix, v.text)
}

// secret are the SecureString values among the values.
func (v values) secret() []string {
	var out []string
	for name, value := range v.text {
		if text, ok := value.(string); ok && strings.HasPrefix(name, securePrefix) {
			out = append(out, text)
		}
	}
	return out
}

// ask reads the parameters that inputs name with a prefix into found values.
func (r *Runner) ask(ctx context.Context, inputs []map[string]any, prefix string, into map[string]any) error {
	names := map[string]bool{}
	for _, in := range inputs {
		collect(in, prefix, names)
	}
	if len(names) == 0 {
		return nil
	}
	if r.Stored == nil {
		return errors.New("stored parameters cannot be read here")
	}
	found, err := r.Stored(ctx, slices.Sorted(maps.Keys(names)), prefix == securePrefix)
	if err != nil {
		return err
	}
	for name := range names {
		value, ok := found[name]
		if !ok {
			return fmt.Errorf("parameter %s does not exist or may not be read by this node", name)
		}
		into[prefix+name] = value
	}
	return nil
}

// collect finds the names behind a prefix in every string of a value.
func collect(in any, prefix string, names map[string]bool) {
	switch in := in.(type) {
	case string:
		for _, m := range reference.FindAllStringSubmatch(in, -1) {
			if name, ok := strings.CutPrefix(m[1], prefix); ok {
				names[name] = true
			}
		}
	case []any:
		for _, e := range in {
			collect(e, prefix, names)
		}
	case map[string]any:
		for _, e := range in {
			collect(e, prefix, names)
		}
	}
}

// storedName says whether a text names a stored parameter.
func storedName(text string) bool {
	names := map[string]bool{}
	collect(text, plainPrefix, names)
	collect(text, securePrefix, names)
	return len(names) > 0
}

// unresolved ends a document whose stored parameters could not be had: no step
// is started.
func unresolved(steps []step, err error, report func(Result)) Status {
	now := time.Now().UTC()
	for i, s := range steps {
		res := refused(Failed, "the document's parameters cannot be resolved: "+err.Error())
		if i > 0 {
			res = refused(Skipped, "the document's parameters cannot be resolved")
		}
		res.Name, res.Action, res.Start, res.End = s.name, s.action, now, now
		report(res)
	}
	return Failed
}
