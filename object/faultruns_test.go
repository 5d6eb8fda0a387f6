package object

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
)

// faultRun is a rig some of whose backends go wrong, all in one way.
type faultRun struct {
	*rig
	kind *faultKind
	bad  []int
	data []byte
	old  []byte // what was stored before
}

func runFault(t *testing.T, phase faultPhase, kind *faultKind, bad []int, size int, empty, stored *rig) {
	r := &faultRun{kind: kind, bad: bad, data: bytesOf(1, size)}
	before := stored
	switch phase.name {
	case "get":
		r.rig, before = stored.fork(t), empty
	case "put":
		r.rig, before = empty.fork(t), empty
	case "put again":
		r.rig, r.old, r.data = stored.fork(t), r.data, bytesOf(2, size)
	case "remove":
		r.rig = stored.fork(t)
	}
	for _, b := range r.pool {
		limit := time.Minute
		if kind.slow {
			limit = 1000 * time.Hour
		}
		g := r.config.Stores[b.ID].(*gated)
		g.Store = timed{g.Store, limit}
	}
	for _, i := range bad {
		kind.on(r.faulty[i], r.mem[i], before.mem[i])
	}
	phase.do(r)
}

// calm ends all faults: what was put off happens, and another process comes.
func (r *faultRun) calm() {
	for _, i := range r.bad {
		r.kind.met.Add(int64(r.faulty[i].Met()))
		if r.kind.did != nil && r.kind.did(r.mem[i]) {
			r.kind.met.Add(1)
		}
		if r.kind.off != nil {
			r.kind.off(r.mem[i])
		}
		r.faulty[i].Land()
	}
	r.start()
}

// within says whether no more go wrong than may.
func (r *faultRun) within() bool { return len(r.bad) <= r.parity }

// enough says whether those that are well can tell what a record on m+1 backends says.
func (r *faultRun) enough() bool { return len(r.pool)-len(r.bad) > r.parity }

// get is a Get and a Check of what was stored before.
func (r *faultRun) get() {
	defer r.calm()
	if r.within() {
		start := time.Now()
		r.mustGet(testKey, r.data)
		if took := time.Since(start); r.kind.prompt && took > 10*time.Second {
			r.t.Errorf("get waited %v for those who do not answer", took)
		}
		if r.enough() {
			r.mustCheck(testKey, true)
		} else {
			r.sound(true)
		}
		return
	}
	r.sound(true)
}

// put is a Put, on the way to which backends go wrong.
func (r *faultRun) put() {
	err := r.rig.put(testKey, r.data)
	r.sound(err == nil || len(r.old) > 0)
	r.calm()
	if err == nil {
		r.mustSurvive()
	}
	got, getErr := r.rig.get(testKey)
	if r.within() && len(r.old) > 0 && getErr != nil {
		r.t.Errorf("what was there before is lost: %v", getErr)
	}
	if err == nil && r.within() && !bytes.Equal(got, r.data) {
		r.t.Errorf("stored, and now %d bytes, %v", len(got), getErr)
	}
	r.kind = &faultKind{spoils: r.kind.spoils}
	r.sound(false)
	if r.within() && err != nil {
		r.mustPut(testKey, r.data)
		r.mustCheck(testKey, true)
		r.mustGet(testKey, r.data)
	}
}

// mustSurvive makes sure that what was stored is there without the backends that went wrong,
// and others up to m.
func (r *faultRun) mustSurvive() {
	bad := 0
	for _, i := range r.bad {
		bad |= 1 << i
	}
	for set := range 1 << len(r.pool) {
		gone := bits(set)
		if len(gone) != r.parity || set&bad != bad {
			continue
		}
		for _, i := range gone {
			r.faulty[i].Down(errDown)
		}
		if got, err := r.rig.get(testKey); err != nil || !bytes.Equal(got, r.data) {
			r.t.Errorf("stored, and without %v: %d bytes, %v", gone, len(got), err)
		}
		for _, i := range gone {
			r.faulty[i].Up()
		}
	}
}

// remove is a Remove of what was stored before.
func (r *faultRun) remove() {
	err := r.Remove(ctx, testKey, r.job())
	removed := err == nil && (r.within() || !r.kind.hides)
	here, _, getErr := r.sound(false)
	if removed && (here || getErr == nil && r.enough()) {
		r.t.Errorf("removed, and it is there: %v, %v", here, getErr)
	}
	r.calm()
	here, _, getErr = r.sound(false)
	if removed && (here || getErr == nil) {
		r.t.Errorf("removed, and it came back: %v, %v", here, getErr)
	}
	if r.within() {
		r.mustRemove(testKey)
		r.mustBeGone(testKey)
	}
}

// sound makes sure that no answer is wrong. There says that the object is there for certain.
func (r *faultRun) sound(there bool) (here bool, checkErr, getErr error) {
	r.t.Helper()
	here, checkErr = r.Check(ctx, testKey, r.job())
	got, getErr := r.rig.get(testKey)
	right := bytes.Equal(got, r.data) || bytes.Equal(got, r.old) && r.old != nil ||
		getErr != nil && (bytes.HasPrefix(r.data, got) || bytes.HasPrefix(r.old, got))
	hidden := r.kind.hides && !r.within()
	lags := r.kind.lags && !r.within()
	switch {
	case !right:
		r.t.Errorf("get: %d wrong bytes, %v", len(got), getErr)
	case here && checkErr != nil:
		r.t.Errorf("check says true and %v", checkErr)
	case here && getErr != nil && !(r.kind.spoils && !r.within()) && !lags:
		r.t.Errorf("check says present, get says: %v", getErr)
	case there && !here && checkErr == nil && !hidden:
		r.t.Errorf("it is there, and called absent")
	case there && errors.Is(getErr, ErrAbsent) && !hidden:
		r.t.Errorf("it is there, and get calls it absent")
	case !here && checkErr == nil && getErr == nil && !hidden && !lags:
		r.t.Errorf("it is called absent, and get has it")
	}
	return here, checkErr, getErr
}

// cheapRig is a rig with small shards, whose records are not OpenPGP messages.
func cheapRig(t testing.TB, code [3]int) *rig {
	r := newRig(t, code[0], code[1], code[2])
	r.config.Vault = r.config.Vault.WithEnvelope(simEnvelope{})
	r.config.Layout.ShardSize = 1 << 10 // less than a layout may say: the cost is in the bytes
	for _, m := range r.mem {
		m.Restore(backendtest.NewMemory())
	}
	r.start()
	if err := r.Claim(ctx, Claim{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// timed ends each call after a while, as backends.Rclone does.
type timed struct {
	backends.Store
	limit time.Duration
}

func (s timed) Put(ctx context.Context, name string, data []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.Store.Put(ctx, name, data)
}

func (s timed) Get(ctx context.Context, name string, dst []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.Store.Get(ctx, name, dst)
}

func (s timed) List(ctx context.Context, dir string) ([]backends.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.Store.List(ctx, dir)
}

func (s timed) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.Store.Remove(ctx, name)
}

func (s timed) Free(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.Store.Free(ctx)
}
