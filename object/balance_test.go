package object

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"shardraid/backends/backendtest"
	"shardraid/layout"
	"shardraid/manifest"
)

func TestFairShares(t *testing.T) {
	for _, c := range []struct {
		has, room []int64
		domains   string // a letter each
		want      []int64
	}{
		{[]int64{300, 300, 300, 0}, []int64{1, 1, 1, 1}, "abcd", []int64{225, 225, 225, 225}},
		{[]int64{300, 300, 300, 0}, []int64{2, 2, 1, 1}, "abcd", []int64{300, 300, 150, 150}},
		{[]int64{300, 300, 300, 0}, []int64{9, 1, 1, 1}, "abcd", []int64{300, 200, 200, 200}}, // one of every three at most
		{[]int64{300, 300, 300, 0}, []int64{0, 1, 1, 1}, "abcd", []int64{0, 300, 300, 300}},   // to be emptied
		{[]int64{0, 0, 0}, []int64{5, 5, 5}, "abc", []int64{0, 0, 0}},
		{[]int64{7, 7, 7}, []int64{0, 0, 0}, "abc", []int64{0, 0, 0}},
		{[]int64{300, 300, 300, 0}, []int64{1, 1, 1, 1}, "abcc", []int64{300, 300, 150, 150}}, // one of every three for c
		{[]int64{300, 300, 300, 0}, []int64{1, 1, 10, 0}, "abcc", []int64{300, 300, 300, 0}},  // who has no room counts for none
		{[]int64{300, 300, 300, 0, 0}, []int64{1, 1, 1, 1, 2}, "abccc", []int64{300, 300, 75, 75, 150}},
	} {
		if got := fairShares(c.has, c.room, strings.Split(c.domains, ""), 2, 1); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("has %v, room %v: %v, want %v", c.has, c.room, got, c.want)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		n := 3 + rnd.IntN(6)
		has, room := make([]int64, n), make([]int64, n)
		var total int64
		for i := range has {
			has[i], room[i] = rnd.Int64N(1e12), rnd.Int64N(1e12)
			total += has[i]
		}
		var sum int64
		for i, share := range fairShares(has, room, strings.Split("abcdefghi"[:n], ""), 2, 1) {
			sum += share
			if share < 0 || share > total/3+1 {
				t.Errorf("has %v, room %v: backend %d gets %d of %d", has, room, i, share, total)
			}
		}
		if diff := total - sum; diff < -int64(n) || diff > int64(n)+total/1e9 {
			t.Errorf("has %v, room %v: %d are shared out of %d", has, room, sum, total)
		}
	}
}

// balanceRig stores objects on 2+1 of 4, and leaves the fifth empty.
func balanceRig(t *testing.T) (r *rig, keys []string) {
	r = newRig(t, 2, 1, 5)
	r.state(4, layout.Drain)
	for n := range 30 {
		key := fmt.Sprint("object", n)
		r.mustPut(key, bytesOf(byte(n), 3000+200*n))
		keys = append(keys, key)
	}
	r.mustPut("inlined", bytesOf(1, 100))
	return r, append(keys, "inlined")
}

// state sets that of a backend, in a new process.
func (r *rig) state(i int, s layout.State) {
	r.config.Layout.Backends[i].State = s
	r.start()
	r.patient()
}

// patient lets a busy machine take its time where nothing hangs.
func (r *rig) patient() { r.Store.patience = time.Minute }

// balance moves all that should be moved and returns how much that was.
func (r *rig) balance() (before *Balance, moved int64) {
	r.t.Helper()
	b, err := r.Balance(ctx, r.job())
	if err == nil {
		err = b.MoveAll(ctx, r.job(), func(m Moved) {
			moved += m.Bytes
			if m.Err != nil || (m.Shards == 0) != (m.Bytes == 0) {
				r.t.Errorf("%+v", m)
			}
		})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return b, moved
}

// shardBytesOn are what a backend has.
func (r *rig) shardBytesOn(i int) (n int64) {
	all, err := r.listPool(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, files := range all.dirs[i] {
		n += shardBytes(files)
	}
	return n
}

func TestBalanceJoin(t *testing.T) {
	r, keys := balanceRig(t)
	r.state(4, layout.Active)
	b, moved := r.balance()
	joined := b.Shares[4]
	if joined.Has != 0 || joined.Share == 0 {
		t.Fatalf("%+v", b.Shares)
	}
	var excess int64
	for _, s := range b.Shares {
		excess += max(0, s.Has-s.Share)
	}
	if moved > excess+12000 { // of few objects that is more than the share of who joins
		t.Errorf("%d bytes moved, %d would do", moved, excess)
	}
	for i, s := range b.Shares {
		if off := r.shardBytesOn(i) - s.Share; max(off, -off) > 5000 { // the largest shard has 4800 bytes
			t.Errorf("%s has %d, its share is %d", s.Name, r.shardBytesOn(i), s.Share)
		}
	}
	for n, key := range keys[:30] {
		if h := r.mustScrub(key, true); !h.Whole() {
			t.Errorf("%s: %+v", key, h)
		}
		if n%6 == 0 {
			r.mustSurvive(key, bytesOf(byte(n), 3000+200*n), 1)
		}
	}
	if _, again := r.balance(); again > 12000 {
		t.Errorf("a second time moves %d bytes", again)
	}
}

func TestBalanceDrain(t *testing.T) {
	r, keys := balanceRig(t)
	r.state(4, layout.Active)
	r.state(0, layout.Drain)
	poor := slices.IndexFunc(keys, func(key string) bool { return len(r.stored(0, key, manifest.KindManifest)) > 0 })
	for i := 1; r.count(keys[poor], manifest.KindManifest) > 2; i++ { // it has one of the last two
		r.lose(i, keys[poor], manifest.KindManifest)
	}
	had := r.shardBytesOn(0)
	stopped, stop := context.WithCancelCause(ctx)
	b, err := r.Balance(ctx, r.job())
	if err != nil {
		t.Fatal(err)
	}
	if b.Shares[0].Share != 0 || b.Shares[0].Has != had {
		t.Errorf("%+v", b.Shares)
	}
	err = b.MoveAll(stopped, r.job(), func(Moved) { stop(errDown) })
	if left := r.shardBytesOn(0); !errors.Is(err, errDown) || left == 0 || left > had {
		t.Errorf("stopped: %v, %d of %d left", err, left, had)
	}
	r.balance()
	if left := r.shardBytesOn(0); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	r.faulty[0].Down(errDown)
	for n, key := range keys[:30] {
		if _, err := r.get(key); err != nil {
			t.Errorf("%s without the drained one: %v", key, err)
		}
		copies := 0
		for i := 1; i < len(r.pool); i++ {
			copies += len(r.stored(i, key, manifest.KindManifest))
		}
		if copies < 2 {
			t.Errorf("%d: %d copies", n, copies)
		}
	}
}

// Two accounts of one company join: of a segment they get one shard together.
func TestBalanceDomains(t *testing.T) {
	r := newRig(t, 2, 1, 5)
	for _, i := range []int{3, 4} {
		r.config.Layout.Backends[i].Domain = "company"
		r.state(i, layout.Drain)
	}
	for n := range 20 {
		r.mustPut(fmt.Sprint(n), bytesOf(byte(n), 5000))
	}
	r.state(3, layout.Active)
	r.state(4, layout.Active)
	if _, moved := r.balance(); moved == 0 {
		t.Error("nothing was moved")
	}
	for n := range 20 {
		e, err := r.Explain(ctx, fmt.Sprint(n), r.job())
		if err != nil {
			t.Fatal(err)
		}
		together := 0
		for _, domain := range e.Groups[0].Domains {
			if domain == "company" {
				together++
			}
		}
		if together > 1 || !e.Health.Whole() {
			t.Errorf("%d: %d shards in one domain, %v", n, together, e.Health)
		}
	}
}

// A record of an earlier move leaves a backend that shall be emptied, too.
func TestDrainKeepsMoves(t *testing.T) {
	r := newRig(t, 2, 1, 5)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	from := r.pool[r.index(r.manifestOf(testKey).Segments[0].Shards[2].Backend)].Name
	if err := r.Move(ctx, testKey, from, "", r.job()); err != nil {
		t.Fatal(err)
	}
	var holders []int
	for i := range r.pool {
		if len(r.stored(i, testKey, manifest.KindMove)) > 0 {
			holders = append(holders, i)
		}
	}
	r.state(holders[0], layout.Drain)
	r.balance()
	v, err := r.look(ctx, r.vault.ObjectID(testKey), looking{prove: true, copies: 1}, r.job())
	if err != nil {
		t.Fatal(err)
	}
	for _, inc := range v.incs {
		for _, move := range inc.moves[shardID{0, 2}] {
			left := slices.DeleteFunc(slices.Clone(move.holders), func(i int) bool { return i == holders[0] })
			if r.index(move.Backend) != holders[0] && len(left) < 2 {
				t.Errorf("the move of the shard stands on %v, of which %d goes", move.holders, holders[0])
			}
		}
	}
}

// A backend that fails to say how much is free keeps what it has.
func TestBalanceUnsaid(t *testing.T) {
	r, _ := balanceRig(t)
	for i, m := range r.mem {
		m.Limit(1<<30, false)
		if i == 1 {
			r.faulty[i].Add(backendtest.Fault{Op: "free", Do: backendtest.ErrorInstead(errDown)})
		}
	}
	b, err := r.Balance(ctx, r.job())
	if err != nil {
		t.Fatal(err)
	}
	if s := b.Shares[1]; !errors.Is(s.Err, errDown) || s.Share != s.Has {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct{ capacity, has, want []int64 }{
		{[]int64{100, 300, unsaid}, []int64{10, 10, 10}, []int64{100, 300, 200}},
		{[]int64{100, 300, unsaid, 0}, []int64{10, 10, 500, 0}, []int64{100, 300, 500, 0}},
		{[]int64{unsaid, unsaid}, []int64{10, 20}, []int64{20, 20}},
	} {
		if guess(c.capacity, c.has); !slices.Equal(c.capacity, c.want) {
			t.Errorf("%v, want %v", c.capacity, c.want)
		}
	}
}

// What nobody may take stays where it is, and is told of.
func TestBalanceNoTaker(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	r.state(0, layout.Drain)
	b, err := r.Balance(ctx, r.job())
	if err != nil {
		t.Fatal(err)
	}
	var result []Moved
	if err := b.MoveAll(ctx, r.job(), func(m Moved) { result = append(result, m) }); err != nil {
		t.Fatal(err)
	}
	if len(result) != 1 || !errors.Is(result[0].Err, errNoTaker) || result[0].Shards != 0 {
		t.Errorf("%+v", result)
	}
	if h := r.mustScrub(testKey, true); !h.Whole() {
		t.Errorf("%+v", h)
	}
}

func TestExplain(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.mustPut(testKey, bytesOf(1, 300_000))
	m := r.manifestOf(testKey)
	lost := r.index(m.Segments[0].Shards[0].Backend)
	r.lose(lost, testKey, manifest.KindShard)
	e, err := r.Explain(ctx, testKey, r.job())
	if err != nil {
		t.Fatal(err)
	}
	shards := 0
	for i, h := range e.Holders {
		shards += h.Shards
		if h.Err != nil || i == lost && h.Shards > 0 {
			t.Errorf("%+v", h)
		}
	}
	if e.Health.Spare != 0 || e.Segments != len(m.Segments) || shards != 2*e.Segments || e.Need() != 2 || len(e.Groups) != 1 || len(e.Groups[0].Backends) != 2 || e.Groups[0].Segments != e.Segments {
		t.Errorf("%+v", e)
	}
	r.mustPut("small", bytesOf(1, 100))
	if e, err = r.Explain(ctx, "small", r.job()); err != nil || e.Segments != 0 || e.Need() != 1 || len(e.Groups[0].Backends) != 2 {
		t.Errorf("%v: %+v", err, e)
	}
	if _, err := r.Explain(ctx, "never", r.job()); !errors.Is(err, ErrAbsent) {
		t.Errorf("never stored: %v", err)
	}
}
