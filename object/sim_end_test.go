package object

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"shardraid/backends"
)

// epilogue looks at what a run has left, with all faults off.
func (w *simWorld) epilogue() {
	for len(w.late) > 0 {
		w.land(w.rng.IntN(len(w.late)), w.chance(0.5))
	}
	clear(w.down)
	w.searchSecrets()
	for _, c := range w.clones {
		w.balance(c.proc.store)
	}
	var keys []int
	for _, r := range w.reqs {
		if !slices.Contains(keys, r.key) {
			keys = append(keys, r.key)
		}
	}
	for _, key := range keys {
		if w.violation == "" {
			w.endOf(key)
		}
	}
}

// balance makes sure that a Store has all of its memory back.
func (w *simWorld) balance(s *Store) {
	if !s.budget.sem.TryAcquire(s.budget.limit) {
		w.violate("I6: some of the memory is still taken")
	}
}

// endOf looks at one object.
func (w *simWorld) endOf(key int) {
	must := w.mustExist(key, w.step+1)
	if must {
		w.loseSome()
		if err := w.read(key); err != nil {
			w.violate("I1: key%d was stored; with %v lost: %v", key, w.lost, err)
		}
		clear(w.lost)
		if err := w.read(key); err != nil {
			w.violate("I1: key%d was stored: %v", key, err)
		}
	}
	if w.plan.lie > 0 {
		w.endOfBad(key, must)
		return
	}
	ctx, text := context.Background(), w.shape.keys[key]
	here, err := w.oracle.Check(ctx, text, w.job)
	switch {
	case err == nil && !here && must:
		w.violate("I3: check says absent of key%d, which was stored", key)
	case here && w.mustBeGone(key, w.step+1):
		w.violate("I3: check says present of key%d, which was removed", key)
	case here || must:
	case w.mustBeGone(key, w.step+1):
		if got, err := w.get(ctx, w.oracle, text); !errors.Is(err, ErrAbsent) {
			w.violate("I3: key%d was removed: get returns %d bytes and %v", key, len(got), err)
		}
	}
	if w.chance(0.5) {
		w.tidies(key, must)
	}
	if w.violation == "" {
		w.goesOn(key)
	}
}

// loseSome lets the oracle do without as many backends as may be lost.
func (w *simWorld) loseSome() {
	copy(w.lost, w.bad)
	left := min(w.shape.m, w.shape.q-w.shape.k) - w.degraded
	for _, bad := range w.bad {
		if bad {
			left--
		}
	}
	for _, i := range w.rng.Perm(w.shape.n) {
		if left > 0 && !w.lost[i] {
			w.lost[i] = true
			left--
		}
	}
}

// endOfBad looks at an object on backends of which some have lost what they
// had: they are given up, and what is whole without them may lose as many
// more.
func (w *simWorld) endOfBad(key int, must bool) {
	if w.mustBeGone(key, w.step+1) {
		if here, _ := w.oracle.Check(context.Background(), w.shape.keys[key], w.job); here {
			w.violate("I3: check says present of key%d, which was removed", key)
		}
	}
	if !must {
		return
	}
	copy(w.lost, w.bad)
	var o RepairOptions
	for i, bad := range w.bad {
		if bad {
			o.Lost = append(o.Lost, w.shape.layout.Backends[i].Name)
		}
	}
	_, err := w.oracle.Repair(context.Background(), w.shape.keys[key], o, w.job)
	left := 0
	if err == nil {
		left = w.shape.m
	}
	for _, i := range w.rng.Perm(w.shape.n) {
		if left > 0 && !w.lost[i] {
			w.lost[i] = true
			left--
		}
	}
	if readErr := w.read(key); readErr != nil {
		w.violate("I5: key%d was repaired (%v) without %v; with %v lost: %v", key, err, w.bad, w.lost, readErr)
	}
	clear(w.lost)
}

// goesOn makes sure that whatever state an object is in, it can be stored and
// removed.
func (w *simWorld) goesOn(key int) {
	ctx, text := context.Background(), w.shape.keys[key]
	s := w.stillStore()
	if w.chance(0.5) {
		content := w.shape.contents[w.rng.IntN(len(w.shape.contents))][0]
		last := &simReq{what: "store", key: key, content: content, state: simOK}
		w.reqs = append(w.reqs, last)
		if err := s.Put(ctx, text, bytes.NewReader(content), int64(len(content)), w.job); err != nil {
			w.violate("the end: key%d cannot be stored: %v", key, err)
			return
		}
		if here, err := s.Check(ctx, text, w.job); !here {
			w.violate("the end: key%d was stored and is not present: %v", key, err)
		}
		if got, err := w.get(ctx, s, text); err != nil || !bytes.Equal(got, content) {
			w.violate("the end: key%d was stored: get returns %d bytes, %v", key, len(got), err)
		}
	} else {
		if err := s.Remove(ctx, text, w.job); err != nil {
			w.violate("the end: key%d cannot be removed: %v", key, err)
			return
		}
		if here, err := s.Check(ctx, text, w.job); here || err != nil {
			w.violate("the end: key%d was removed: check says %v, %v", key, here, err)
		}
		if _, err := w.get(ctx, s, text); !errors.Is(err, ErrAbsent) {
			w.violate("the end: key%d was removed: get says %v", key, err)
		}
	}
	w.balance(s)
}

// stillStore is one of the clones at work while nobody else is.
func (w *simWorld) stillStore() *Store {
	return w.storeOf(w.clones[w.rng.IntN(len(w.clones))])
}

// storeOf is a clone at work while nobody else is.
func (w *simWorld) storeOf(c *simClone) *Store {
	p := &simProc{world: w, clone: c, lane: c.n, still: true}
	return w.newStore(&simProcJournal{c.journal, p}, func(i int) backends.Store { return simDirect{w.mem[i], w, i} })
}

// tidies makes sure that repair and collection leave every object whole and
// nothing else.
func (w *simWorld) tidies(key int, must bool) {
	ctx, text, s := context.Background(), w.shape.keys[key], w.stillStore()
	health, err := s.Repair(ctx, text, RepairOptions{Deep: true}, w.job)
	if must && (err != nil || !health.Whole()) && !w.inDoubt(key) {
		w.violate("I5: key%d was stored and cannot be repaired: %v, %v", key, health, err)
		return
	}
	for range 4 { // seen; condemned; their doom markers
		if c, err := s.Collect(ctx, CollectOptions{Keys: slices.Values(w.shape.keys)}, w.job); err != nil || c.Failed+c.Unknown > 0 {
			w.violate("I5: what key%d has left cannot be collected: %+v, %v", key, c, err)
			return
		}
		time.Sleep(49 * time.Hour)
	}
	if must {
		if err := w.read(key); err != nil {
			w.violate("I1: key%d was stored; after a repair and a collection: %v", key, err)
		}
	}
	w.findOrphans(s, key)
	w.balance(s)
}

// inDoubt reports whether a removal was begun and not finished.
func (w *simWorld) inDoubt(key int) bool {
	return slices.ContainsFunc(w.reqs, func(r *simReq) bool { return r.what == "remove" && r.key == key && r.state != simOK })
}

// simStrays: also copies of shards that no record names count as orphans.
const simStrays = false

// findOrphans looks for files that nobody needs.
func (w *simWorld) findOrphans(s *Store, key int) {
	v, err := s.look(context.Background(), w.shape.ids[key], looking{prove: true, copies: len(s.pool)}, w.job)
	if err != nil {
		w.violate("I5: %v", err)
		return
	}
	for _, inc := range v.sorted() {
		switch {
		case len(inc.tombs) > s.silence && len(inc.shards)+len(inc.copies)+len(inc.moveAt) > 0:
			w.violate("I5: removed incarnation I%d has %d files left", w.ordinal(inc.id), len(inc.shards)+len(inc.copies)+len(inc.moveAt))
		case len(inc.tombs) > 0:
		case inc.manifest == nil || len(inc.dooms) > 0:
			w.violate("I5: incarnation I%d has %d shards, %d manifests, %d doom markers left", w.ordinal(inc.id), len(inc.shards), len(inc.copies), len(inc.doomAt))
		}
		if inc.manifest == nil || !simStrays {
			continue
		}
		for at := range inc.shards {
			if places := s.places(inc, int(at.Segment), int(at.Shard)); !slices.Contains(places, at) {
				w.violate("I5: shard %d of segment %d of I%d on b%d is named by no record", at.Shard, at.Segment, w.ordinal(inc.id), at.backend)
			}
		}
	}
}
