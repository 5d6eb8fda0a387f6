package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"shardraid/backends"
	"shardraid/erasure"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// Config is what a Store is made of.
type Config struct {
	Vault  *vault.Vault
	Layout *layout.Layout
	Stores map[string]backends.Store // by backend id; none for a backend that is off
	// Markers are the hashes of the layouts under which single backends, by
	// id, are marked, where that is not the hash of the layout: after an
	// apply that was cut off.
	Markers map[string]string
	// Journal keeps interrupted stores for resuming; nil for none.
	Journal Journal
	// Memory bounds the segments in memory, of all jobs together, in bytes;
	// 0 means DefaultMemory.
	Memory int64
	// Patience is how long the last m backends may take to answer after all
	// others have; 0 means 3 s.
	Patience time.Duration
}

var errMarker = errors.New("its marker is damaged or of another vault")

// maxMarker is the largest marker file in bytes.
const maxMarker = 16 << 10

const (
	// DefaultMemory is 96 MiB of segments.
	DefaultMemory = 96 << 20
	// maxSegmentBuffer keeps at least two segments of any code in memory.
	maxSegmentBuffer = DefaultMemory / 2
	defaultPatience  = 3 * time.Second
)

// Store is a pool of backends that holds objects. It is safe for concurrent
// use, also by several processes and clones at once.
type Store struct {
	vault    *vault.Vault
	layout   *layout.Layout
	pool     []*member
	parity   int // m: records are written on m+1 backends, a domain gets at most m shards
	silence  int // the least m of all layouts so far: so many backends may be silent
	budget   *budget
	cpu      *semaphore.Weighted // segments being coded at once
	journal  Journal
	patience time.Duration
	schedule *schedule

	placing sync.Mutex // held while backends are chosen

	mu    sync.Mutex
	codes map[[2]int]*erasure.Code
}

// member is one backend of the pool.
type member struct {
	layout.Backend
	store  backends.Store // nil where the layout says off
	names  *vault.Names
	marker string                     // its name
	verify func(message []byte) error // its content
	good   atomic.Pointer[[]byte]     // the last content that was verified: opening it costs much
	newer  func(ctx context.Context) error
	pace   pace // of its answers to reads
	upload pace

	room      room
	suspicion suspicion
}

// Job is how one request hears from its Store. Any of its functions may be
// nil; they must be safe for concurrent use.
type Job struct {
	Progress func(bytes int64)          // of the object's content, from its beginning
	Info     func(text string)          // what a person should know
	Debug    func(text string)          // what a supporter should know
	Damaged  func(backend, what string) // a shard or record that is not what was stored
	Placed   func(p Placement)          // where the object is
}

// Placement is where an object is, in words for a person.
type Placement struct {
	Data, Parity int
	Backends     []string // names of those that hold its shards or inlined content
	Inlined      bool
	Complete     bool // no shard is missing
}

var errOff = errors.New("not used: switched off in the layout, or not found")

// New returns the Store of a layout whose backends have ids.
func New(c Config) (*Store, error) {
	s := &Store{
		vault: c.Vault, layout: c.Layout, parity: c.Layout.Parity, silence: c.Layout.LeastParity, journal: c.Journal,
		patience: c.Patience, codes: map[[2]int]*erasure.Code{},
		cpu: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
	}
	if s.patience == 0 {
		s.patience = defaultPatience
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	s.budget = newBudget(c.Memory)
	for _, b := range c.Layout.Backends {
		if b.ID == "" {
			return nil, fmt.Errorf("backend %s has no id: the layout was not applied", b.Name)
		}
		names := c.Vault.Names(b.ID)
		marked, ok := c.Markers[b.ID]
		if !ok {
			marked = c.Layout.Hash
		}
		m := &member{Backend: b, store: c.Stores[b.ID], names: names, marker: manifest.MarkerName(names, marked)}
		m.verify = func(message []byte) error {
			if good := m.good.Load(); good != nil && bytes.Equal(*good, message) {
				return nil
			}
			hash, err := manifest.OpenMarker(c.Vault, b.ID, message)
			if err == nil && hash != marked {
				err = manifest.ErrInvalid
			}
			if err == nil {
				good := bytes.Clone(message)
				m.good.Store(&good)
			}
			return err
		}
		m.newer = func(ctx context.Context) error { return m.otherLayout(ctx, c.Vault, c.Layout) }
		if b.State == layout.Off {
			m.store = nil
		}
		s.pool = append(s.pool, m)
	}
	s.schedule = newSchedule(s.pool)
	return s, nil
}

// code returns the erasure code of an object, which may be older than the
// layout.
func (s *Store) code(data, parity int) (*erasure.Code, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := [2]int{data, parity}
	if c := s.codes[at]; c != nil {
		return c, nil
	}
	c, err := erasure.New(data, parity)
	if err == nil {
		s.codes[at] = c
	}
	return c, err
}

// index returns the place of a backend in the pool, or -1.
func (s *Store) index(backendID string) int {
	for i, b := range s.pool {
		if b.ID == backendID {
			return i
		}
	}
	return -1
}

func (b *member) path(id vault.ObjectID, n manifest.Name) string {
	return path.Join(b.names.Dir(id), n.Format(b.names))
}

// prove reads the backend's marker. A not-found that came before it is then
// definite: this is the right place, mounted and logged in.
func (b *member) prove(ctx context.Context) error {
	message := make([]byte, maxMarker)
	n, err := b.store.Get(ctx, b.marker, message)
	if errors.Is(err, backends.ErrNotFound) {
		if err := b.newer(ctx); err != nil {
			return err
		}
		return errors.New("its marker is not there: not mounted, another account, or emptied")
	}
	if err != nil {
		return fmt.Errorf("read marker: %w", err)
	}
	if b.verify(message[:n]) != nil {
		return errMarker
	}
	return nil
}

// otherLayout says if another layout is in force on a backend, which is why
// the marker of ours is not there.
func (b *member) otherLayout(ctx context.Context, v *vault.Vault, ours *layout.Layout) error {
	entries, err := b.store.List(ctx, "")
	if err != nil {
		return nil // the missing marker is news enough
	}
	for _, e := range RootFiles(entries, manifest.RootLayout) {
		if l, err := b.readLayout(ctx, v, e); err == nil && l != nil && l.Hash != ours.Hash && l.Epoch >= ours.Epoch {
			return fmt.Errorf("a layout of epoch %d is in force there and this clone has one of epoch %d: run git annex sync; where that brings nothing an apply was cut off: run shardraid layout apply", l.Epoch, ours.Epoch)
		}
	}
	return nil
}

// each calls fn for every backend at once and returns one error each. When all
// but m have succeeded, the others get patience more (no end if 0).
func (s *Store) each(ctx context.Context, patience time.Duration, fn func(ctx context.Context, i int, b *member) error) []error {
	errs := make([]error, len(s.pool))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan int, len(s.pool))
	for i, b := range s.pool {
		if b.store == nil {
			errs[i] = errOff
			done <- i
			continue
		}
		go func() {
			errs[i] = fn(ctx, i, b)
			done <- i
		}()
	}
	succeeded := 0
	var late *time.Timer
	var expired <-chan time.Time
	for ended := 0; ended < len(s.pool); {
		select {
		case i := <-done:
			ended++
			if errs[i] == nil {
				succeeded++
			}
		case <-expired:
			cancel(fmt.Errorf("no answer %v after the others", patience))
		}
		if late == nil && patience > 0 && succeeded >= len(s.pool)-s.silence {
			late = time.NewTimer(patience)
			defer late.Stop()
			expired = late.C
		}
	}
	return errs
}
