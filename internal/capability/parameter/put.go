package parameter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// maxTries is how often a put that races with others starts anew.
const maxTries = 50

// needsSealing stops a transaction whose value must first be sealed for the
// version that it would become: sealing may reach a key service.
type needsSealing int64

func (n needsSealing) Error() string { return fmt.Sprintf("seal for version %d first", int64(n)) }

// PutParameter creates a parameter or adds a version to one.
func (s *Service) PutParameter(ctx context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	c, err := newChange(in, db.ScopeOf(ctx), time.Now())
	if err != nil {
		return nil, err
	}
	tags, err := tagging.Pairs(in.Tags, func(t ssm.Tag) (key, value *string) { return t.Key, t.Value })
	if err != nil {
		return nil, err
	}
	c.actor = journal.ActorOf(ctx)
	var sealed sealedValue
	for range maxTries {
		out, err := s.put(ctx, c, tags, sealed)
		if need, ok := errors.AsType[needsSealing](err); ok {
			if sealed, err = s.sealFor(ctx, c, int64(need)); err != nil {
				return nil, err
			}
			continue
		}
		if errors.Is(err, errRaced) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	return nil, &ssm.TooManyUpdates{Message: "There are concurrent updates for a resource that supports one update at a time."}
}

// sealedValue is the value sealed for one version.
type sealedValue struct {
	number int64
	bytes  []byte
}

func (s *Service) sealFor(ctx context.Context, c change, number int64) (sealedValue, error) {
	b, err := s.Sealer.Seal(ctx, []byte(c.value), place(db.ScopeOf(ctx), c.name, number))
	if err != nil {
		return sealedValue{}, fmt.Errorf("parameter %s: %w", c.name, err)
	}
	return sealedValue{number, b}, nil
}

// place is the associated data of a sealed value.
func place(s db.Scope, name string, number int64) string {
	return "parameter/" + s.Account + "/" + s.Region + "/" + strconv.FormatInt(number, 10) + "/" + name
}

func (s *Service) put(ctx context.Context, c change, tags map[string]string, sealed sealedValue) (*ssm.PutParameterOutput, error) {
	out := &ssm.PutParameterOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		old, err := lock(tx, c.name)
		if err != nil {
			return err
		}
		if c.defaultTier, err = s.defaultTier(tx); err != nil {
			return err
		}
		v, err := next(old, c, tx.Now)
		if err != nil {
			return err
		}
		if v.typ == ssm.ParameterTypeSecureString {
			if sealed.number != v.number {
				return needsSealing(v.number)
			}
			v.value, v.sealed = "", sealed.bytes
		}
		out.Tier, out.Version = v.tier, new(v.number)
		return s.add(tx, old, v, tags)
	})
	return out, err
}

func (s *Service) defaultTier(tx *db.Tx) (ssm.ParameterTier, error) {
	if s.DefaultTier == nil {
		return ssm.ParameterTierStandard, nil
	}
	tier, err := s.DefaultTier(tx)
	return ssm.ParameterTier(tier), err
}

// add writes a new version with all that follows from it.
func (s *Service) add(tx *db.Tx, old, v *version, tags map[string]string) error {
	operation := "Update"
	if old == nil {
		operation = "Create"
		if err := checkTwin(tx, v.name); err != nil {
			return err
		}
		if err := setTags(tx, v.name, tags); err != nil {
			return err
		}
	} else if err := makeRoom(tx, v.name); err != nil {
		return err
	}
	if err := v.save(tx); err != nil {
		return err
	}
	if err := s.schedule(tx, old, v); err != nil {
		return err
	}
	return s.record(tx, "parameter.put", fact{Operation: operation, Name: v.name, Version: v.number, Type: v.typ, Tier: v.tier})
}

// checkTwin keeps two parameters from having one ARN, by which policies and tags
// could not tell them apart.
func checkTwin(tx *db.Tx, name string) error {
	other := twin(name)
	if other == "" {
		return nil
	}
	v, err := read(tx, other)
	if err == nil && v != nil {
		return &ssm.ParameterAlreadyExists{Message: "The parameter " + other + " already exists; it has the same ARN as " + name + "."}
	}
	return err
}

func setTags(tx *db.Tx, name string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	err := tagging.Set(tx, Kind, name, tags)
	if errors.Is(err, tagging.ErrTooMany) {
		return &ssm.TooManyTagsError{Message: "The parameter has too many tags: 50 is the most."}
	}
	return err
}

// makeRoom drops the oldest version when there are as many as are kept. One with
// a label is not dropped: the put is refused.
func makeRoom(tx *db.Tx, name string) error {
	number, count, err := oldest(tx, name)
	if err != nil || count < maxVersions {
		return err
	}
	all, err := labels(tx, name)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.number == number {
			return &ssm.ParameterMaxVersionLimitExceeded{Message: fmt.Sprintf("You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", name, number)}
		}
	}
	return dropVersion(tx, name, number)
}
