package object

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"shardraid/backends"
	"shardraid/manifest"
	"shardraid/vault"
)

// simOp is one operation on a backend or a journal. It waits at the gate until
// the driver carries it out, with a fault or without, or its context ends.
type simOp struct {
	id      simID
	proc    *simProc
	req     *simReq // on whose behalf
	name    string  // of the file or directory
	file    manifest.Name
	data    []byte      // of a put or an append
	dst     []byte      // of a get
	effect  func()      // of a journal operation
	part    func(n int) // what is left of an append at a crash
	since   time.Time
	arrival int

	done    chan struct{}
	err     error
	hash    string
	n       int
	entries []backends.Entry
}

// simID is what an operation is, told without anything random: of several that
// wait, the driver numbers them by it.
type simID struct {
	lane           int
	what           simWhat
	backend        int
	key            int // -1 for a root file
	inc            int // by order of appearance
	kind           manifest.Kind
	segment, shard int
}

type simWhat int

const (
	simBegin simWhat = iota // of a request
	simList
	simGet
	simPut
	simRemove
	simOpen
	simAppend
	simCut
	simClose
)

func (w simWhat) String() string {
	return [...]string{"begin", "list", "get", "put", "remove", "open", "append", "cut", "close"}[w]
}

func (w simWhat) writes() bool { return w == simPut || w == simRemove }

func (a simID) compare(b simID) int {
	return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.what, b.what), cmp.Compare(a.backend, b.backend),
		cmp.Compare(a.key, b.key), cmp.Compare(a.inc, b.inc), cmp.Compare(a.kind, b.kind),
		cmp.Compare(a.segment, b.segment), cmp.Compare(a.shard, b.shard))
}

func (a simID) String() string {
	text := fmt.Sprintf("lane %d: %s", a.lane, a.what)
	if a.backend >= 0 {
		text += fmt.Sprintf(" b%d", a.backend)
	}
	switch {
	case a.kind == manifest.KindShard:
		text += fmt.Sprintf(" key%d/I%d.s%d.%d", a.key, a.inc, a.segment, a.shard)
	case a.kind != 0:
		text += fmt.Sprintf(" key%d/I%d.%c", a.key, a.inc, a.kind)
	case a.key >= 0:
		text += fmt.Sprintf(" key%d", a.key)
	}
	return text
}

// simGate is where all operations of all processes wait.
type simGate struct {
	world *simWorld
	wake  chan struct{} // something has come

	mu       sync.Mutex
	arrivals int
	waiting  []*simOp
	left     []*simOp // their contexts ended; nobody has decided yet what became of them
	finished []*simReq
}

var (
	errSimFault   = errors.New("temporary failure")
	errSimTimeout = errors.New("no answer for 60 s")
)

// pass waits until the driver has carried the operation out.
func (g *simGate) pass(ctx context.Context, op *simOp) error {
	op.done = make(chan struct{})
	op.since = time.Now()
	g.mu.Lock()
	if op.proc.dead || ctx.Err() != nil {
		g.mu.Unlock()
		return cmp.Or(ctx.Err(), errDead)
	}
	g.arrivals++
	op.arrival = g.arrivals
	g.waiting = append(g.waiting, op)
	g.mu.Unlock()
	g.poke()
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
	case <-op.proc.ctx.Done(): // the process was killed, whatever context it uses to clean up
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	op.data = bytes.Clone(op.data) // the caller uses it for something else now
	g.waiting = slices.DeleteFunc(g.waiting, func(o *simOp) bool { return o == op })
	g.left = append(g.left, op)
	return cmp.Or(ctx.Err(), errDead)
}

func (g *simGate) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, in an order that depends on no chance.
func (g *simGate) take() (waiting, left []*simOp, finished []*simReq) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sort(g.waiting)
	g.sort(g.left)
	waiting, left, finished = slices.Clone(g.waiting), g.left, g.finished
	slices.SortFunc(finished, func(a, b *simReq) int { return cmp.Compare(a.lane, b.lane) })
	g.left, g.finished = nil, nil
	return waiting, left, finished
}

func (g *simGate) sort(ops []*simOp) {
	slices.SortFunc(ops, func(a, b *simOp) int { // incarnations that are new: by their ids, which the seed draws
		return cmp.Or(a.id.compare(b.id), bytes.Compare(a.file.Incarnation[:], b.file.Incarnation[:]))
	})
	for _, op := range ops {
		if op.id.inc < 0 && !op.file.Incarnation.IsZero() {
			op.id.inc = g.world.ordinal(op.file.Incarnation)
		}
	}
	slices.SortFunc(ops, func(a, b *simOp) int { return cmp.Or(a.id.compare(b.id), cmp.Compare(a.arrival, b.arrival)) })
}

// end lets an operation's caller go on.
func (g *simGate) end(op *simOp) {
	g.mu.Lock()
	g.waiting = slices.DeleteFunc(g.waiting, func(o *simOp) bool { return o == op })
	g.mu.Unlock()
	close(op.done)
}

// simBackend is one backend as one process reaches it.
type simBackend struct {
	gate    *simGate
	proc    *simProc
	backend int
	names   *vault.Names
}

func (b *simBackend) op(what simWhat, name string) *simOp {
	op := &simOp{req: b.proc.req, proc: b.proc, name: name, id: simID{lane: b.proc.lane, what: what, backend: b.backend, key: -1, inc: -1}}
	dir, base := name, ""
	if what != simList {
		dir, base = path.Split(name)
		dir = path.Clean(dir)
	}
	if key, ok := b.gate.world.keyOf(b.backend, dir); ok {
		op.id.key = key
	}
	if n, ok := manifest.ParseName(b.names, base); ok {
		op.file = n
		op.id.kind, op.id.segment, op.id.shard = n.Kind, int(n.Segment), int(n.Shard)
	}
	return op
}

func (b *simBackend) Put(ctx context.Context, name string, data []byte) (string, error) {
	op := b.op(simPut, name)
	op.data = data
	err := b.gate.pass(ctx, op)
	return op.hash, err
}

func (b *simBackend) Get(ctx context.Context, name string, dst []byte) (int, error) {
	op := b.op(simGet, name)
	op.dst = dst
	err := b.gate.pass(ctx, op)
	return op.n, err
}

func (b *simBackend) List(ctx context.Context, dir string) ([]backends.Entry, error) {
	op := b.op(simList, dir)
	err := b.gate.pass(ctx, op)
	return op.entries, err
}

func (b *simBackend) Remove(ctx context.Context, name string) error {
	return b.gate.pass(ctx, b.op(simRemove, name))
}

// Free is not asked of the driver: nobody waits for it.
func (b *simBackend) Hash(ctx context.Context, name string) (string, error) {
	return "", errors.ErrUnsupported
}
func (b *simBackend) Free(ctx context.Context) (int64, error) { return 0, errors.ErrUnsupported }
