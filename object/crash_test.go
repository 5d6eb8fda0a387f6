package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
)

// crash kills a process at each of its backend operations in turn, before it
// or after it is done, starts another one and calls after.
func crash(t *testing.T, whole *rig, do func(ctx context.Context, r *rig) error, after func(label string, r *rig, err error)) {
	t.Helper()
	for _, late := range []bool{false, true} {
		n, step := 1, 1
		if late {
			step = 2 // much the same as before the next one, and slow
		}
		for ; ; n += step {
			r := whole.fork(t)
			if whole.config.Journal != nil {
				r.config.Journal = JournalDir(t.TempDir())
				r.start()
			}
			ctx, cancel := context.WithCancel(ctx)
			r.gate.killAt(n, late, cancel)
			err := do(ctx, r)
			cancel()
			if !r.gate.dead {
				if err != nil {
					t.Errorf("without a crash: %v", err)
				}
				break
			}
			r.start()
			after(fmt.Sprintf("operation %d, late %v", n, late), r, err)
			if t.Failed() {
				return
			}
		}
		if n < 10 {
			t.Errorf("only %d operations were made", n)
		}
	}
}

var crashRigs = []struct {
	k, m, n, size int
	journal       bool
}{{2, 1, 3, 5000, true}, {2, 1, 4, 100, false}, {1, 1, 2, 5000, false}, {2, 2, 4, 5000, false}}

func eachCrashRig(t *testing.T, fn func(t *testing.T, r *rig, size int)) {
	for _, c := range crashRigs {
		t.Run(fmt.Sprintf("%d+%d of %d, %d bytes", c.k, c.m, c.n, c.size), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.k, c.m, c.n)
			if c.journal {
				r.config.Journal = JournalDir(t.TempDir())
			}
			fn(t, r, c.size)
		})
	}
}

func putBytes(data []byte) func(context.Context, *rig) error {
	return func(ctx context.Context, r *rig) error {
		return r.Put(ctx, testKey, bytes.NewReader(data), int64(len(data)), r.job())
	}
}

func TestCrashInPut(t *testing.T) {
	eachCrashRig(t, func(t *testing.T, whole *rig, size int) {
		data := bytesOf(1, size)
		crash(t, whole, putBytes(data), func(label string, r *rig, err error) {
			here, checkErr, _ := r.mustBeSound(testKey, data)
			if err == nil && !here {
				t.Errorf("%s: the store succeeded, check says %v", label, checkErr)
			}
			r.mustPut(testKey, data)
			r.mustCheck(testKey, true)
			r.mustGet(testKey, data)
			if t.Failed() {
				t.Log(label)
			}
		})
	})
}

// A store of other bytes under the same key never loses what was there.
func TestCrashInStoreAgain(t *testing.T) {
	eachCrashRig(t, func(t *testing.T, whole *rig, size int) {
		old, data := bytesOf(1, size), bytesOf(2, size)
		whole.mustPut(testKey, old)
		crash(t, whole, putBytes(data), func(label string, r *rig, err error) {
			here, checkErr, getErr := r.mustBeSound(testKey, old, data)
			if getErr != nil {
				t.Errorf("%s: lost: %v", label, getErr)
			}
			if !here && checkErr == nil || !here && err == nil {
				t.Errorf("%s: check says absent: %v", label, checkErr)
			}
			if err == nil {
				r.mustGet(testKey, data)
			}
			r.mustPut(testKey, data)
			r.mustCheck(testKey, true)
			r.mustGet(testKey, data)
			if t.Failed() {
				t.Log(label)
			}
		})
	})
}

func TestCrashInRemove(t *testing.T) {
	eachCrashRig(t, func(t *testing.T, whole *rig, size int) {
		data := bytesOf(1, size)
		whole.mustPut(testKey, data)
		remove := func(ctx context.Context, r *rig) error { return r.Remove(ctx, testKey, r.job()) }
		crash(t, whole, remove, func(label string, r *rig, err error) {
			here, _, getErr := r.mustBeSound(testKey, data)
			if err == nil && (here || getErr == nil) {
				t.Errorf("%s: removed, yet it is there", label)
			}
			if err := r.Remove(ctx, testKey, r.job()); err != nil {
				t.Errorf("%s: second remove: %v", label, err)
			}
			r.mustBeGone(testKey)
			r.mustPut(testKey, data)
			r.mustCheck(testKey, true)
			r.mustGet(testKey, data)
			if t.Failed() {
				t.Log(label)
			}
		})
	})
}

// After a crash m backends are lost as well: what was called stored is there.
func TestCrashThenLoss(t *testing.T) {
	whole := newRig(t, 2, 1, 4)
	old, data := bytesOf(1, 5000), bytesOf(2, 5000)
	whole.mustPut(testKey, old)
	crash(t, whole, putBytes(data), func(label string, crashed *rig, err error) {
		for i := range crashed.pool {
			r := crashed.fork(t)
			r.faulty[i].Down(errDown)
			here, checkErr, getErr := r.mustBeSound(testKey, old, data)
			if getErr != nil || !here && checkErr == nil {
				t.Errorf("%s, then %s down: get %v, check %v, %v", label, r.pool[i].Name, getErr, here, checkErr)
			}
		}
	})
}

// Two removals, the first cut off and the second without the backends that
// the first one reached, bring nothing back.
func TestCrashInRemoveThenLoss(t *testing.T) {
	whole := newRig(t, 2, 1, 4)
	data := bytesOf(1, 5000)
	whole.mustPut(testKey, data)
	remove := func(ctx context.Context, r *rig) error { return r.Remove(ctx, testKey, nil) }
	crash(t, whole, remove, func(label string, crashed *rig, err error) {
		for i := range crashed.pool {
			r := crashed.fork(t)
			r.faulty[i].Down(errDown)
			here, _, getErr := r.mustBeSound(testKey, data)
			if err == nil && (here || getErr == nil) {
				t.Errorf("%s: removed, yet it is there", label)
			}
			removed := r.Remove(ctx, testKey, nil) == nil
			r.faulty[i].Up()
			here, _, getErr = r.mustBeSound(testKey, data)
			if removed && (here || getErr == nil) {
				t.Errorf("%s, then removed while %s was down, and it came back: %v, %v", label, r.pool[i].Name, here, getErr)
			}
		}
	})
}

func TestCrashInClaim(t *testing.T) {
	whole := newRig(t, 2, 1, 3)
	for i := range whole.mem {
		whole.mem[i].Delete(whole.pool[i].marker)
	}
	crash(t, whole, func(ctx context.Context, r *rig) error { return r.Claim(ctx, Claim{}) }, func(label string, r *rig, err error) {
		if err := r.Claim(ctx, Claim{}); err != nil {
			t.Errorf("%s: claim again: %v", label, err)
		}
		r.mustCheck(testKey, false)
	})
}

// mustBeGone makes sure that the object is provably not there.
func (r *rig) mustBeGone(key string) {
	r.t.Helper()
	r.mustCheck(key, false)
	if _, err := r.get(key); !errors.Is(err, ErrAbsent) {
		r.t.Errorf("get of what was removed: %v", err)
	}
}
