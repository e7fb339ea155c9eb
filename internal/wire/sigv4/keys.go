package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
)

// generation is how many derived keys a generation of the cache holds; two
// generations live at a time.
const generation = 4096

// keyCache remembers derived signing keys. A key is found by the digest of its
// secret, so a changed secret never meets an old entry.
type keyCache struct {
	mu  sync.RWMutex
	now map[cacheKey][32]byte
	old map[cacheKey][32]byte
}

type cacheKey struct {
	secret                [32]byte
	date, region, service string
}

func (c *keyCache) get(secret string, s Scope) [32]byte {
	k := cacheKey{sha256.Sum256([]byte(secret)), s.Date, s.Region, s.Service}
	c.mu.RLock()
	v, fresh := c.now[k]
	old, known := c.old[k]
	c.mu.RUnlock()
	if fresh {
		return v
	}
	if !known {
		old = derive(secret, s)
	}
	// Scope names come from the client: only copies of them are kept.
	k.date, k.region, k.service = strings.Clone(k.date), strings.Clone(k.region), strings.Clone(k.service)
	c.put(k, old)
	return old
}

func (c *keyCache) put(k cacheKey, v [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.now) >= generation || c.now == nil {
		c.old, c.now = c.now, make(map[cacheKey][32]byte)
	}
	c.now[k] = v
}

// derive is the signing key of a secret for one day, region and service.
func derive(secret string, s Scope) [32]byte {
	k := mac([]byte("AWS4"+secret), s.Date)
	k = mac(k, s.Region)
	k = mac(k, s.Service)
	return [32]byte(mac(k, terminal))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
