package object

import (
	"fmt"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

func TestRemove(t *testing.T) {
	for _, c := range codes {
		for _, size := range []int{0, inline, inline + 1, 300_000} {
			r := newRig(t, c.k, c.m, c.k+c.m)
			data := bytesOf(1, size)
			r.mustPut(testKey, data)
			r.mustPut("other", data)
			for range 2 { // the second one finds nothing
				if err := r.Remove(ctx, testKey, r.job()); err != nil {
					t.Fatalf("%d+%d, %d bytes: %v", c.k, c.m, size, err)
				}
				r.mustBeGone(testKey)
			}
			if n := r.count(testKey, manifest.KindShard) + r.count(testKey, manifest.KindManifest); n > 0 {
				t.Errorf("%d+%d, %d bytes: %d files left", c.k, c.m, size, n)
			}
			r.mustGet("other", data)
			r.mustPut(testKey, data)
			r.mustCheck(testKey, true)
			r.mustGet(testKey, data)
		}
	}
}

func TestRemoveMissing(t *testing.T) {
	r := newRig(t, 4, 2, 6)
	for down := range 4 {
		err := r.Remove(ctx, testKey, r.job())
		if (err != nil) != (down > 2) {
			t.Errorf("%d down: %v", down, err)
		}
		r.faulty[down].Down(errDown)
	}
	if n := r.gate.did("put", manifest.KindTombstone); n > 0 {
		t.Errorf("%d tombstones for nothing", n)
	}
}

// Every subset of backends is away during a removal and comes back with its
// old files.
func TestRemoveWithoutSome(t *testing.T) {
	for _, c := range []struct{ k, m, n, size int }{{2, 1, 4, 100}, {2, 1, 4, 5000}, {1, 1, 3, 5000}, {2, 2, 4, 5000}} {
		for _, mode := range []string{"down", "hidden", "garbage"} {
			t.Run(fmt.Sprintf("%d+%d of %d, %d bytes, %s", c.k, c.m, c.n, c.size, mode), func(t *testing.T) {
				t.Parallel()
				whole := newRig(t, c.k, c.m, c.n)
				data := bytesOf(1, c.size)
				whole.mustPut(testKey, data)
				for set := range 1 << c.n {
					removeWithout(t, whole.fork(t), mode, bits(set), data)
				}
			})
		}
	}
}

func removeWithout(t *testing.T, r *rig, mode string, lost []int, data []byte) {
	t.Helper()
	for _, i := range lost {
		losses[mode](r, i)
	}
	err := r.Remove(ctx, testKey, r.job())
	removed := r.gate.did("remove", manifest.KindShard) + r.gate.did("remove", manifest.KindManifest)
	r.start() // all are back
	here, checkErr, getErr := r.mustBeSound(testKey, data)
	switch {
	case err == nil && (here || getErr == nil):
		t.Errorf("%v lost: removed, yet check says %v and get %v", lost, here, getErr)
	case len(lost) > r.parity && err == nil:
		t.Errorf("%v lost: the removal claims to have succeeded", lost)
	case len(lost) > r.parity && (removed > 0 || !here):
		t.Errorf("%v lost: %d files were removed, check says %v", lost, removed, checkErr)
	case len(lost) < r.parity && r.layout.Data > r.parity && mode != "garbage" && err != nil:
		t.Errorf("%v lost: %v", lost, err)
	}
	if err := r.Remove(ctx, testKey, r.job()); err != nil {
		t.Errorf("%v lost: remove again: %v", lost, err)
	}
	r.mustBeGone(testKey)
}

// Too few tombstones can be written: nothing is deleted.
func TestRemoveWithoutTombstones(t *testing.T) {
	r := newRig(t, 4, 2, 6)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	for i := range 3 {
		r.faulty[i].Add(failPuts())
	}
	if err := r.Remove(ctx, testKey, r.job()); err == nil {
		t.Error("removed with 3 tombstones of 4")
	}
	if n := r.count(testKey, manifest.KindShard); n != 6 {
		t.Errorf("%d shards are left", n)
	}
}

// The shards cannot be deleted: the removal fails, for k of them could bring
// the object back.
func TestRemoveLeavesShards(t *testing.T) {
	r := newRig(t, 4, 2, 6)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	for i := range 4 {
		r.faulty[i].Add(backendtest.Fault{Op: "remove", Do: backendtest.ErrorInstead(errDown)})
	}
	if err := r.Remove(ctx, testKey, r.job()); err == nil {
		t.Error("removed, with k shards left")
	}
	r.start()
	r.mustBeGone(testKey) // the tombstones stand
	if err := r.Remove(ctx, testKey, r.job()); err != nil {
		t.Error(err)
	}
	if n := r.count(testKey, manifest.KindShard); n > 0 {
		t.Errorf("%d shards are left", n)
	}
}
