package object

import (
	"context"
	"errors"
	"path"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends"
	"shardraid/manifest"
)

// Links that trickle hold nobody who can do without them, however much has
// been read in their place before.
func TestTricklingLinks(t *testing.T) {
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, links := overLinks(t, 2, 2, []float64{1, 1, 1, 1})
			data := bytesOf(1, 100<<20)
			storeOver(t, r, data)
			r.restart(t)
			if known {
				r.retrieve(t, data)
			}
			links[0].rate, links[1].rate = 2e3, 2e3
			r.schedule.extra = 100 << 20 // all that may be, and more
			within(t, "down", r.retrieve(t, data), 100<<20/2e6, 1.3, 60)
		})
	}
}

// Where nothing can be asked in place of what is late, nothing is charged.
func TestNothingReadInPlaceOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, links := overLinks(t, 2, 2, []float64{1, 1, 1, 1})
		storeOver(t, r, bytesOf(1, linkTest))
		for _, l := range links {
			l.rate = 0.2e6
		}
		r.mustScrub(testKey, true)
		if r.schedule.extra != 0 {
			t.Errorf("%d bytes were read in place of others", r.schedule.extra)
		}
	})
}

// A spare that is slow as well is not waited for either.
func TestSlowSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, links := overLinks(t, 4, 2, []float64{10, 10, 10, 10, 10, 10, 10}, "write_quorum: 5")
		own := r.ownOf()
		for i := range links {
			if !slices.Contains(own, i) {
				links[i].rate = 4e3
			}
		}
		links[own[2]].rate = 4e3
		if took := storeOver(t, r, bytesOf(1, 4<<20)); took > 10 {
			t.Errorf("it took %.1f s", took)
		}
	})
}

// Two segments may find two different backends slow: no more of them are given
// up than write_quorum allows, and the store succeeds.
func TestTwoSlowLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := overLinks(t, 4, 2, []float64{4, 4, 4, 4, 4, 4}, "write_quorum: 5")
		r.config.Memory = 30 << 20
		r.restart(t)
		for n, at := range r.ownOf()[:2] {
			r.hold(at, func(ctx context.Context, name manifest.Name) error {
				if int(name.Segment) == n {
					return sleepFor(ctx, 10*time.Second)
				}
				return nil
			})
		}
		r.mustPut(testKey, bytesOf(1, linkTest))
	})
}

// What was given up is waited for when another backend fails.
func TestSlowLaneWhereAnotherFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := overLinks(t, 4, 2, []float64{4, 4, 4, 4, 4, 4}, "write_quorum: 5")
		r.config.Memory = 14 << 20
		r.restart(t)
		own := r.ownOf()
		r.hold(own[0], func(ctx context.Context, name manifest.Name) error { return sleepFor(ctx, 5*time.Second) })
		r.hold(own[1], func(_ context.Context, name manifest.Name) error {
			if name.Segment > 3 {
				return errDown
			}
			return nil
		})
		r.mustPut(testKey, bytesOf(1, linkTest))
	})
}

// A backend that was slow for a moment gets shards again, of the same store.
func TestLaneIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := overLinks(t, 4, 2, []float64{.2, .2, .2, .2, .2, .2}, "write_quorum: 5")
		r.config.Memory = 14 << 20
		r.restart(t)
		at := r.ownOf()[3]
		r.hold(at, func(ctx context.Context, name manifest.Name) error {
			if name.Segment == 0 {
				return sleepFor(ctx, 50*time.Second)
			}
			return nil
		})
		r.mustPut(testKey, bytesOf(1, linkTest)) // 16 segments, 84 s
		if n := len(r.stored(at, testKey, manifest.KindShard)); n < 4 || n > 14 {
			t.Errorf("%d shards of 16 are there", n)
		}
	})
}

// A segment that ends late does not bring back a backend that has failed
// meanwhile, nor rule its replacement out.
func TestLateSegmentKeepsTheSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := overLinks(t, 4, 2, []float64{100, 100, 100, 100, 100, 100, 100})
		r.config.Memory = 14 << 20
		r.restart(t)
		own := r.ownOf()
		r.hold(own[0], func(_ context.Context, name manifest.Name) error {
			if name.Segment == 0 {
				return nil
			}
			return errDown
		})
		r.hold(own[1], func(ctx context.Context, name manifest.Name) error {
			if name.Segment == 0 {
				return sleepFor(ctx, 3*time.Second)
			}
			return sleepFor(ctx, time.Second/2)
		})
		r.mustPut(testKey, bytesOf(1, linkTest))
	})
}

// restart makes a new Store, over the same links.
func (r *rig) restart(t *testing.T) {
	t.Helper()
	s, err := New(r.config)
	if err != nil {
		t.Fatal(err)
	}
	r.Store = s
}

// ownOf returns the backends that a store of the test's object would choose.
func (r *rig) ownOf() []int {
	return r.placeShards(&view{id: r.vault.ObjectID(testKey), errs: make([]error, len(r.pool))}, 0)
}

// held holds puts of shards as long as hold does.
type held struct {
	backends.Store
	at   *member
	hold func(ctx context.Context, n manifest.Name) error
}

func (h *held) Put(ctx context.Context, name string, data []byte) (string, error) {
	if n, ok := manifest.ParseName(h.at.names, path.Base(name)); ok && n.Kind == manifest.KindShard {
		if err := h.hold(ctx, n); err != nil {
			return "", errors.Join(err, context.Cause(ctx))
		}
	}
	return h.Store.Put(ctx, name, data)
}

func (r *rig) hold(i int, hold func(ctx context.Context, n manifest.Name) error) {
	r.pool[i].store = &held{r.pool[i].store, r.pool[i], hold}
}
