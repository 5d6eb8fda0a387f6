package object

import (
	"errors"
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// A backend lists a shard, gives out its marker, and never the shard: a deep
// scrub calls it damaged, and a deep repair puts another one.
func TestWithheldShard(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.patient()
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	at := r.index(r.manifestOf(testKey).Segments[0].Shards[1].Backend)
	path := r.stored(at, testKey, manifest.KindShard)[0]
	r.faulty[at].Add(backendtest.Fault{Op: "get", Match: func(name string) bool { return name == path }, Do: backendtest.ErrorInstead(errors.New("input/output error"))})
	if h := r.mustScrub(testKey, false); !h.Whole() {
		t.Errorf("by its size: %v", h)
	}
	if h := r.mustScrub(testKey, true); h.Damaged != 1 || h.Silent != 0 {
		t.Errorf("read: %v", h)
	}
	if h := r.mustRepair(testKey, RepairOptions{Deep: true}); !h.Whole() {
		t.Errorf("repaired: %v", h)
	}
	if now := strings.Join(r.stored(at, testKey, manifest.KindShard), " "); strings.Contains(now, path) {
		t.Errorf("it is still there: %s", now)
	}
	if h := r.mustScrub(testKey, true); !h.Whole() {
		t.Errorf("afterwards: %v", h)
	}
	r.mustSurvive(testKey, data, 1)
}

// One that does not give out its marker either is silent: nothing is rebuilt,
// and a deep repair that could not read a shard says so.
func TestDeepRepairReadsAll(t *testing.T) {
	for _, call := range []int{2, 3} { // the marker, read after the look: before the shard, and after
		deepRepairReadsAll(t, call)
	}
}

func deepRepairReadsAll(t *testing.T, call int) {
	r := newRig(t, 2, 1, 4)
	r.patient()
	r.mustPut(testKey, bytesOf(1, 5000))
	at := r.index(r.manifestOf(testKey).Segments[0].Shards[1].Backend)
	before := r.stored(at, testKey, manifest.KindShard)
	r.faulty[at].Add(backendtest.Fault{Op: "get", Match: r.isShard, Do: backendtest.ErrorInstead(errDown)})
	marker := func(name string) bool { return name == r.pool[at].marker }
	r.faulty[at].Add(backendtest.Fault{Op: "get", Match: marker, Call: call, Repeat: backendtest.ForEver, Do: backendtest.ErrorInstead(errDown)})
	if _, err := r.Repair(ctx, testKey, RepairOptions{Deep: true}, r.job()); err == nil {
		t.Error("repaired")
	}
	r.faulty[at].Verify(t)
	if now := r.stored(at, testKey, manifest.KindShard); strings.Join(now, " ") != strings.Join(before, " ") {
		t.Errorf("%s became %s", before, now)
	}
}
