package key

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// A ciphertext is
//
//	1 byte    version, 1
//	16 bytes  id of the key
//	32 bytes  salt
//	          AES-256-GCM of the plaintext, with its tag
//
// Cipher key and nonce are derived from the key's material and the salt, so that no
// two ciphertexts share them, however many a key makes. What is authenticated with the
// text is the place of the key and the encryption context.
const (
	version     = 1
	saltBytes   = 32
	headBytes   = 1 + len(uuid.UUID{}) + saltBytes
	cipherBytes = 32
	nonceBytes  = 12
)

var errCiphertext = errors.New("key: the ciphertext does not open")

// encrypt makes a ciphertext under the material of a key.
func encrypt(material []byte, id uuid.UUID, place string, context map[string]string, plaintext []byte) ([]byte, error) {
	head := make([]byte, headBytes, headBytes+len(plaintext)+aes.BlockSize)
	head[0] = version
	copy(head[1:], id[:])
	salt := head[1+len(id):]
	_, _ = rand.Read(salt) // never fails
	aead, nonce, err := open(material, salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, nonce, plaintext, authenticated(place, context)), nil
}

// decrypt opens a ciphertext; errCiphertext when anything about it is not as it was.
func decrypt(material []byte, place string, context map[string]string, ciphertext []byte) ([]byte, error) {
	if _, ok := keyOf(ciphertext); !ok {
		return nil, errCiphertext
	}
	aead, nonce, err := open(material, ciphertext[headBytes-saltBytes:headBytes])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, ciphertext[headBytes:], authenticated(place, context))
	if err != nil {
		return nil, errCiphertext
	}
	return plain, nil
}

// keyOf is the id of the key that a ciphertext names.
func keyOf(ciphertext []byte) (string, bool) {
	if len(ciphertext) <= headBytes || ciphertext[0] != version {
		return "", false
	}
	return uuid.UUID(ciphertext[1:17]).String(), true
}

func open(material, salt []byte) (cipher.AEAD, []byte, error) {
	derived, err := hkdf.Key(sha256.New, material, salt, "watchbill kms ciphertext", cipherBytes+nonceBytes)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:cipherBytes])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, derived[cipherBytes:], err
}

// authenticated is one text for each place and context, and no text for two.
func authenticated(place string, context map[string]string) []byte {
	var b bytes.Buffer
	add := func(s string) {
		b.Write(binary.AppendUvarint(nil, uint64(len(s))))
		b.WriteString(s)
	}
	add(place)
	for _, name := range slices.Sorted(maps.Keys(context)) {
		add(name)
		add(context[name])
	}
	return b.Bytes()
}
