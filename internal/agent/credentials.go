package agent

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// role keeps the node's temporary credentials: asked for with the node's key,
// renewed at half their life and at once after a refusal.
type role struct {
	hub *hub
	dir string

	mu    sync.Mutex
	state *state
	key   *rsa.PrivateKey
	creds sigv4.Credentials
	renew time.Time // by the hub's clock
	still bool      // the key stays as it is: another program may use the directory
}

func newRole(h *hub, dir string, s *state) (*role, error) {
	key, err := decodeKey(s.Key)
	if err != nil {
		return nil, err
	}
	return &role{hub: h, dir: dir, state: s, key: key}, nil
}

// roleToken is the hub's answer to RequestManagedInstanceRoleToken.
type roleToken struct {
	AccessKeyID         string `json:"AccessKeyId"`
	SecretAccessKey     string
	SessionToken        string
	TokenExpirationDate float64 // seconds since 1970
	UpdateKeyPair       bool
}

// get gives valid credentials.
func (r *role) get(ctx context.Context) (sigv4.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.creds.AccessKeyID != "" && r.hub.now().Before(r.renew) {
		return r.creds, nil
	}
	token, err := r.request(ctx)
	if err != nil {
		return sigv4.Credentials{}, fmt.Errorf("no credentials: %w", err)
	}
	now := r.hub.now()
	life := time.UnixMilli(int64(token.TokenExpirationDate * 1000)).Sub(now)
	r.creds = sigv4.Credentials{AccessKeyID: token.AccessKeyID, SecretAccessKey: token.SecretAccessKey, SessionToken: token.SessionToken}
	r.renew = now.Add(life / 2)
	if token.UpdateKeyPair && !r.still {
		return r.creds, r.rotate(ctx)
	}
	return r.creds, nil
}

// refused drops credentials that the hub did not accept; whether other ones
// took their place already is looked at.
func (r *role) refused(c sigv4.Credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.creds.AccessKeyID == c.AccessKeyID {
		r.creds = sigv4.Credentials{}
	}
}

// request asks for a token with the node's key. After a rotation in doubt the
// new key is tried when the old one is refused.
func (r *role) request(ctx context.Context) (roleToken, error) {
	token, err := r.ask(ctx, r.key)
	var refused *hubError
	if !errors.As(err, &refused) || !refused.refusedKey() || r.state.NextKey == "" {
		return token, err
	}
	next, kerr := decodeKey(r.state.NextKey)
	if kerr != nil {
		return token, err
	}
	if token, nerr := r.ask(ctx, next); nerr == nil {
		return token, r.adopt(next)
	}
	return token, err
}

func (r *role) ask(ctx context.Context, key *rsa.PrivateKey) (roleToken, error) {
	var token roleToken
	in := map[string]string{"Fingerprint": r.state.Fingerprint}
	err := r.hub.call(ctx, "RequestManagedInstanceRoleToken", in, &token, r.hub.byKey(r.state.InstanceID, key))
	if err == nil && (token.AccessKeyID == "" || token.SecretAccessKey == "" || token.TokenExpirationDate == 0) {
		err = errors.New("the hub's answer to RequestManagedInstanceRoleToken is incomplete")
	}
	return token, err
}

// rotate replaces the node's key because the hub asked for it. The new key is
// on the disk before the hub hears of it.
func (r *role) rotate(ctx context.Context) error {
	next, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	public, err := publicKey(next)
	if err != nil {
		return err
	}
	if r.state.NextKey, err = encodeKey(next); err != nil {
		return err
	}
	if err := r.state.write(r.dir); err != nil {
		return err
	}
	in := map[string]string{"NewPublicKey": public, "NewPublicKeyType": "Rsa"}
	var out struct{}
	if err := r.hub.call(ctx, "UpdateManagedInstancePublicKey", in, &out, r.hub.byKey(r.state.InstanceID, r.key)); err != nil {
		return fmt.Errorf("the new key of the node was not accepted: %w", err)
	}
	return r.adopt(next)
}

func (r *role) adopt(key *rsa.PrivateKey) error {
	text, err := encodeKey(key)
	if err != nil {
		return err
	}
	r.state.Key, r.state.NextKey = text, ""
	if err := r.state.write(r.dir); err != nil {
		return err
	}
	r.key = key
	return nil
}

// call calls an operation of the ssm service with the credentials, renewed
// once when the hub refuses them.
func (r *role) call(ctx context.Context, operation string, in, out any) error {
	return r.with(ctx, func(c sigv4.Credentials) error {
		return r.hub.call(ctx, operation, in, out, r.hub.byCredentials(c, "ssm"))
	})
}

func (r *role) with(ctx context.Context, f func(sigv4.Credentials) error) error {
	c, err := r.get(ctx)
	if err != nil {
		return err
	}
	err = f(c)
	var refused *hubError
	if !errors.As(err, &refused) || !refused.refusedKey() {
		return err
	}
	r.refused(c)
	if c, err = r.get(ctx); err != nil {
		return err
	}
	return f(c)
}
