package sessiontest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// keys are the client's halves of a data key.
type keys struct{ out, in cipher.AEAD }

func newKeys(plain []byte) (*keys, error) {
	if len(plain) != 64 {
		return nil, errors.New("the data key has not 64 bytes")
	}
	var k keys
	for half, gcm := range map[int]*cipher.AEAD{0: &k.in, 1: &k.out} {
		block, err := aes.NewCipher(plain[32*half : 32*half+32])
		if err != nil {
			return nil, err
		}
		if *gcm, err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return &k, nil
}

func (k *keys) seal(plain []byte) []byte {
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	return k.out.Seal(nonce, nonce, plain, nil)
}

func (k *keys) open(sealed []byte) ([]byte, error) {
	if len(sealed) < 12 {
		return nil, errors.New("too short")
	}
	return k.in.Open(nil, sealed[:12], sealed[12:], nil)
}
