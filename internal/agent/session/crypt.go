package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const (
	dataKeyLength = 64
	nonceLength   = 12
)

// crypt encrypts the payloads of a session: a nonce of 12 bytes, then AES-256
// in GCM mode. The first half of the data key is for what the node sends. The
// nonces of the node are a random prefix and a counter, so that none is used
// twice.
type crypt struct {
	out, in cipher.AEAD
	prefix  [4]byte
	count   uint64
}

func newCrypt(key []byte) (*crypt, error) {
	if len(key) != dataKeyLength {
		return nil, fmt.Errorf("the data key has %d bytes, not %d", len(key), dataKeyLength)
	}
	out, err := newGCM(key[:dataKeyLength/2])
	if err != nil {
		return nil, err
	}
	in, err := newGCM(key[dataKeyLength/2:])
	if err != nil {
		return nil, err
	}
	c := &crypt{out: out, in: in}
	_, _ = rand.Read(c.prefix[:])
	return c, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sealed says whether payloads of a type from the node are encrypted.
func sealed(payloadType uint32) bool {
	return payloadType == mgs.PayloadOutput || payloadType == mgs.PayloadStdErr || payloadType == mgs.PayloadExitCode
}

func (c *crypt) seal(plain []byte) []byte {
	nonce := append(make([]byte, 0, nonceLength+len(plain)+c.out.Overhead()), c.prefix[:]...)
	nonce = binary.BigEndian.AppendUint64(nonce, c.count)
	c.count++
	return c.out.Seal(nonce, nonce, plain, nil)
}

func (c *crypt) open(sealed []byte) ([]byte, error) {
	if len(sealed) < nonceLength {
		return nil, errors.New("encrypted input is too short")
	}
	plain, err := c.in.Open(nil, sealed[:nonceLength], sealed[nonceLength:], nil)
	if err != nil {
		return nil, errors.New("encrypted input cannot be decrypted")
	}
	return plain, nil
}
