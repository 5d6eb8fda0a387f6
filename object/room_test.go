package object

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// A full backend gets no shards, and yet the records that it may have room for.
func TestFullBackend(t *testing.T) {
	full := fmt.Errorf("disk full: %w", backends.ErrFull)
	r := newRig(t, 2, 1, 4)
	shards := r.isShard
	r.faulty[0].Add(backendtest.Fault{Op: "put", Match: shards, Do: backendtest.ErrorInstead(full)})
	for i := range 12 {
		key, data := fmt.Sprint(i), bytesOf(byte(i), 5000)
		r.mustPut(key, data)
		r.mustGet(key, data)
		if h := r.mustScrub(key, false); !h.Whole() {
			t.Errorf("key %d: %v", i, h)
		}
		r.mustPut(fmt.Sprint("small", i), data[:100])
	}
	if n := r.faulty[0].Count("put"); n > 1+12+12 {
		t.Errorf("%d puts on the full backend: shards were tried again and again", n)
	}
	records := 0
	for i := range 12 {
		records += len(r.stored(0, fmt.Sprint("small", i), manifest.KindManifest))
	}
	if records == 0 {
		t.Error("no small object went to the full backend, which has room for it")
	}
	// All but two full: too few, and it is said.
	for i := range 2 {
		r.faulty[i+1].Add(backendtest.Fault{Op: "put", Match: shards, Do: backendtest.ErrorInstead(full)})
	}
	for range 2 { // when they say so, and when it is known
		if err := r.put("more", bytesOf(1, 5000)); !errors.Is(err, backends.ErrFull) {
			t.Errorf("all full: %v", err)
		}
	}
}

func (r *rig) isShard(name string) bool {
	return slices.ContainsFunc(r.pool, func(b *member) bool {
		n, ok := manifest.ParseName(b.names, path.Base(name))
		return ok && n.Kind == manifest.KindShard
	})
}

// The last bytes of a backend that says how much is free are for records.
func TestRoomForRecords(t *testing.T) {
	b := &member{}
	b.room.known, b.room.free = true, recordRoom+1000
	if !b.hasRoom(1000) || b.hasRoom(1001) || !b.hasRoom(forRecords) {
		t.Error("room is not what is free less what is for records")
	}
	b.stored(1000, nil)
	if b.hasRoom(1) || !b.hasRoom(forRecords) {
		t.Error("what was stored does not count")
	}
	b = &member{}
	if !b.hasRoom(1 << 40) {
		t.Error("one that cannot say has room")
	}
	b.stored(1, backends.ErrFull)
	if b.hasRoom(0) || !b.hasRoom(forRecords) {
		t.Error("one that said it is full gets shards")
	}
}

// A repair that finds no room says which backends are full.
func TestRepairNamesTheFull(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	r.lose(0, testKey, manifest.KindShard)
	r.pool[0].stored(1, backends.ErrFull)
	_, err := r.Repair(ctx, testKey, RepairOptions{}, r.job())
	if !errors.Is(err, backends.ErrFull) || !strings.Contains(err.Error(), ": "+r.pool[0].Name+": ") {
		t.Errorf("repair: %v", err)
	}
}
