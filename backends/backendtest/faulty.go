// Package backendtest has the stores that tests use instead of cloud accounts, and the
// conformance suite that every store must pass.
//
// Memory behaves; Faulty fails the way it is told to. A test programs each fault beforehand
// and lets Verify see to it that the fault was met.
package backendtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"shardraid/backends"
)

// Faulty is a Store that passes everything on to another one, except for what goes wrong.
type Faulty struct {
	store backends.Store

	mu      sync.Mutex
	faults  []*planned
	down    error
	garbage bool
	counts  map[string]int
}

type planned struct {
	Fault
	seen, met int // calls that match, and those that it hit
}

var _ backends.Store = (*Faulty)(nil)

// NewFaulty returns a store without faults.
func NewFaulty(store backends.Store) *Faulty {
	return &Faulty{store: store, counts: map[string]int{}}
}

// Add programs a fault. Of several that hit the same call, the first one added acts.
func (f *Faulty) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &planned{Fault: fault})
}

// Down makes the store answer everything with err, until Up.
func (f *Faulty) Down(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
}

// Up ends Down.
func (f *Faulty) Up() { f.Down(nil) }

// Garbage makes every Get answer random bytes, as many as there are in the file.
func (f *Faulty) Garbage() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.garbage = true
}

// Count returns how many calls of op ("put", "get", "list", "remove") were made.
func (f *Faulty) Count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// Verify fails the test when a programmed fault was never met.
func (f *Faulty) Verify(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.faults {
		if fault.met == 0 {
			t.Errorf("fault %d (%s, call %d) was never met: %d calls matched", i, fault.Op, fault.Call, fault.seen)
		}
	}
}

// Put stores data, unless a fault has it otherwise. A store that alters data reports the
// hash of what it was given.
func (f *Faulty) Put(ctx context.Context, name string, data []byte) (string, error) {
	act, err := f.begin(ctx, "put", name)
	if err != nil {
		return "", err
	}
	if act.put == nil {
		hash, err := f.store.Put(ctx, name, data)
		return hash, f.end("put", name, act, err)
	}
	hash := md5Of(data)
	if stored, ok := act.put(data); ok {
		if _, err := f.store.Put(ctx, name, stored); err != nil {
			return "", err
		}
	}
	return hash, nil
}

// Get reads the file, unless a fault has it otherwise.
func (f *Faulty) Get(ctx context.Context, name string, dst []byte) (int, error) {
	act, err := f.begin(ctx, "get", name)
	if err != nil {
		return 0, err
	}
	n, err := f.store.Get(ctx, name, dst)
	if err != nil {
		return n, err
	}
	if act.get != nil {
		n = copy(dst, act.get(dst[:n]))
	}
	return n, f.end("get", name, act, nil)
}

// List lists the directory, unless a fault has it otherwise.
func (f *Faulty) List(ctx context.Context, dir string) ([]backends.Entry, error) {
	act, err := f.begin(ctx, "list", dir)
	if err != nil {
		return nil, err
	}
	entries, err := f.store.List(ctx, dir)
	if act.list != nil {
		entries = act.list(entries)
	}
	return entries, f.end("list", dir, act, err)
}

// Remove removes the file, unless a fault has it otherwise.
func (f *Faulty) Remove(ctx context.Context, name string) error {
	act, err := f.begin(ctx, "remove", name)
	if err != nil {
		return err
	}
	if act.put != nil {
		if _, ok := act.put(nil); !ok {
			return nil // Drop
		}
	}
	return f.end("remove", name, act, f.store.Remove(ctx, name))
}

// Free passes the question on, unless a fault has it otherwise.
func (f *Faulty) Free(ctx context.Context) (int64, error) {
	act, err := f.begin(ctx, "free", "")
	if err != nil {
		return 0, err
	}
	bytes, err := f.store.Free(ctx)
	return bytes, f.end("free", "", act, err)
}

// begin counts the call, finds the fault that hits it, and does what comes before the store.
func (f *Faulty) begin(ctx context.Context, op, name string) (Action, error) {
	act, err := f.pick(op, name)
	if err == nil && act.before != nil {
		err = act.before(ctx)
	}
	if err != nil {
		return act, fmt.Errorf("%s %s: %w", op, name, err)
	}
	return act, nil
}

func (f *Faulty) pick(op, name string) (act Action, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	if f.down != nil {
		return act, f.down
	}
	if f.garbage && op == "get" {
		act.get = garbage
	}
	hit := false
	for _, fault := range f.faults {
		if fault.Op != "" && fault.Op != op || fault.Match != nil && !fault.Match(name) {
			continue
		}
		fault.seen++
		due := fault.Call == 0 || fault.seen >= fault.Call && fault.seen < fault.Call+max(1, fault.Repeat)
		if due && !hit {
			hit = true
			fault.met++
			act = fault.Do
		}
	}
	return act, nil
}

func (f *Faulty) end(op, name string, act Action, err error) error {
	if err == nil && act.after != nil {
		return fmt.Errorf("%s %s: %w", op, name, act.after)
	}
	return err
}

// garbage returns other bytes, the same ones for the same length.
func garbage(data []byte) []byte {
	data = slices.Clone(data)
	seed := [32]byte{byte(len(data))}
	_, _ = rand.NewChaCha8(seed).Read(data)
	return data
}
