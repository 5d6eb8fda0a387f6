package object

import (
	"context"
	"errors"
	"math"
	"testing"

	"shardraid/backends"
	"shardraid/manifest"
)

// hashless reports no hashes, as WebDAV does.
type hashless struct{ backends.Store }

func (b hashless) Put(ctx context.Context, name string, data []byte) (string, error) {
	_, err := b.Store.Put(ctx, name, data)
	return "", err
}

func (hashless) Hash(context.Context, string) (string, error) { return "", errors.ErrUnsupported }

// damageShard changes a byte of an object's shard where it lies, and returns
// the backend.
func (r *rig) damageShard(key string, n int) int {
	i := r.index(r.manifestOf(key).Segments[0].Shards[n].Backend)
	path := r.stored(i, key, manifest.KindShard)[0]
	data := r.mem[i].Files()[path]
	data[len(data)/2] ^= 1
	if _, err := r.mem[i].Put(ctx, path, data); err != nil {
		r.t.Fatal(err)
	}
	return i
}

func TestScrubHashes(t *testing.T) {
	r := newRig(t, 2, 2, 4)
	r.mustPut(testKey, bytesOf(1, 5000))
	at := r.damageShard(testKey, 1)
	before := 0
	for _, f := range r.faulty {
		before += f.Count("get")
	}
	h, err := r.Scrub(ctx, testKey, ScrubOptions{Hashes: true}, r.job())
	if err != nil || h.Damaged != 1 || h.Checked != 4 || h.Missing+h.Silent != 0 || h.Spare != 1 {
		t.Errorf("%v, %+v", err, h)
	}
	if len(r.damages) != 1 || r.damages[0] != r.pool[at].Name {
		t.Errorf("damaged: %v", r.damages)
	}
	for _, f := range r.faulty {
		before += 2 - f.Count("get") // a marker and a manifest each
	}
	if before < 0 {
		t.Errorf("%d files more were read", -before)
	}
	if h := r.mustScrub(testKey, false); !h.Whole() || h.Checked != 0 {
		t.Errorf("by sizes: %+v", h)
	}
	// What was moved is compared with the hash of its move.
	free := r.config.Layout.Backends[at].Name
	if h := r.mustRepair(testKey, RepairOptions{Deep: true}); !h.Whole() {
		t.Errorf("repair of %s: %+v", free, h)
	}
	if h, err := r.Scrub(ctx, testKey, ScrubOptions{Hashes: true}, r.job()); err != nil || !h.Whole() || h.Checked != 4 {
		t.Errorf("repaired: %v, %+v", err, h)
	}
	r.faulty[at].Down(errDown)
	if h, err := r.Scrub(ctx, testKey, ScrubOptions{Hashes: true}, r.job()); err != nil || h.Silent != 1 || h.Checked != 3 {
		t.Errorf("one is down: %v, %+v", err, h)
	}
}

func TestScrubSample(t *testing.T) {
	r := newRig(t, 2, 2, 4)
	for _, b := range r.pool {
		b.store = hashless{b.store}
	}
	r.mustPut(testKey, bytesOf(1, 5000))
	r.damageShard(testKey, 1)
	for _, c := range []struct {
		o       ScrubOptions
		checked int
		damaged int
	}{
		{ScrubOptions{Hashes: true}, 0, 0},
		{ScrubOptions{Hashes: true, Sample: 1}, 4, 1},
		{ScrubOptions{Sample: 1}, 4, 1},
		{ScrubOptions{Deep: true}, 4, 1},
	} {
		h, err := r.Scrub(ctx, testKey, c.o, r.job())
		if err != nil || h.Checked != c.checked || h.Damaged != c.damaged {
			t.Errorf("%+v: %v, %+v", c.o, err, h)
		}
	}
	n := 0
	for range 10000 {
		if drawn(0.3) {
			n++
		}
	}
	if math.Abs(float64(n)-3000) > 300 { // 6.5 standard deviations
		t.Errorf("%d of 10000 were drawn with 0.3", n)
	}
}
