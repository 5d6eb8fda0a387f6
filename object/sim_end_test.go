package object

import (
	"bytes"
	"context"
	"errors"
	"slices"

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
		w.endOfBad(key)
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
	w.goesOn(key)
}

// loseSome lets the oracle do without as many backends as may be lost.
func (w *simWorld) loseSome() {
	copy(w.lost, w.bad)
	left := min(w.shape.m, w.shape.q-w.shape.k)
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
// had.
func (w *simWorld) endOfBad(key int) {
	if !w.mustBeGone(key, w.step+1) {
		return
	}
	if here, _ := w.oracle.Check(context.Background(), w.shape.keys[key], w.job); here {
		w.violate("I3: check says present of key%d, which was removed", key)
	}
}

// goesOn makes sure that whatever state an object is in, it can be stored and
// removed.
func (w *simWorld) goesOn(key int) {
	ctx, text := context.Background(), w.shape.keys[key]
	c := w.clones[w.rng.IntN(len(w.clones))]
	p := &simProc{world: w, clone: c, lane: c.n, still: true}
	s := w.newStore(&simProcJournal{c.journal, p}, func(i int) backends.Store { return simDirect{w.mem[i], w, i} })
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
