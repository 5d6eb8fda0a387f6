// Package backendtest has the stores that tests use instead of cloud accounts, and the
// conformance suite that every store must pass.
//
// Memory behaves; Faulty fails the way it is told to. A test programs each fault beforehand
// and lets Verify see to it that the fault was met.
package backendtest

import (
	"context"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"

	"shardraid/backends"
)

// Faulty is a Store that passes everything on to another one, except for what goes wrong.
type Faulty struct {
	store backends.Store
	other *Memory

	mu      sync.Mutex
	faults  []*planned
	down    error
	garbage bool
	counts  map[string]int
	later   []postponed
	hidden  map[string]int     // Lists for which a file does not show
	listed  map[string][]entry // by directory: the last honest answer
}

type planned struct {
	Fault
	seen, met int // calls that match, and those that it hit
}

// postponed takes effect after so many calls.
type postponed struct {
	calls int
	do    func()
}

var _ backends.Store = (*Faulty)(nil)

// NewFaulty returns a store without faults.
func NewFaulty(store backends.Store) *Faulty {
	return &Faulty{store: store, other: NewMemory(), counts: map[string]int{}, hidden: map[string]int{}, listed: map[string][]entry{}}
}

// Add programs a fault. Of several that hit the same call, the first one added acts.
func (f *Faulty) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &planned{Fault: fault})
}

// Next programs one fault that hits the next call which it suits, before any other.
func (f *Faulty) Next(do Action) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = slices.Insert(f.faults, 0, &planned{Fault: Fault{Call: 1, Do: do}})
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

// Land makes all take effect that Later has put off.
func (f *Faulty) Land() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.later {
		p.do()
	}
	f.later = nil
}

// Other is the place where Elsewhere leads to.
func (f *Faulty) Other() *Memory { return f.other }

// Count returns how many calls of op ("put", "get", "list", "remove", "free") were made.
func (f *Faulty) Count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// Met returns how many calls the programmed faults have hit.
func (f *Faulty) Met() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		n += fault.met
	}
	return n
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

// Put stores data, unless a fault has it otherwise.
func (f *Faulty) Put(ctx context.Context, name string, data []byte) (string, error) {
	c, do, err := f.begin(ctx, "put", name)
	switch {
	case err != nil:
		return "", err
	case do.put != nil:
		return do.put(c, data)
	}
	return c.store.Put(ctx, name, data)
}

// Get reads the file, unless a fault has it otherwise.
func (f *Faulty) Get(ctx context.Context, name string, dst []byte) (int, error) {
	c, do, err := f.begin(ctx, "get", name)
	switch {
	case err != nil:
		return 0, err
	case do.get != nil:
		return do.get(c, dst)
	}
	return c.store.Get(ctx, name, dst)
}

// List lists the directory, unless a fault has it otherwise.
func (f *Faulty) List(ctx context.Context, dir string) ([]backends.Entry, error) {
	c, do, err := f.begin(ctx, "list", dir)
	switch {
	case err != nil:
		return nil, err
	case do.list != nil:
		return do.list(c)
	}
	return c.store.List(ctx, dir)
}

// Remove removes the file, unless a fault has it otherwise.
func (f *Faulty) Remove(ctx context.Context, name string) error {
	c, do, err := f.begin(ctx, "remove", name)
	switch {
	case err != nil:
		return err
	case do.remove != nil:
		return do.remove(c)
	}
	return c.store.Remove(ctx, name)
}

// Hash passes the question on.
func (f *Faulty) Hash(ctx context.Context, name string) (string, error) {
	c, _, err := f.begin(ctx, "hash", name)
	if err != nil {
		return "", err
	}
	return c.store.Hash(ctx, name)
}

// Free passes the question on, unless a fault has it otherwise.
func (f *Faulty) Free(ctx context.Context) (int64, error) {
	c, do, err := f.begin(ctx, "free", "")
	switch {
	case err != nil:
		return 0, err
	case do.free != nil:
		return do.free(c)
	}
	return c.store.Free(ctx)
}

// begin counts the call and finds what hits it.
func (f *Faulty) begin(ctx context.Context, op, name string) (c *call, do Action, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	f.land()
	c = &call{Context: ctx, f: f, op: op, name: name, store: honest{f.store, f}}
	if f.down != nil {
		return c, do, c.failed(f.down)
	}
	if f.garbage && op == "get" {
		do = garbage
	}
	for _, fault := range f.faults {
		if fault.Op != "" && fault.Op != op || fault.Match != nil && !fault.Match(name) || !fault.Do.suits(op) {
			continue
		}
		fault.seen++
		if fault.due() && c.fault == nil {
			fault.met++
			c.fault, do = fault, fault.Do
		}
	}
	return c, do, nil
}

// due says whether a fault hits the call that it has just seen.
func (p *planned) due() bool {
	switch {
	case p.Call == 0:
		return true
	case p.seen < p.Call:
		return false
	}
	return p.Repeat == ForEver || p.seen < p.Call+max(1, p.Repeat)
}

// land does what was put off until now.
func (f *Faulty) land() {
	var still []postponed
	for _, p := range f.later {
		if p.calls == 0 {
			p.do()
			continue
		}
		p.calls--
		still = append(still, p)
	}
	f.later = still
}

func (f *Faulty) postpone(calls int, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.later = append(f.later, postponed{calls, do})
}

func (f *Faulty) hide(name string, lists int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden[name] = lists
}

func (f *Faulty) lastList(dir string) []entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.listed[dir])
}

// honest is what lies below, but for files that do not show in listings yet.
type honest struct {
	backends.Store
	f *Faulty
}

func (h honest) List(ctx context.Context, dir string) ([]entry, error) {
	all, err := h.Store.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	all = slices.DeleteFunc(all, func(e entry) bool {
		name := path.Join(dir, e.Name)
		left := h.f.hidden[name]
		if left != 0 {
			h.f.hidden[name] = left - 1
		}
		return left != 0
	})
	h.f.listed[dir] = slices.Clone(all)
	return all, nil
}

// garbage returns other bytes, the same ones for the same length.
var garbage = reading(func(_ *call, data []byte) []byte {
	seed := [32]byte{byte(len(data))}
	_, _ = rand.NewChaCha8(seed).Read(data)
	return data
})
