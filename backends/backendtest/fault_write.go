package backendtest

import (
	"bytes"
	"slices"
	"time"
)

// Truncate makes a Put store the first n bytes only, and call it done. Here and below, n
// below zero is counted from the end.
func Truncate(n int) Action {
	return storing(func(data []byte) []byte { return head(data, n) })
}

// Drop makes a Put store nothing, and call it done; a Remove leaves the file.
func Drop() Action {
	return Action{
		put:    func(c *call, data []byte) (string, error) { return md5Of(data), c.Err() },
		remove: func(c *call) error { return c.Err() },
	}
}

// Later makes a Put or Remove take effect after the next calls, so many, to the store, or when
// Land says so, and calls it done at once. Calls below zero wait for Land.
func Later(calls int) Action {
	return Action{
		put: func(c *call, data []byte) (string, error) {
			if c.Err() != nil {
				return "", c.failed(c.Err())
			}
			data = slices.Clone(data)
			c.f.postpone(calls, func() { _, _ = c.f.store.Put(bg, c.name, data) })
			return md5Of(data), nil
		},
		remove: func(c *call) error {
			if c.Err() != nil {
				return c.failed(c.Err())
			}
			c.f.postpone(calls, func() { _ = c.f.store.Remove(bg, c.name) })
			return nil
		},
	}
}

// Lag makes a Put store a file that Get finds at once and that the next Lists which should
// show it, so many, do not.
func Lag(lists int) Action {
	return Action{put: func(c *call, data []byte) (string, error) {
		hash, err := c.store.Put(c, c.name, data)
		if err == nil {
			c.f.hide(c.name, lists)
		}
		return hash, err
	}}
}

// Break makes a Put fail with err after n bytes, which stay there, and a Get fail that has read
// n bytes.
func Break(n int, err error) Action {
	return Action{
		put: func(c *call, data []byte) (string, error) {
			if _, err := c.store.Put(c, c.name, head(data, n)); err != nil {
				return "", err
			}
			return "", c.failed(err)
		},
		get: func(c *call, dst []byte) (int, error) {
			whole, failed := c.read(len(dst))
			if failed != nil {
				return 0, failed
			}
			return copy(dst, head(whole, n)), c.failed(err)
		},
	}
}

// Longer puts n more bytes behind the file: behind what a Put stores, or what a Get finds.
func Longer(n int) Action {
	more := func(data []byte) []byte { return append(slices.Clone(data), bytes.Repeat([]byte{'x'}, n)...) }
	a := reading(func(_ *call, data []byte) []byte { return more(data) })
	a.put = storing(more).put
	return a
}

// FlipBit turns one bit over: of what a Put stores, or of what a Get reads.
func FlipBit() Action {
	a := reading(func(_ *call, data []byte) []byte { return flip(data) })
	a.put = storing(flip).put
	return a
}

// Trickle lets one byte pass a second. A Put that is left meanwhile leaves behind what has
// passed; a List takes a second for each byte of a name.
func Trickle() Action {
	a := listing(func(c *call, all []entry) ([]entry, error) {
		for _, e := range all {
			if err := sleep(c, time.Duration(len(e.Name))*time.Second); err != nil {
				return nil, c.failed(err)
			}
		}
		return all, nil
	})
	a.put = func(c *call, data []byte) (string, error) {
		for n := range data {
			if err := sleep(c, time.Second); err != nil {
				_, _ = c.store.Put(bg, c.name, data[:n])
				return "", c.failed(err)
			}
		}
		return c.store.Put(c, c.name, data)
	}
	a.get = func(c *call, dst []byte) (int, error) {
		n, err := c.store.Get(c, c.name, dst)
		for range n {
			if err := sleep(c, time.Second); err != nil {
				return 0, c.failed(err)
			}
		}
		return n, err
	}
	return a
}

// storing makes a Put store something else. A store that alters data reports the hash of what
// it was given.
func storing(instead func(data []byte) []byte) Action {
	return Action{put: func(c *call, data []byte) (string, error) {
		if _, err := c.store.Put(c, c.name, instead(data)); err != nil {
			return "", err
		}
		return md5Of(data), nil
	}}
}

func head(data []byte, n int) []byte {
	if n < 0 {
		n += len(data)
	}
	return data[:min(max(n, 0), len(data))]
}
