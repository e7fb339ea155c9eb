package journal

import (
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// maxCached bounds the remembered hashes; those of the tree's right edge are among
// the last few.
const maxCached = 1 << 14

type hashCache struct {
	mu   sync.Mutex
	have map[int64]tlog.Hash
}

func (c *hashCache) get(n int64) (tlog.Hash, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.have[n]
	return h, ok
}

func (c *hashCache) add(fresh map[int64]tlog.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.have == nil || len(c.have) > maxCached {
		c.have = map[int64]tlog.Hash{}
	}
	for n, h := range fresh {
		c.have[n] = h
	}
}
