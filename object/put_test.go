package object

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// Other bytes under one key replace what was there; the same bytes cost nothing.
func TestPutAgain(t *testing.T) {
	for _, size := range []int{100, 5000, 600_000} {
		r := newRig(t, 4, 2, 6)
		old, data := bytesOf(1, size), bytesOf(2, size+1)
		r.mustPut(testKey, old)
		files := r.count(testKey, manifest.KindShard) + r.count(testKey, manifest.KindManifest)
		puts := r.faultyPuts()
		r.mustPut(testKey, old)
		if n := r.faultyPuts() - puts; n > 0 {
			t.Errorf("%d bytes: the same bytes again made %d puts", size, n)
		}
		r.mustPut(testKey, data)
		r.mustGet(testKey, data)
		r.mustCheck(testKey, true)
		if n := r.count(testKey, manifest.KindShard) + r.count(testKey, manifest.KindManifest); n > files+12 {
			t.Errorf("%d bytes: %d files, the old ones are still there", size, n)
		}
		if n := r.count(testKey, manifest.KindTombstone); n != 6 {
			t.Errorf("%d bytes: %d tombstones for the old ones", size, n)
		}
	}
}

func (r *rig) faultyPuts() (n int) {
	for _, f := range r.faulty {
		n += f.Count("put")
	}
	return n
}

// A store with fewer shards than it should have succeeds at the write quorum,
// says so, and is as good as its shards.
func TestPutDegraded(t *testing.T) {
	for _, fault := range []string{"down", "puts fail", "hidden"} {
		for _, quorum := range []int{5, 6} {
			for pool := 6; pool <= 7; pool++ {
				r := newRig(t, 4, 2, pool, fmt.Sprint("write_quorum: ", quorum))
				if fault == "puts fail" {
					r.faulty[2].Add(failPuts())
				} else {
					losses[fault](r, 2)
				}
				data := bytesOf(1, 600_000)
				err := r.put(testKey, data)
				label := fmt.Sprintf("%s, quorum %d, pool of %d", fault, quorum, pool)
				if want := quorum == 5 || pool == 7; (err == nil) != want {
					t.Errorf("%s: %v", label, err)
				}
				told := strings.Contains(strings.Join(r.infos, "\n"), "b2")
				if want := quorum == 5 && pool == 6; told != want {
					t.Errorf("%s: told %q", label, r.infos)
				}
				if err != nil {
					if !strings.Contains(err.Error(), "b2") {
						t.Errorf("%s: the error does not name the backend: %v", label, err)
					}
					r.start()
					r.mustCheck(testKey, false)
					continue
				}
				if pool == 7 {
					r.mustHaveShards(testKey, data)
				}
				r.mustGet(testKey, data)
				r.mustCheck(testKey, true)
				r.start()
				r.mustGet(testKey, data)
				r.mustCheck(testKey, true)
			}
		}
	}
}

// mustHaveShards makes sure that all shards are there, each segment's on
// backends of its own.
func (r *rig) mustHaveShards(key string, data []byte) {
	r.t.Helper()
	for i, seg := range r.manifestOf(key).Segments {
		holders := map[string]bool{}
		for _, sh := range seg.Shards {
			holders[sh.Backend] = true
		}
		if holders[""] || len(holders) != len(seg.Shards) {
			r.t.Errorf("segment %d is on %v", i, holders)
		}
	}
}

// What a backend acknowledged and did not store is noticed before success.
func TestPutReadsBack(t *testing.T) {
	for name, do := range map[string]backendtest.Action{
		"dropped": backendtest.Drop(), "truncated": backendtest.Truncate(100),
	} {
		r := newRig(t, 4, 2, 6)
		isShard := func(name string) bool { return r.name(3, name).Kind == manifest.KindShard }
		r.faulty[3].Add(backendtest.Fault{Op: "put", Match: isShard, Do: do})
		if err := r.put(testKey, bytesOf(1, 5000)); err == nil || !strings.Contains(err.Error(), "b3") {
			t.Errorf("a shard was %s: %v", name, err)
		}
	}
}

// The source is shorter than its size said, or changes while it is read.
func TestPutShortSource(t *testing.T) {
	for _, size := range []int{100, 5000, 600_000} {
		r := newRig(t, 4, 2, 6)
		data := bytesOf(1, size)
		if err := r.Put(ctx, testKey, bytes.NewReader(data[:size-1]), int64(size), nil); err == nil {
			t.Errorf("%d bytes: a short source was stored", size)
		}
		r.mustCheck(testKey, false)
		r.mustPut(testKey, data)
		r.mustGet(testKey, data)
	}
}
