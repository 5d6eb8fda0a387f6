package backendtest

import (
	"context"
	"fmt"
	"time"

	"shardraid/backends"
)

// Fault is one thing that goes wrong.
type Fault struct {
	Op     string                 // "put", "get", "list" or "remove"; "" is any
	Match  func(name string) bool // of the file or directory; nil is any
	Call   int                    // the first matching call that it hits, from 1; 0 hits each
	Repeat int                    // with Call: how many calls it hits in a row; 0 is one
	Do     Action
}

// Action is what a Fault does. An operation that it does not suit is left alone.
type Action struct {
	before func(ctx context.Context) error            // an error is the answer, the store is not asked
	put    func(data []byte) (stored []byte, ok bool) // what is stored; not ok is nothing
	get    func(data []byte) []byte                   // what is read
	list   func([]backends.Entry) []backends.Entry    // what is listed
	after  error                                      // the answer, though it was done
}

// ErrorInstead answers err and does nothing.
func ErrorInstead(err error) Action {
	return Action{before: func(context.Context) error { return err }}
}

// ErrorAfter does what was asked and answers err: the answer was lost.
func ErrorAfter(err error) Action { return Action{after: err} }

// NotFound answers that there is no such file: a lie, where there is one. For a List use Empty.
func NotFound() Action {
	return ErrorInstead(backends.ErrNotFound)
}

// Truncate makes a Put store the first n bytes only, and call it done.
func Truncate(n int) Action {
	return Action{put: func(data []byte) ([]byte, bool) { return data[:min(n, len(data))], true }}
}

// Drop makes a Put store nothing, and call it done; a Remove leaves the file.
func Drop() Action {
	return Action{put: func([]byte) ([]byte, bool) { return nil, false }}
}

// FlipBit turns one bit over: of what a Put stores, or of what a Get reads.
func FlipBit() Action {
	return Action{
		put: func(data []byte) ([]byte, bool) { return flip(data), true },
		get: flip,
	}
}

// Short makes a Get read the first n bytes only, without an error.
func Short(n int) Action {
	return Action{get: func(data []byte) []byte { return data[:min(n, len(data))] }}
}

// Empty makes a List find nothing.
func Empty() Action {
	return Action{list: func([]backends.Entry) []backends.Entry { return nil }}
}

// Hide makes a List leave out the names that match.
func Hide(match func(name string) bool) Action {
	return Action{list: func(all []backends.Entry) (seen []backends.Entry) {
		for _, e := range all {
			if !match(e.Name) {
				seen = append(seen, e)
			}
		}
		return seen
	}}
}

// Hang waits until the context ends.
func Hang() Action {
	return Action{before: func(ctx context.Context) error {
		<-ctx.Done()
		return fmt.Errorf("hang: %w", ctx.Err())
	}}
}

// Delay waits before it does what was asked.
func Delay(d time.Duration) Action {
	return Action{before: func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

// Run runs f, then does what was asked: for crashes, and for others who come in between.
func Run(f func()) Action {
	return Action{before: func(context.Context) error { f(); return nil }}
}
