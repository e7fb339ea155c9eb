package relay

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const (
	unwrapTime = 10 * time.Second
	maxSealed  = 1 << 20 // bytes that wait for the data key
	nonceSize  = 12
)

// crypt opens the payloads of an encrypted session. The node asks the client
// in the handshake to get a data key, and the client tells the node its
// ciphertext: with the hub as the key service, the hub can open it as well.
type crypt struct {
	keyID     string
	challenge []byte
	on        bool // the client got a key
	ready     bool
	failed    bool
	aeads     [2]cipher.AEAD // by sender
	waiting   []Deliver
	bytes     int
}

// open gives the messages that can be read now, in order. The caller holds the
// lock of l.
func (c *crypt) open(l *live, d Deliver) []Deliver {
	switch d.PayloadType {
	case mgs.PayloadHandshakeRequest:
		if d.Side == Node {
			c.request(d.Payload)
		}
	case mgs.PayloadHandshakeResponse:
		if d.Side == Client {
			c.response(l, d.Payload)
		}
	}
	if !c.on || !sealed(d) {
		return []Deliver{d}
	}
	if c.failed {
		return nil
	}
	if !c.ready {
		if c.bytes+len(d.Payload) <= maxSealed {
			c.waiting = append(c.waiting, d)
			c.bytes += len(d.Payload)
		}
		return nil
	}
	return c.decrypt(l, d)
}

// sealed says whether a message of an encrypted session is encrypted.
func sealed(d Deliver) bool {
	return d.PayloadType == mgs.PayloadOutput || d.Side == Node && (d.PayloadType == mgs.PayloadStdErr || d.PayloadType == mgs.PayloadExitCode)
}

func (c *crypt) decrypt(l *live, d Deliver) []Deliver {
	aead := c.aeads[d.Side]
	if len(d.Payload) < nonceSize {
		return nil
	}
	plain, err := aead.Open(nil, d.Payload[:nonceSize], d.Payload[nonceSize:], nil)
	if err != nil {
		l.broken = true
		l.mark("a message could not be decrypted")
		return nil
	}
	d.Payload = plain
	return []Deliver{d}
}

// request notes the key that the node wants.
func (c *crypt) request(payload []byte) {
	var r struct {
		RequestedClientActions []struct {
			ActionType       string
			ActionParameters json.RawMessage
		}
	}
	if mgs.Decode(payload, &r) != nil {
		return
	}
	for _, a := range r.RequestedClientActions {
		var k mgs.KMSEncryptionRequest
		if a.ActionType == mgs.ActionKMSEncryption && json.Unmarshal(a.ActionParameters, &k) == nil {
			c.keyID, c.challenge = k.KMSKeyID, k.Challenge
		}
	}
}

// response starts to open the data key.
func (c *crypt) response(l *live, payload []byte) {
	var r mgs.HandshakeResponse
	if c.on || mgs.Decode(payload, &r) != nil {
		return
	}
	for _, a := range r.ProcessedClientActions {
		var k mgs.KMSEncryptionResponse
		if a.ActionType != mgs.ActionKMSEncryption || a.ActionStatus != mgs.ActionSuccess || json.Unmarshal(a.ActionResult, &k) != nil {
			continue
		}
		c.on = true
		key := DataKey{KeyID: c.keyID, CipherText: k.KMSCipherTextKey, Context: map[string]string{"aws:ssm:SessionId": l.id, "aws:ssm:TargetId": l.session.Node}}
		if k.ChallengeAcknowledgement {
			key.Context["aws:ssm:RandomChallenge"] = string(c.challenge)
		}
		go l.unwrap(key)
	}
}

// unwrap opens the data key and takes what has waited for it.
func (l *live) unwrap(key DataKey) {
	ctx, cancel := context.WithTimeout(context.Background(), unwrapTime)
	defer cancel()
	var c crypt
	err := errors.New("no key service")
	if l.relay.Unwrap != nil {
		var plain []byte
		if plain, err = l.relay.Unwrap(ctx, l.session, key); err == nil {
			err = c.use(plain)
		}
	}
	l.room.mu.Lock() // the order of locks: the room's first
	l.mu.Lock()
	waiting := l.crypt.waiting
	l.crypt.waiting, l.crypt.bytes, l.crypt.ready, l.crypt.failed, l.crypt.aeads = nil, 0, err == nil, err != nil, c.aeads
	if err != nil {
		l.broken = true
		l.mark("the session is encrypted with a key that this hub does not hold: only its size is recorded")
	}
	for _, d := range waiting {
		if err == nil {
			for _, d := range l.crypt.decrypt(l, d) {
				l.take(d)
			}
		}
	}
	l.mu.Unlock()
	l.room.mu.Unlock()
	l.room.Wake()
	if err == nil {
		return
	}
	l.log.Warn("an encrypted session is not recorded", "error", err)
	if l.session.Strict {
		l.end(session.RecordingFailed, "The session ended because it is encrypted with a key with which it cannot be recorded.")
	}
}

// use makes the ciphers of both directions: the first 32 bytes are the node's.
func (c *crypt) use(key []byte) error {
	if len(key) != 64 {
		return errors.New("a data key of the wrong length")
	}
	for side := range c.aeads {
		block, err := aes.NewCipher(key[side*32 : side*32+32])
		if err != nil {
			return err
		}
		if c.aeads[side], err = cipher.NewGCM(block); err != nil {
			return err
		}
	}
	return nil
}

// full says that too much waits for the key.
func (c *crypt) full() bool { return c.bytes > maxSealed/2 }
