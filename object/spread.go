package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"shardraid/erasure"
	"shardraid/manifest"
)

// slowAfter is how long a backend may at least take for a shard after
// write_quorum others have taken theirs.
const slowAfter = time.Second

// lanes are the ways to the backends during one store: one that is too slow is
// given up, for the whole store.
type lanes struct {
	ctx    []context.Context
	cancel []context.CancelCauseFunc
}

func newLanes(ctx context.Context, n int) *lanes {
	l := &lanes{make([]context.Context, n), make([]context.CancelCauseFunc, n)}
	for i := range n {
		l.ctx[i], l.cancel[i] = context.WithCancelCause(ctx)
	}
	return l
}

func (l *lanes) end() {
	for _, cancel := range l.cancel {
		cancel(nil)
	}
}

// spreading is one segment being stored.
type spreading struct {
	put   *put
	begun time.Time

	mu     sync.Mutex
	at     []int // where each shard is on its way to; -1 where it is not
	stored int
	timer  *time.Timer
}

// putShards stores the shards of a segment, each on its own backend or on a
// spare one, and returns where they went and why some did not. When
// write_quorum are stored, those that take as long again are given up: they
// are filled in later.
func (p *put) putShards(ctx context.Context, i int, shards [][]byte, tags []erasure.Tag) (out []manifest.Shard, causes []Cause) {
	out = make([]manifest.Shard, len(shards))
	home := p.homes()
	errs := make([][]Cause, len(shards)) // by shard, of each backend that was tried
	g := &spreading{put: p, begun: time.Now(), at: slices.Repeat([]int{-1}, len(shards))}
	defer g.end()
	fanOut(home.own, func(j int) error {
		out[j].Tag = tags[j]
		for at := home.of(j); at >= 0; at = home.spare(j) {
			g.to(j, at)
			p.unreserve(at, int64(len(shards[j])))
			sh, err := p.store.putShard(p.lanes.ctx[at], p.m, i, j, at, shards[j])
			g.to(j, -1)
			if err == nil {
				sh.Tag = tags[j]
				out[j] = sh
				g.storedOne()
				p.meter.addShare(int64(p.m.ContentLength(i)), len(shards))
				return nil
			}
			errs[j] = append(errs[j], Cause{p.store.pool[at].Name, err})
			if ctx.Err() != nil {
				return err
			}
		}
		return nil
	})
	return out, p.keep(home, slices.Concat(errs...))
}

func (g *spreading) to(shard, at int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at[shard] = at
}

// storedOne begins to lose patience at the quorum.
func (g *spreading) storedOne() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stored++; g.stored == g.put.store.layout.WriteQuorum && g.stored < len(g.at) {
		took := time.Since(g.begun)
		g.timer = time.AfterFunc(max(slowAfter, took), func() { g.giveUp(took) })
	}
}

func (g *spreading) giveUp(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.at {
		if at >= 0 {
			g.put.store.pool[at].upload.late()
			g.put.lanes.cancel[at](fmt.Errorf("%w: %d others took %v", errSlow, g.stored, took.Round(time.Millisecond)))
		}
	}
}

var errSlow = errors.New("too slow for this store")

func (g *spreading) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
}
