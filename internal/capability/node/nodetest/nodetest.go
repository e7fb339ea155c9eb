// Package nodetest has what tests need to register nodes.
package nodetest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"sync"
)

// PublicKey is a node's RSA key as a registration has it: base64 of the DER form.
// It is made once in a run.
var PublicKey = sync.OnceValue(func() string { return NewKey(2048) })

// NewKey makes a key of a number of bits.
func NewKey(bits int) string {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}
