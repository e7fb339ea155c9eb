package release

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Manifest is one release.
type Manifest struct {
	Version  string            `json:"version"` // one to four numbers, as 1.4.0.0
	Floor    string            `json:"floor,omitzero"`
	Created  time.Time         `json:"created"`
	Expires  time.Time         `json:"expires"` // a hub cannot hand it on for ever
	Keys     []string          `json:"keys,omitzero"`
	Binaries map[string]Binary `json:"binaries"` // by GOOS/GOARCH
}

// Binary is the program for one platform.
type Binary struct {
	File   string `json:"file"` // name beside the manifest
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// signed is the text of a release: the manifest's own bytes, so that a
// signature holds whatever writes JSON.
type signed struct {
	Manifest   string   `json:"manifest"`
	Signatures []string `json:"signatures"` // base64, Ed25519
}

// context separates these signatures from any other use of a key.
const context = "watchbill release 1\n"

// MaxManifest bounds the text of a release, in bytes.
const MaxManifest = 1 << 20

// maxBinary bounds a program, in bytes.
const maxBinary = 512 << 20

// Errors of Verify.
var (
	ErrSignature = errors.New("the release is not signed by a key that this node trusts")
	ErrExpired   = errors.New("the release has expired")
)

// Sign writes a release.
func Sign(m Manifest, keys ...ed25519.PrivateKey) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	s := signed{Manifest: string(text)}
	for _, k := range keys {
		s.Signatures = append(s.Signatures, base64.StdEncoding.EncodeToString(ed25519.Sign(k, []byte(context+s.Manifest))))
	}
	b, err := json.MarshalIndent(s, "", " ")
	return append(b, '\n'), err
}

// Verify reads a release that one of the trusted keys has signed.
func Verify(text []byte, trusted []string, now time.Time) (*Manifest, error) {
	var s signed
	if len(text) > MaxManifest || json.Unmarshal(text, &s) != nil {
		return nil, errors.New("the release cannot be read")
	}
	if !s.by(trusted) {
		return nil, ErrSignature
	}
	m := new(Manifest)
	if err := json.Unmarshal([]byte(s.Manifest), m); err != nil {
		return nil, fmt.Errorf("the release's manifest cannot be read: %w", err)
	}
	if !now.Before(m.Expires) {
		return nil, fmt.Errorf("%w on %s", ErrExpired, m.Expires.Format(time.DateOnly))
	}
	return m, m.check()
}

func (s *signed) by(trusted []string) bool {
	for _, text := range trusted {
		key, err := ParseKey(text)
		if err != nil {
			continue
		}
		for _, sig := range s.Signatures {
			value, err := base64.StdEncoding.DecodeString(sig)
			if err == nil && ed25519.Verify(key, []byte(context+s.Manifest), value) {
				return true
			}
		}
	}
	return false
}

var (
	fileForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	sumForm      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)
)

func (m *Manifest) check() error {
	for _, v := range []string{m.Version, m.Floor} {
		if _, err := parse(v); err != nil && v != "" || m.Version == "" {
			return fmt.Errorf("version %q is not one to four numbers", v)
		}
	}
	if len(m.Binaries) == 0 {
		return errors.New("the release has no binaries")
	}
	for platform, b := range m.Binaries {
		if !platformForm.MatchString(platform) || !fileForm.MatchString(b.File) || !sumForm.MatchString(b.SHA256) || b.Size < 1 || b.Size > maxBinary {
			return fmt.Errorf("the release's binary for %q is not valid", platform)
		}
	}
	for _, k := range m.Keys {
		if _, err := ParseKey(k); err != nil {
			return err
		}
	}
	return nil
}

// ParseKey reads a public key: base64 of its 32 bytes.
func ParseKey(text string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("a release key is not the base64 of 32 bytes")
	}
	return b, nil
}

// PublicKey is the text of the public half of a key.
func PublicKey(k ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))
}

// NewKey makes a private key, in PEM form.
func NewKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ReadKey reads what NewKey made.
func ReadKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the release key is not a PEM file")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the release key cannot be read: %w", err)
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("the release key is not an Ed25519 key")
	}
	return k, nil
}

// Compare orders two versions; missing numbers are 0. One that is no version
// is the smallest.
func Compare(a, b string) int {
	x, _ := parse(a)
	y, _ := parse(b)
	return slices.Compare(x[:], y[:])
}

func parse(v string) (out [4]int, err error) {
	parts := strings.Split(v, ".")
	if len(parts) > len(out) {
		return out, errors.New("more than four numbers")
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return [4]int{}, err
		}
		out[i] = int(n)
	}
	return out, nil
}
