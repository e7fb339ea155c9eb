package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"time"
)

// Window is how far X-Amz-Date may be from now, either way. Source: the IAM
// user guide, "within five minutes" in most cases.
const Window = 5 * time.Minute

// ErrUnknownKey is what a Lookup returns for an access key that does not exist
// or whose session token is not its own.
var ErrUnknownKey = errors.New("unknown access key")

// ErrExpiredKey is what a Lookup returns together with the secret when the
// credentials are past their end; the caller learns it only after proving the
// secret.
var ErrExpiredKey = errors.New("expired access key")

// Lookup finds the secret access key of an access key id; token is the session
// token of the request, "" without one.
type Lookup func(accessKeyID, token string) (secret string, err error)

// Verifier checks signatures. The zero value is ready; one is shared by all requests.
type Verifier struct {
	keys keyCache
}

// Verify checks the signature of a request whose whole body is given, at the
// instant now. Errors are *Error, or what lookup returned besides ErrUnknownKey
// and ErrExpiredKey.
func (v *Verifier) Verify(r *http.Request, body []byte, now time.Time, lookup Lookup) (*Signature, error) {
	s, err := Parse(r)
	if err != nil {
		return nil, err
	}
	return s, v.Check(s, r, body, now, lookup)
}

// Check is Verify for an authorization already read.
func (v *Verifier) Check(s *Signature, r *http.Request, body []byte, now time.Time, lookup Lookup) error {
	if err := s.CheckTime(now); err != nil {
		return err
	}
	text, err := s.StringToSign(r, body)
	if err != nil {
		return err
	}
	_, err = v.check(s, text, lookup)
	return err
}

// check compares the signature with what it must be, and gives the signing key.
func (v *Verifier) check(s *Signature, text string, lookup Lookup) (key [32]byte, err error) {
	secret, found := lookup(s.Scope.AccessKeyID, s.SessionToken)
	if found != nil && !errors.Is(found, ErrUnknownKey) && !errors.Is(found, ErrExpiredKey) {
		return key, found
	}
	key = v.keys.get(secret, s.Scope)
	ok := match(key, text, s.Value)
	f := FamilyOf(s.Scope.Service)
	switch {
	case !ok || errors.Is(found, ErrUnknownKey):
		return key, Mismatch(f)
	case errors.Is(found, ErrExpiredKey):
		return key, Expired(f)
	}
	return key, nil
}

// match compares in constant time; only the lower case hex form is a signature.
func match(key [32]byte, text, value string) bool {
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte(text))
	var sum [32]byte
	var want [64]byte
	hex.Encode(want[:], m.Sum(sum[:0]))
	return subtle.ConstantTimeCompare(want[:], []byte(value)) == 1
}

// CheckTime refuses a signature outside its window at the instant now.
func (s *Signature) CheckTime(now time.Time) error {
	f := FamilyOf(s.Scope.Service)
	if s.Time.Sub(now) > Window {
		return BadScope(f, "Signature not yet current: %s is still later than %s", s.Time.Format(TimeFormat), now.UTC().Add(Window).Format(TimeFormat))
	}
	end := s.Time.Add(Window)
	if s.Presigned {
		end = s.Time.Add(s.Expires)
	}
	if now.After(end) {
		return BadScope(f, "Signature expired: %s is now earlier than %s", end.Format(TimeFormat), now.UTC().Format(TimeFormat))
	}
	return nil
}
