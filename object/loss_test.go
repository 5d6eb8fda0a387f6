package object

import (
	"errors"
	"fmt"
	"testing"

	"shardraid/manifest"
)

// losses are the ways to lose a backend.
var losses = map[string]func(r *rig, i int){
	"down": func(r *rig, i int) { r.faulty[i].Down(errDown) },
	"wiped": func(r *rig, i int) {
		for _, name := range r.mem[i].Names() {
			r.mem[i].Delete(name)
		}
	},
	"garbage": func(r *rig, i int) { r.faulty[i].Garbage() },
	"hidden": func(r *rig, i int) { // not mounted: it answers 404 to everything
		r.faulty[i].Add(hideList())
		r.faulty[i].Add(hideGet())
	},
	"empty": func(r *rig, i int) { // all but its marker is gone: it truly holds nothing
		for _, name := range r.mem[i].Names() {
			if name != r.pool[i].marker {
				r.mem[i].Delete(name)
			}
		}
	},
}

// Of every subset of backends lost, in each way: m bring it back, and of more
// nothing wrong is said and nothing is written.
func TestLoss(t *testing.T) {
	for _, pool := range []struct{ k, m, n, size int }{{4, 2, 6, 5000}, {2, 1, 5, 5000}, {2, 1, 5, 100}} {
		data := bytesOf(1, pool.size)
		for mode := range losses {
			if pool.size < inline && mode != "down" && mode != "wiped" {
				continue // inlined: the others are much the same, and slow
			}
			t.Run(fmt.Sprintf("%d+%d of %d, %d bytes, %s", pool.k, pool.m, pool.n, pool.size, mode), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, pool.k, pool.m, pool.n)
				r.mustPut(testKey, data)
				for set := range 1 << pool.n {
					lose(t, r, mode, bits(set), data)
				}
			})
		}
	}
}

func lose(t *testing.T, whole *rig, mode string, lost []int, data []byte) {
	t.Helper()
	r := whole.fork(t)
	for _, i := range lost {
		losses[mode](r, i)
	}
	if len(lost) <= r.parity {
		r.mustGet(testKey, data)
		r.mustCheck(testKey, true)
		r.mustGet(testKey, data)
		return
	}
	here, checkErr, getErr := r.mustBeSound(testKey, data)
	if mode == "empty" {
		if !here && checkErr == nil && getErr == nil {
			t.Errorf("%v lost: absent, yet it can be had", lost)
		}
	} else {
		if !here && checkErr == nil {
			t.Errorf("%v lost: called absent", lost)
		}
		if errors.Is(getErr, ErrAbsent) {
			t.Errorf("%v lost: Get calls it proved absent", lost)
		}
	}
	for _, kind := range []manifest.Kind{manifest.KindManifest, manifest.KindShard, 0} {
		if r.gate.did("remove", kind) > 0 {
			t.Errorf("%v lost: files of kind %c were removed", lost, kind)
		}
	}
	if r.gate.did("put", manifest.KindTombstone)+r.gate.did("put", manifest.KindDoom) > 0 {
		t.Errorf("%v lost: a tombstone was written", lost)
	}
}

func TestCheckNeverStored(t *testing.T) {
	for mode := range losses {
		if mode == "empty" || mode == "garbage" {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			whole := newRig(t, 4, 2, 6)
			for set := range 1 << 6 {
				r, lost := whole.fork(t), bits(set)
				for _, i := range lost {
					losses[mode](r, i)
				}
				here, err := r.Check(ctx, testKey, nil)
				if here || (err != nil) != (len(lost) > 2) {
					t.Errorf("%v lost: %v, %v", lost, here, err)
				}
			}
		})
	}
}

// Check puts back the manifests that are missing, or does not say present.
func TestCheckRestoresCopies(t *testing.T) {
	for _, size := range []int{100, 5000} {
		r := newRig(t, 4, 2, 6)
		data := bytesOf(1, size)
		r.mustPut(testKey, data)
		left := 1
		for i := range r.pool {
			for _, path := range r.stored(i, testKey, manifest.KindManifest) {
				if left--; left < 0 {
					r.mem[i].Delete(path)
				}
			}
		}
		r.mustGet(testKey, data)
		r.mustCheck(testKey, true)
		if n := r.count(testKey, manifest.KindManifest); n != 3 {
			t.Errorf("%d bytes: %d manifests after a check, want 3", size, n)
		}
		r.mustGet(testKey, data)
	}
}

func TestCheckWithoutRoomForCopies(t *testing.T) {
	r := newRig(t, 4, 2, 6)
	r.mustPut(testKey, bytesOf(1, 5000))
	for i := range r.pool {
		if i > 0 {
			r.mem[i].Delete(r.stored(i, testKey, manifest.KindManifest)[0])
			r.faulty[i].Add(failPuts())
		}
	}
	if here, err := r.Check(ctx, testKey, nil); here || err == nil {
		t.Errorf("one manifest that cannot be copied: %v, %v", here, err)
	}
}
