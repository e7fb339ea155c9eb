package agent

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/uuid"
)

// Config says how to register a node.
type Config struct {
	Hub            string // https://HOST:PORT; http only on the loopback address
	ActivationID   string
	ActivationCode string // never stored
	StateDir       string // made, mode 0700, when missing
	CAFile         string // PEM file with the CA of the hub; "" for the system's
	Region         string // "" takes the one the hub answers, else us-east-1
}

// ErrRegistered says that a state directory holds another registration.
var ErrRegistered = errors.New("this node is already registered")

const (
	keyBits       = 2048
	defaultRegion = "us-east-1"
)

// Register registers this machine with a hub and keeps the registration in the
// state directory. It returns the node's id. The same activation again gives
// the id it gave before; another one is refused with ErrRegistered. Every
// error is one line that says what to do.
func Register(ctx context.Context, c Config) (instanceID string, err error) {
	s, err := c.begin()
	if err != nil || s.InstanceID != "" {
		return s.id(), err
	}
	h, err := newHub(s.Hub, s.CA, s.Region)
	if err != nil {
		return "", err
	}
	key, err := decodeKey(s.Key)
	if err != nil {
		return "", err
	}
	public, err := publicKey(key)
	if err != nil {
		return "", err
	}
	in := map[string]string{
		"ActivationId": c.ActivationID, "ActivationCode": c.ActivationCode, "Fingerprint": s.Fingerprint,
		"PublicKey": public, "PublicKeyType": "Rsa",
	}
	var out struct {
		InstanceID string `json:"InstanceId"`
		Region     string

		ReleaseKeys []string
	}
	if err := h.call(ctx, "RegisterManagedInstance", in, &out, unsigned); err != nil {
		return "", refusal(err)
	}
	if out.InstanceID == "" {
		return "", fmt.Errorf("the hub at %s gave no node id", h.base)
	}
	s.InstanceID, s.ReleaseKeys = out.InstanceID, out.ReleaseKeys
	for _, region := range []string{s.Region, out.Region, defaultRegion} {
		if s.Region == "" {
			s.Region = region
		}
	}
	if err := s.write(c.StateDir); err != nil {
		return "", fmt.Errorf("registered as %s, but the registration cannot be kept: %w", s.InstanceID, err)
	}
	return s.InstanceID, nil
}

func (s *state) id() string {
	if s == nil {
		return ""
	}
	return s.InstanceID
}

func refusal(err error) error {
	var e *hubError
	if errors.As(err, &e) {
		return fmt.Errorf("the hub refused the registration: %w", e)
	}
	return err
}

// begin writes the key before the hub learns it, so a registration whose
// answer was lost is repeated with the same key and fingerprint.
func (c Config) begin() (*state, error) {
	old, err := readState(c.StateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	address := strings.TrimSuffix(c.Hub, "/")
	if old != nil && old.InstanceID != "" {
		if old.ActivationID == c.ActivationID && old.Hub == address {
			return old, nil
		}
		return nil, fmt.Errorf("%w as %s with %s: use another state directory, or remove %s first",
			ErrRegistered, old.InstanceID, old.Hub, statePath(c.StateDir))
	}
	s := &state{Hub: address, ActivationID: c.ActivationID, Region: c.Region}
	if c.CAFile != "" {
		ca, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA file: %w", err)
		}
		s.CA = string(ca)
	}
	if _, err := newHub(s.Hub, s.CA, ""); err != nil {
		return nil, err
	}
	if err := s.identity(old); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the state directory: %w", err)
	}
	return s, s.write(c.StateDir)
}

// identity takes over the key of an attempt before, or makes one.
func (s *state) identity(old *state) error {
	if old != nil && old.ActivationID == s.ActivationID {
		s.Key, s.Fingerprint = old.Key, old.Fingerprint
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	s.Fingerprint = uuid.NewString()
	s.Key, err = encodeKey(key)
	return err
}

// publicKey is the wire form: base64 of the DER SubjectPublicKeyInfo.
func publicKey(key *rsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(der), nil
}
