package backendtest

import (
	"context"
	"fmt"
	"time"

	"shardraid/backends"
)

// Fault is one thing that goes wrong.
type Fault struct {
	Op     string                 // "put", "get", "list", "remove" or "free"; "" is any
	Match  func(name string) bool // of the file or directory; nil is any
	Call   int                    // the first matching call that it hits, from 1; 0 hits each
	Repeat int                    // with Call: how many calls it hits in a row; 0 is one, ForEver all that follow
	Do     Action
}

// ForEver as a Repeat: all calls from a certain one on.
const ForEver = -1

// Action is what a Fault does with a call, by operation. A call that it does not suit is left
// alone, and the fault was not met.
type Action struct {
	put    func(c *call, data []byte) (hash string, err error)
	get    func(c *call, dst []byte) (int, error)
	list   func(c *call) ([]backends.Entry, error)
	remove func(c *call) error
	free   func(c *call) (int64, error)
}

// suits says whether the action does anything to an operation.
func (a Action) suits(op string) bool {
	return map[string]bool{
		"put": a.put != nil, "get": a.get != nil, "list": a.list != nil, "remove": a.remove != nil, "free": a.free != nil,
	}[op]
}

// call is one call that a fault hits.
type call struct {
	context.Context
	f     *Faulty
	fault *planned
	op    string
	name  string
	store backends.Store // what lies below
}

func (c *call) failed(err error) error {
	return fmt.Errorf("%s %s: %w", c.op, c.name, err)
}

// missed notes that there was nothing to do for the fault after all.
func (c *call) missed() {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.fault.met--
}

// ErrorInstead answers err and does nothing.
func ErrorInstead(err error) Action {
	return around(func(*call) error { return err }, nil)
}

// ErrorAfter does what was asked and answers err: the answer was lost.
func ErrorAfter(err error) Action { return around(nil, err) }

// NotFound answers that there is no such file: a lie, where there is one. For a List use Empty.
func NotFound() Action { return ErrorInstead(backends.ErrNotFound) }

// Throttle answers a 429 that asks to be left alone for so long from then on; 0 names no time.
func Throttle(wait time.Duration) Action {
	return around(func(*call) error { return Throttled(wait) }, nil)
}

// Hang waits until the context ends.
func Hang() Action {
	return around(func(c *call) error {
		<-c.Done()
		return fmt.Errorf("hang: %w", c.Err())
	}, nil)
}

// Delay waits before it does what was asked.
func Delay(d time.Duration) Action {
	return around(func(c *call) error { return sleep(c, d) }, nil)
}

// Run runs f, then does what was asked: for crashes, and for others who come in between.
func Run(f func()) Action {
	return around(func(*call) error { f(); return nil }, nil)
}

// around makes an action for any operation: an error of before is the answer, and the store is
// not asked; after is the answer to what worked.
func around(before func(c *call) error, after error) Action {
	begin := func(c *call) error {
		if before == nil {
			return nil
		}
		if err := before(c); err != nil {
			return c.failed(err)
		}
		return nil
	}
	end := func(c *call, err error) error {
		if err == nil && after != nil {
			return c.failed(after)
		}
		return err
	}
	return Action{
		put: func(c *call, data []byte) (hash string, err error) {
			if err = begin(c); err == nil {
				hash, err = c.store.Put(c, c.name, data)
				err = end(c, err)
			}
			return hash, err
		},
		get: func(c *call, dst []byte) (n int, err error) {
			if err = begin(c); err == nil {
				n, err = c.store.Get(c, c.name, dst)
				err = end(c, err)
			}
			return n, err
		},
		list: func(c *call) (entries []backends.Entry, err error) {
			if err = begin(c); err == nil {
				entries, err = c.store.List(c, c.name)
				err = end(c, err)
			}
			return entries, err
		},
		remove: func(c *call) (err error) {
			if err = begin(c); err == nil {
				err = end(c, c.store.Remove(c, c.name))
			}
			return err
		},
		free: func(c *call) (n int64, err error) {
			if err = begin(c); err == nil {
				n, err = c.store.Free(c)
				err = end(c, err)
			}
			return n, err
		},
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
