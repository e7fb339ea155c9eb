package identity

import "sync"

// cached is how many entries a generation of a cache holds; two live at a time.
const cached = 8192

// cache is a bounded map for what is made again when it is gone.
type cache[V any] struct {
	mu       sync.RWMutex
	now, old map[string]V
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.RLock()
	v, ok := c.now[key]
	fresh := ok
	if !ok {
		v, ok = c.old[key]
	}
	c.mu.RUnlock()
	if ok && !fresh {
		c.put(key, v)
	}
	return v, ok
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil || len(c.now) >= cached {
		c.old, c.now = c.now, map[string]V{}
	}
	c.now[key] = v
}

func (c *cache[V]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.now, key)
	delete(c.old, key)
}
