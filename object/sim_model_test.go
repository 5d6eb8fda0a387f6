package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"shardraid/manifest"
	"shardraid/vault"
)

// simReq is one request of a program, and what became of it. Times are steps
// of the driver.
type simReq struct {
	what    string // store, get, check, remove, ...
	lane    int
	key     int
	content []byte // of a store
	from    string // of a move
	to      string
	deep    bool // of a repair or scrub
	eager   bool // a collection without the grace time

	state      simState
	start, end int
	looked     int // when its last look at everything began, and its manifests stood
	effect     int // when it last changed something
	late       int // operations of it that may yet change something
	ops        int
	listing    int  // lists that wait
	disturbed  bool // something went wrong that was not its fault

	here   bool
	got    []byte
	health Health
	err    error
}

// again returns a request for the same.
func (r *simReq) again() *simReq {
	return &simReq{what: r.what, key: r.key, content: r.content, from: r.from, to: r.to, deep: r.deep, eager: r.eager}
}

type simState int

const (
	simPlanned simState = iota
	simRunning
	simOK
	simFailed
	simDied
)

func (s simState) String() string {
	return [...]string{"planned", "running", "ok", "failed", "died"}[s]
}

func (r *simReq) String() string {
	text := fmt.Sprintf("lane %d: %s key%d", r.lane, r.what, r.key)
	if r.what == "store" {
		text += fmt.Sprintf(" (%d bytes, %x...)", len(r.content), r.content[:4])
	}
	return text
}

func (r *simReq) began() bool { return r.state != simPlanned }

// over reports whether it can change nothing any more.
func (r *simReq) over() bool { return r.state >= simOK && r.late == 0 }

// last is the last step at which it can have changed something.
func (r *simReq) last() int { return max(r.end, r.effect) }

// do makes the request and notes what came of it.
func (r *simReq) do(p *simProc) {
	s, key := p.store, p.world.shape.keys[r.key]
	switch r.what {
	case "store":
		r.err = s.Put(p.ctx, key, bytes.NewReader(r.content), int64(len(r.content)), p.world.job)
	case "get":
		r.got, r.err = p.world.get(p.ctx, s, key)
	case "check":
		r.here, r.err = s.Check(p.ctx, key, p.world.job)
	case "remove":
		r.err = s.Remove(p.ctx, key, p.world.job)
	case "move":
		r.err = s.Move(p.ctx, key, r.from, r.to, p.world.job)
	case "repair":
		r.health, r.err = s.Repair(p.ctx, key, RepairOptions{Deep: r.deep}, p.world.job)
	case "scrub":
		r.health, r.err = s.Scrub(p.ctx, key, ScrubOptions{Deep: r.deep}, p.world.job)
	case "collect":
		o := CollectOptions{Keys: slices.Values(p.world.shape.keys)}
		if r.eager {
			o.Grace = -1
		}
		_, r.err = s.Collect(p.ctx, o, p.world.job)
	case "fill":
		_, r.err = s.FillIn(p.ctx, p.world.job)
	default:
		panic(r.what)
	}
}

// get reads an object into a file and returns what is in it.
func (w *simWorld) get(ctx context.Context, s *Store, key string) ([]byte, error) {
	file := filepath.Join(w.dir, fmt.Sprint(files.Add(1)))
	defer os.Remove(file)
	err := s.Get(ctx, key, file, w.job)
	got, readErr := os.ReadFile(file)
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		panic(readErr)
	}
	return got, err
}

// removal reports whether a request may have taken something of a key away at
// or after a step, or may yet do so.
func (r *simReq) removesAfter(key, step int) bool {
	return r.what == "remove" && r.key == key && r.began() && (!r.over() || r.last() >= step)
}

// mustExist reports whether an object is there by what was promised: some
// store succeeded before a step, and every removal was over before it looked
// back.
func (w *simWorld) mustExist(key, before int) bool {
	return slices.ContainsFunc(w.reqs, func(s *simReq) bool {
		return s.what == "store" && s.key == key && s.state == simOK && s.end < before &&
			!slices.ContainsFunc(w.reqs, func(r *simReq) bool { return r.removesAfter(key, s.looked) })
	})
}

// mustBeGone reports whether a removal succeeded before a step that began after
// all stores were over. What a store has left that failed may lie where the
// removal could not look, and come to light later: so it is, by choice.
func (w *simWorld) mustBeGone(key, before int) bool {
	return slices.ContainsFunc(w.reqs, func(r *simReq) bool {
		return r.what == "remove" && r.key == key && r.state == simOK && r.end < before &&
			!slices.ContainsFunc(w.reqs, func(s *simReq) bool {
				return s.what == "store" && s.key == key && s.began() &&
					(!s.over() || s.last() >= r.start || s.state != simOK && (r.disturbed || w.lies))
			})
	})
}

// stores reports whether a store of the key was going on at or after a step.
func (w *simWorld) stores(key, since int) bool {
	return slices.ContainsFunc(w.reqs, func(s *simReq) bool {
		return s.what == "store" && s.key == key && s.began() && (!s.over() || s.last() >= since)
	})
}

func (w *simWorld) removes(key, since int) bool {
	return slices.ContainsFunc(w.reqs, func(r *simReq) bool { return r.removesAfter(key, since) })
}

// wasStored reports whether somebody began to store these bytes.
func (w *simWorld) wasStored(key int, got []byte) bool {
	return slices.ContainsFunc(w.reqs, func(s *simReq) bool {
		return s.what == "store" && s.key == key && s.began() && bytes.Equal(s.content, got)
	})
}

// judge looks whether the answer to a request was right.
func (w *simWorld) judge(r *simReq) {
	if r.ops > simMaxOps {
		w.violate("I6: %v made %d operations", r, r.ops)
	}
	switch {
	case r.what == "get" && r.state == simOK && !w.wasStored(r.key, r.got):
		w.violate("I2: %v returned %d wrong bytes", r, len(r.got))
	case r.what == "get" && r.state == simFailed && errors.Is(r.err, ErrAbsent):
		w.judgeAbsent(r)
	case r.what == "check" && r.state == simOK && r.here:
		w.judgePresent(r)
	case r.what == "check" && r.state == simOK:
		w.judgeAbsent(r)
	}
}

func (w *simWorld) judgePresent(r *simReq) {
	if w.mustBeGone(r.key, r.start) {
		w.violate("I3: %v says present, and a removal had succeeded", r)
	}
	if w.removes(r.key, r.start) || w.lossSince > r.start {
		return
	}
	if err := w.read(r.key); err != nil {
		w.violate("I3: %v says present, and it cannot be read: %v", r, err)
	}
}

func (w *simWorld) judgeAbsent(r *simReq) {
	if w.removes(r.key, r.start) {
		return
	}
	if w.mustExist(r.key, r.start) {
		w.violate("I3: %v says absent (%v), and a store had succeeded", r, r.err)
	}
	if r.disturbed || w.stores(r.key, r.start) || w.lies {
		return // what a dead store has left may come to light later
	}
	if err := w.read(r.key); err == nil {
		w.violate("I3: %v says absent, and it can be read", r)
	}
}

// read reads an object while the world stands still. It is no fault if that
// fails; bytes that nobody stored are.
func (w *simWorld) read(key int) error {
	got, err := w.get(context.Background(), w.oracle, w.shape.keys[key])
	if err == nil && !w.wasStored(key, got) {
		w.violate("I2: key%d: %d wrong bytes", key, len(got))
	}
	return err
}

// simStored is a file on a backend.
type simStored struct {
	manifest.Name
	req  *simReq
	data []byte // as it was handed over
}

// watchRemove makes sure that a shard which goes is needed by nobody.
func (w *simWorld) watchRemove(op *simOp) {
	at := w.stored[op.id.backend][op.name]
	if at == nil || at.Kind != manifest.KindShard || at.req == op.req || !w.intact(op.id.backend, op.name) {
		return
	}
	inc := at.Incarnation
	if len(w.tombs[inc]) >= max(w.shape.n-w.shape.m, w.shape.m+1) {
		return
	}
	live, dooms := false, 0
	for i := range w.stored {
		for name, f := range w.stored[i] {
			if f.Incarnation != inc || i == op.id.backend && name == op.name {
				continue
			}
			live = live || f.Kind == manifest.KindManifest
			if f.Kind == manifest.KindDoom {
				dooms++
			}
			if f.Kind == manifest.KindShard && f.Segment == at.Segment && f.Shard == at.Shard && (w.intact(i, name) || w.bad[i]) {
				return // there is another one
			}
		}
	}
	if live && dooms <= w.shape.m { // no store of it can succeed now
		w.violate("I4: %v deletes %v, which a live incarnation needs (%d tombstones)", op.req, op.id, len(w.tombs[inc]))
	}
}

func (w *simWorld) intact(backend int, name string) bool {
	f := w.stored[backend][name]
	data, ok := w.mem[backend].Peek(name)
	return f != nil && ok && bytes.Equal(data, f.data)
}

// simSecrets makes sure that no backend and no journal holds what it must not.
func (w *simWorld) searchSecrets() {
	var secrets [][]byte
	for _, r := range w.reqs {
		secrets = append(secrets, []byte(w.shape.keys[r.key]))
		if len(r.content) >= 32 {
			secrets = append(secrets, r.content[:16], r.content[len(r.content)/2:][:16])
		}
	}
	search := func(where string, data []byte) {
		for _, s := range secrets {
			if bytes.Contains(data, s) {
				w.violate("I7: %s holds a name or content", where)
			}
		}
	}
	for i, files := range w.stored {
		for name, f := range files {
			search(fmt.Sprintf("%s on b%d", name, i), f.data)
		}
	}
	for _, c := range w.clones {
		for name, f := range c.journal.files {
			search("journal "+name, f.data)
		}
	}
}

// noteTomb remembers which backends took an incarnation's tombstone.
func (w *simWorld) noteTomb(inc vault.Incarnation, backend int) {
	if w.tombs[inc] == nil {
		w.tombs[inc] = map[int]bool{}
	}
	w.tombs[inc][backend] = true
}

func (w *simWorld) violate(format string, args ...any) {
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
		w.log("VIOLATION %s", w.violation)
	}
}

// simMaxOps bounds the operations of one request.
const simMaxOps = 2000
