package identity

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// served are the signing names that the hub answers to.
var served = []string{"ssm", "ssm-incidents", "ssm-contacts", "sts", "ssmmessages", "ec2messages", "execute-api", "watchbill", "kms", "logs", "s3"}

// Authenticate checks the signature of a request. The context it returns, made
// from the request's, carries the Caller and the scope; service is the signing
// name. Errors are *sigv4.Error, in the words of the service.
func (s *Service) Authenticate(r *http.Request, body []byte) (ctx context.Context, service string, err error) {
	return s.authenticate(r, func(sig *sigv4.Signature, lookup sigv4.Lookup) error {
		return s.verifier.Check(sig, r, body, time.Now(), lookup)
	})
}

// AuthenticateStream is Authenticate for a request to S3 whose body is not read yet;
// payload is what the request says of it, see sigv4.Verifier.CheckStream. The stream
// checks a body that is signed in chunks.
func (s *Service) AuthenticateStream(r *http.Request, payload string) (ctx context.Context, stream *sigv4.Stream, err error) {
	ctx, service, err := s.authenticate(r, func(sig *sigv4.Signature, lookup sigv4.Lookup) (err error) {
		stream, err = s.verifier.CheckStream(sig, r, payload, time.Now(), lookup)
		return err
	})
	if err == nil && service != "s3" {
		err = sigv4.BadScope(sigv4.Query, "Credential should be scoped to correct service: 's3'.")
	}
	return ctx, stream, err
}

func (s *Service) authenticate(r *http.Request, check func(*sigv4.Signature, sigv4.Lookup) error) (ctx context.Context, service string, err error) {
	ctx = r.Context()
	sig, err := sigv4.Parse(r)
	if err != nil {
		return ctx, "", err
	}
	service = sig.Scope.Service
	if err := s.checkScope(r, sig.Scope); err != nil {
		return ctx, service, err
	}
	var caller Caller
	lookup := func(id, token string) (string, error) {
		secret, c, err := s.credentials(ctx, id, token)
		caller = c
		return secret, err
	}
	if err := check(sig, lookup); err != nil {
		return ctx, service, err
	}
	caller.AccessKeyID = sig.Scope.AccessKeyID
	caller.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	ctx = db.WithScope(ctx, db.Scope{Account: s.config.Account, Region: sig.Scope.Region})
	return With(ctx, caller), service, nil
}

// HoldsNodeToken says that a request carries the session token of a node, minted
// here and in force, with the access key id that belongs to it. It is known from
// the header alone, without the signature, which covers a body that may not have
// been read yet: good for deciding how much of it to read, for nothing more.
func (s *Service) HoldsNodeToken(r *http.Request) bool {
	sig, err := sigv4.Parse(r)
	if err != nil || sig.SessionToken == "" {
		return false
	}
	x, ok := s.openToken(sig.SessionToken)
	if !ok || x.Kind != Node || x.ID != sig.Scope.AccessKeyID || !time.Now().Before(db.FromMicros(x.Expires)) {
		return false
	}
	_, ok = s.sessionCaller(x)
	return ok
}

func (s *Service) checkScope(r *http.Request, c sigv4.Scope) error {
	f := sigv4.FamilyOf(c.Service)
	if !slices.Contains(served, c.Service) { // the client expects the errors of the service it meant
		f = sigv4.FamilyOfRequest(r)
	}
	// The older SDKs sign sts for us-east-1 wherever they are.
	global := c.Service == "sts" && c.Region == "us-east-1"
	if !slices.Contains(s.config.Regions, c.Region) && !global {
		return sigv4.BadScope(f, "Credential should be scoped to a valid region.")
	}
	if !slices.Contains(served, c.Service) {
		return sigv4.BadScope(f, "Credential should be scoped to a correct service.")
	}
	return nil
}

// credentials finds the secret and the caller behind an access key id. Without
// them the error is one of sigv4's, so that the answer tells nothing more.
func (s *Service) credentials(ctx context.Context, id, token string) (string, Caller, error) {
	if token != "" {
		return s.temporary(id, token)
	}
	k, ok, err := s.key(ctx, id)
	if err != nil {
		return "", Caller{}, err
	}
	c, known := s.user(k.user)
	if !ok || !known {
		return "", Caller{}, sigv4.ErrUnknownKey
	}
	return k.secret, c, nil
}

func (s *Service) temporary(id, token string) (string, Caller, error) {
	x, ok := s.openToken(token)
	if !ok || x.ID != id {
		return "", Caller{}, sigv4.ErrUnknownKey
	}
	if !time.Now().Before(db.FromMicros(x.Expires)) {
		return x.Secret, Caller{}, sigv4.ErrExpiredKey
	}
	c, ok := s.sessionCaller(x)
	if !ok {
		// Revoked, or its holder is gone: over, like an expired one.
		return x.Secret, Caller{}, sigv4.ErrExpiredKey
	}
	return x.Secret, c, nil
}
