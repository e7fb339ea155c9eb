// Package seal encrypts what must not lie in the store in plain: an envelope of a
// data key, wrapped by a key service, around AES-256-GCM.
//
// The key service is any of gocloud.dev/secrets; by default a key in a local file.
// The place a value belongs to is authenticated with it, so a sealed value that is
// copied to another row does not open there.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/secrets"
	"gocloud.dev/secrets/localsecrets"

	"github.com/watchbill/watchbill/internal/platform/file"
)

// ErrOpen says that a sealed value does not open: another key, another place, or
// changed bytes.
var ErrOpen = errors.New("seal: the value does not open here")

const (
	version   = 1
	keyLength = 32
	renewKey  = time.Hour
	maxKnown  = 4096
	headBytes = 3
)

// Sealer seals and opens values.
type Sealer struct {
	keeper *secrets.Keeper
	mu     sync.Mutex
	now    dataKey
	known  map[string]cipher.AEAD // wrapped key -> cipher
}

type dataKey struct {
	wrapped []byte
	aead    cipher.AEAD
	made    time.Time
}

// New makes a sealer on a key service.
func New(k *secrets.Keeper) *Sealer { return &Sealer{keeper: k, known: map[string]cipher.AEAD{}} }

// OpenFile makes a sealer on a key in a file of mode 0600, which is made when there
// is none.
func OpenFile(path string) (*Sealer, error) {
	key, err := file.Key(path)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return New(localsecrets.NewKeeper([file.KeyBytes]byte(key))), nil
}

// Seal encrypts plaintext for the place that aad names. The same text seals to
// different bytes each time.
func (s *Sealer) Seal(ctx context.Context, plaintext []byte, aad string) ([]byte, error) {
	k, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headBytes, headBytes+len(k.wrapped)+k.aead.NonceSize()+len(plaintext)+k.aead.Overhead())
	out[0] = version
	binary.BigEndian.PutUint16(out[1:], uint16(len(k.wrapped)))
	out = append(out, k.wrapped...)
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out = append(out, nonce...)
	return k.aead.Seal(out, nonce, plaintext, []byte(aad)), nil
}

// Open decrypts what Seal made for the same place.
func (s *Sealer) Open(ctx context.Context, sealed []byte, aad string) ([]byte, error) {
	if len(sealed) < headBytes || sealed[0] != version {
		return nil, ErrOpen
	}
	n := int(binary.BigEndian.Uint16(sealed[1:]))
	rest := sealed[headBytes:]
	if len(rest) < n {
		return nil, ErrOpen
	}
	aead, err := s.unwrap(ctx, rest[:n])
	if err != nil {
		return nil, err
	}
	rest = rest[n:]
	if len(rest) < aead.NonceSize() {
		return nil, ErrOpen
	}
	plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], []byte(aad))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// current is the data key in use; a new one each hour.
func (s *Sealer) current(ctx context.Context) (dataKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.aead != nil && time.Since(s.now.made) < renewKey {
		return s.now, nil
	}
	key := make([]byte, keyLength)
	_, _ = rand.Read(key) // never fails
	wrapped, err := s.keeper.Encrypt(ctx, key)
	if err != nil {
		return dataKey{}, fmt.Errorf("seal: wrap the data key: %w", err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return dataKey{}, err
	}
	s.now = dataKey{wrapped: wrapped, aead: aead, made: time.Now()}
	s.remember(wrapped, aead)
	return s.now, nil
}

func (s *Sealer) unwrap(ctx context.Context, wrapped []byte) (cipher.AEAD, error) {
	s.mu.Lock()
	aead, ok := s.known[string(wrapped)]
	s.mu.Unlock()
	if ok {
		return aead, nil
	}
	key, err := s.keeper.Decrypt(ctx, wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: unwrap the data key: %w", ErrOpen, err)
	}
	if aead, err = newAEAD(key); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(wrapped, aead)
	return aead, nil
}

func (s *Sealer) remember(wrapped []byte, aead cipher.AEAD) {
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[string(wrapped)] = aead
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCM(block)
}
