package sts

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const (
	defaultSession = 12 * time.Hour // of GetSessionToken
	defaultRole    = time.Hour
	chained        = time.Hour // the longest session that a session gets
)

// Service answers the operations of sts.
type Service struct {
	DB       *db.DB
	Journal  *journal.Journal
	Identity *identity.Service
}

// New makes the service.
func New(s Service) *Service { return &s }

// Operations are the bindings of the operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		sts.BindGetCallerIdentity(s.GetCallerIdentity),
		sts.BindAssumeRole(s.AssumeRole),
		sts.BindGetSessionToken(s.GetSessionToken),
	}
}

// GetCallerIdentity tells who calls.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	c := identity.From(ctx)
	return &sts.GetCallerIdentityOutput{Account: &c.Account, Arn: &c.ARN, UserId: &c.UserID}, nil
}

// GetSessionToken makes temporary credentials of the calling user.
func (s *Service) GetSessionToken(ctx context.Context, in *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, denied("MultiFactorAuthentication failed: there is no device for this user")
	}
	c := identity.From(ctx)
	creds, err := s.Identity.SessionToken(c, seconds(in.DurationSeconds, defaultSession))
	if errors.Is(err, identity.ErrUser) {
		return nil, denied("Cannot call GetSessionToken with session credentials")
	}
	if err != nil {
		return nil, err
	}
	out := &sts.GetSessionTokenOutput{Credentials: projection(creds)}
	err = s.record(ctx, "session.created", c.ARN, map[string]any{"AccessKeyId": creds.AccessKeyID, "Expiration": creds.Expiration}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// record writes the fact of an answer, out.
func (s *Service) record(ctx context.Context, kind, subject string, body, out any) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: subject, Body: body})
	})
}

func projection(c identity.Credentials) *sts.Credentials {
	return &sts.Credentials{
		AccessKeyId: &c.AccessKeyID, SecretAccessKey: new(c.Secret.Reveal()), SessionToken: new(c.SessionToken.Reveal()),
		Expiration: &c.Expiration,
	}
}

func seconds(n *int32, otherwise time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	return time.Duration(*n) * time.Second
}

func denied(text string) error { return fault.New(http.StatusForbidden, "AccessDenied", "%s", text) }

func invalid(format string, args ...any) error {
	return fault.New(http.StatusBadRequest, "ValidationError", format, args...)
}
