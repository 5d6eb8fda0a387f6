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

// lanes are the ways to the backends during one store. One that is too slow is
// given up for a while, each time for longer.
type lanes struct {
	parent context.Context

	mu  sync.Mutex
	all []lane
}

type lane struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	rest   time.Duration // the last time that it was given up
	until  time.Time     // given up until then
}

func (l *lane) givenUp() bool { return time.Now().Before(l.until) }

func newLanes(ctx context.Context, n int) *lanes {
	l := &lanes{parent: ctx, all: make([]lane, n)}
	for i := range l.all {
		l.all[i].ctx, l.all[i].cancel = context.WithCancelCause(ctx)
	}
	return l
}

func (l *lanes) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lane := range l.all {
		lane.cancel(nil)
	}
}

// way returns the context for what goes to a backend now; it has ended where
// the lane is given up.
func (l *lanes) way(i int) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	lane := &l.all[i]
	if !lane.until.IsZero() && !lane.givenUp() {
		lane.ctx, lane.cancel = context.WithCancelCause(l.parent)
		lane.until = time.Time{}
	}
	return lane.ctx
}

func (l *lanes) open(i int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.all[i].givenUp()
}

// reopen has what was given up tried again, however slow it is.
func (l *lanes) reopen(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lane := &l.all[i]; lane.givenUp() {
		lane.until = time.Now()
	}
}

func (l *lanes) giveUp(i int, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lane := &l.all[i]
	if lane.givenUp() {
		return
	}
	lane.cancel(why)
	lane.rest = max(2*lane.rest, shunTime)
	lane.until = time.Now().Add(lane.rest)
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
// write_quorum are stored, those that take as long again are given up, and
// their backends for a while: they are filled in later.
func (p *put) putShards(ctx context.Context, i int, shards [][]byte, tags []erasure.Tag) (out []manifest.Shard, causes []Cause) {
	out = make([]manifest.Shard, len(shards))
	home := p.homes()
	errs := make([][]Cause, len(shards)) // by shard, of each backend that was tried
	g := &spreading{put: p, begun: time.Now(), at: slices.Repeat([]int{-1}, len(shards))}
	defer g.end()
	send := func(j int) error {
		out[j].Tag = tags[j]
		for at := home.of(j); at >= 0; at = home.spare(j, len(shards[j])) {
			g.to(j, at)
			b := p.store.pool[at]
			b.hold(int64(len(shards[j])))
			p.unreserve(at, int64(len(shards[j])))
			sh, err := p.store.putShard(p.lanes.way(at), p.m, i, j, at, shards[j])
			b.hold(-int64(len(shards[j])))
			g.to(j, -1)
			if err == nil {
				sh.Tag = tags[j]
				out[j] = sh
				g.storedOne()
				p.meter.addShare(int64(p.m.ContentLength(i)), len(shards))
				return nil
			}
			errs[j] = append(errs[j], Cause{b.Name, err})
			if errors.Is(err, errSlow) {
				home.late(j)
			}
			if ctx.Err() != nil {
				return err
			}
		}
		return nil
	}
	fanOut(home.own, send)
	if late := home.again(); g.short() && ctx.Err() == nil { // others have failed meanwhile
		for _, j := range late {
			p.lanes.reopen(home.of(j))
		}
		fanOut(late, send)
	}
	return out, p.keep(home, slices.Concat(errs...))
}

// short reports whether a segment has fewer shards than it needs.
func (g *spreading) short() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stored < g.put.store.layout.WriteQuorum
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

// giveUp gives up the lanes on which shards still are, as long as write_quorum
// of the object's own are left for the other segments. It looks again: spares
// may be slow, too.
func (g *spreading) giveUp(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer == nil {
		return
	}
	g.timer = time.AfterFunc(max(slowAfter, took), func() { g.giveUp(took) })
	for _, at := range g.at {
		if at >= 0 && g.put.canSpare(at) {
			g.put.store.pool[at].upload.late()
			g.put.lanes.giveUp(at, fmt.Errorf("%w: %d others took %v", errSlow, g.stored, took.Round(time.Millisecond)))
		}
	}
}

// canSpare reports whether the lane to a backend may be given up, and notes
// that it is.
func (p *put) canSpare(at int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := 0
	for _, i := range p.own {
		if i >= 0 && i != at && p.lanes.open(i) {
			open++
		}
	}
	spare := open >= p.store.layout.WriteQuorum || !slices.Contains(p.own, at)
	if spare {
		p.late = addBackend(p.late, at)
	}
	return spare
}

var errSlow = errors.New("too slow")

func (g *spreading) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}
