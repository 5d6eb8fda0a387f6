package object

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// manyAtOnce is how many objects are dealt with at once: of a small one most is
// waiting for answers, and the memory of large ones has a budget.
const manyAtOnce = 32

// Finding is what was found of one object, or why nothing was.
type Finding struct {
	Key    string
	Health Health
	Err    error
}

// ScrubAll scrubs the objects of all keys, some at once, and calls found with
// each, one at a time, in no order.
func (s *Store) ScrubAll(ctx context.Context, keys []string, o ScrubOptions, job *Job, found func(Finding)) error {
	return many(ctx, keys, found, func(key string) Finding {
		h, err := s.Scrub(ctx, key, o, job)
		return Finding{key, h, err}
	})
}

// RepairAll repairs them likewise; they are begun in the order of the keys.
func (s *Store) RepairAll(ctx context.Context, keys []string, o RepairOptions, job *Job, done func(Finding)) error {
	return many(ctx, keys, done, func(key string) Finding {
		h, err := s.Repair(ctx, key, o, job)
		return Finding{key, h, err}
	})
}

// many stops early when ctx ends; what was cut off is not told of.
func many[T any](ctx context.Context, keys []string, tell func(T), do func(key string) T) error {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(manyAtOnce)
	for _, key := range keys {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			result := do(key)
			if ctx.Err() != nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			tell(result)
			return nil
		})
	}
	g.Wait() // nobody returns an error: each is told
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
