package object

import (
	"context"
	"path"
	"sync"
	"time"

	"shardraid/backends"
	"shardraid/manifest"
	"shardraid/vault"
)

// gate counts the operations on all backends of a rig together, and kills the
// process at one of them.
type gate struct {
	mu    sync.Mutex
	ops   int
	kinds map[string]int // "put s": puts of shards

	at   int  // the operation that kills; 0 for none
	late bool // the operation is done all the same
	torn bool // it is half done: of a put, half of the file is there
	kill func()
	dead bool
}

func (g *gate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ops, g.kinds, g.at, g.dead = 0, nil, 0, false
}

// did returns how often an operation was begun on files of a kind.
func (g *gate) did(op string, kind manifest.Kind) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kinds[op+" "+string(kind)]
}

func (g *gate) killAt(n int, late bool, kill func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ops, g.at, g.late, g.torn, g.kill, g.dead = 0, n, late, false, kill, false
}

func (g *gate) killInside(n int, kill func()) {
	g.killAt(n, false, kill)
	g.torn = true
}

// do passes an operation on unless the process is dead.
func (g *gate) do(kind string, fn func() error, half ...func()) error {
	g.mu.Lock()
	g.ops++
	if g.kinds == nil {
		g.kinds = map[string]int{}
	}
	g.kinds[kind]++
	dead, dying := g.dead, g.at > 0 && g.ops == g.at
	g.dead = dead || dying
	late, torn, kill := g.late, g.torn, g.kill
	g.mu.Unlock()
	if dying && late {
		hung := time.AfterFunc(time.Second, kill) // what hangs is not done before
		_ = fn()
		hung.Stop()
	}
	if dying && torn && len(half) > 0 {
		half[0]()
	}
	if dying {
		kill()
	}
	if dead || dying {
		return errDead
	}
	return fn()
}

// gated is a backend behind the gate.
type gated struct {
	backends.Store
	gate  *gate
	names *vault.Names
}

func (b *gated) kind(op, name string) string {
	n, ok := manifest.ParseName(b.names, path.Base(name))
	if !ok {
		return op
	}
	return op + " " + string(n.Kind)
}

func (b *gated) Put(ctx context.Context, name string, data []byte) (hash string, err error) {
	err = b.gate.do(b.kind("put", name), func() (err error) {
		hash, err = b.Store.Put(ctx, name, data)
		return err
	}, func() { b.Store.Put(ctx, name, data[:len(data)/2]) })
	return hash, err
}

func (b *gated) Get(ctx context.Context, name string, dst []byte) (n int, err error) {
	err = b.gate.do(b.kind("get", name), func() (err error) {
		n, err = b.Store.Get(ctx, name, dst)
		return err
	})
	return n, err
}

func (b *gated) List(ctx context.Context, dir string) (entries []backends.Entry, err error) {
	err = b.gate.do("list", func() (err error) {
		entries, err = b.Store.List(ctx, dir)
		return err
	})
	return entries, err
}

func (b *gated) Remove(ctx context.Context, name string) error {
	return b.gate.do(b.kind("remove", name), func() error { return b.Store.Remove(ctx, name) })
}
