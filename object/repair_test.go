package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// lose deletes all files of a kind of one object on a backend.
func (r *rig) lose(i int, key string, kind manifest.Kind) {
	for _, path := range r.stored(i, key, kind) {
		r.mem[i].Delete(path)
	}
}

func (r *rig) mustRepair(key string, o RepairOptions) Health {
	r.t.Helper()
	h, err := r.Repair(ctx, key, o, r.job())
	if err != nil {
		r.t.Errorf("repair: %v", err)
	}
	return h
}

func (r *rig) mustScrub(key string, deep bool) Health {
	r.t.Helper()
	h, err := r.Scrub(ctx, key, ScrubOptions{Deep: deep}, r.job())
	if err != nil {
		r.t.Errorf("scrub: %v", err)
	}
	return h
}

// Whatever up to m backends have lost or spoiled, a repair brings it back, and
// then any m may be lost again.
func TestRepair(t *testing.T) {
	for _, c := range []struct{ k, m, n, size int }{{2, 1, 3, 5000}, {2, 1, 5, 300_000}, {2, 2, 4, 5000}, {1, 1, 2, 5000}, {3, 2, 6, 700_000}} {
		for _, way := range []string{"shards lost", "all files lost", "shards damaged", "manifests damaged"} {
			t.Run(fmt.Sprintf("%d+%d of %d, %d bytes, %s", c.k, c.m, c.n, c.size, way), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, c.k, c.m, c.n)
				data := bytesOf(1, c.size)
				r.mustPut(testKey, data)
				for _, id := range r.manifestOf(testKey).Backends()[:c.m] {
					at := r.index(id)
					switch way {
					case "shards lost":
						r.lose(at, testKey, manifest.KindShard)
					case "all files lost":
						r.lose(at, testKey, manifest.KindShard)
						r.lose(at, testKey, manifest.KindManifest)
					case "shards damaged":
						for _, path := range r.stored(at, testKey, manifest.KindShard) {
							r.mem[at].Corrupt(path)
						}
					case "manifests damaged":
						for _, path := range r.stored(at, testKey, manifest.KindManifest) {
							r.mem[at].Corrupt(path)
						}
					}
				}
				before := r.mustScrub(testKey, true)
				if before.Whole() && way != "manifests damaged" {
					t.Errorf("scrub before: %+v", before)
				}
				h := r.mustRepair(testKey, RepairOptions{Deep: way == "shards damaged"})
				after := r.mustScrub(testKey, true)
				if h.Checked = after.Checked; !h.Whole() || h.Spare != c.m || h != after {
					t.Errorf("after the repair: %+v, scrub says %+v", h, after)
				}
				r.mustCheck(testKey, true)
				r.mustSurvive(testKey, data, c.m)
			})
		}
	}
}

// What lies on a backend that is merely down is not rebuilt; what lies on one
// that was given up is.
func TestRepairLeavesWhatIsDown(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	at := r.index(r.manifestOf(testKey).Backends()[0])
	r.faulty[at].Down(errDown)
	h := r.mustRepair(testKey, RepairOptions{})
	if h.Silent != 1 || r.gate.did("put", manifest.KindShard) != 3 {
		t.Errorf("%+v; %d shards were put", h, r.gate.did("put", manifest.KindShard))
	}
	h = r.mustRepair(testKey, RepairOptions{Lost: []string{r.pool[at].Name}})
	if !h.Whole() || r.gate.did("put", manifest.KindShard) != 4 {
		t.Errorf("given up: %+v; %d shards were put", h, r.gate.did("put", manifest.KindShard))
	}
	for i := range r.pool { // the lost one and another
		r := r.fork(t)
		r.faulty[at].Down(errDown)
		for _, path := range r.stored(i, testKey, manifest.KindShard) {
			r.mem[i].Delete(path)
		}
		r.mustGet(testKey, data)
	}
	if _, err := r.Repair(ctx, testKey, RepairOptions{Lost: []string{"nobody"}}, nil); err == nil {
		t.Error("a backend that is not in the layout was given up")
	}
}

func TestRepairOfNothing(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	if _, err := r.Repair(ctx, testKey, RepairOptions{}, r.job()); !errors.Is(err, ErrAbsent) {
		t.Errorf("repair of what is not there: %v", err)
	}
	if _, err := r.Scrub(ctx, testKey, ScrubOptions{}, r.job()); !errors.Is(err, ErrAbsent) {
		t.Errorf("scrub of what is not there: %v", err)
	}
	r.mustPut(testKey, bytesOf(1, 5000))
	for i := range 2 {
		r.lose(i, testKey, manifest.KindShard)
	}
	if h, err := r.Repair(ctx, testKey, RepairOptions{}, r.job()); err == nil {
		t.Errorf("lost, yet repaired: %+v", h)
	}
	if h := r.mustScrub(testKey, false); h.Spare >= 0 {
		t.Errorf("lost, yet scrub says %+v", h)
	}
}

// A copy that somebody put and died before he could name it is named, not
// made again.
func TestRepairAdoptsStrays(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	m := r.manifestOf(testKey)
	from := r.index(m.Backends()[0])
	free := slices.IndexFunc(r.pool, func(b *member) bool { return !slices.Contains(m.Backends(), b.ID) })
	path := r.stored(from, testKey, manifest.KindShard)[0]
	name := r.name(from, path)
	name.Copy = manifest.NewCopyID()
	r.mem[free].Set(r.pool[free].path(m.Object, name), r.mem[from].Files()[path])
	r.mem[from].Delete(path)
	r.gate.reset()
	if h := r.mustRepair(testKey, RepairOptions{}); !h.Whole() || r.gate.did("put", manifest.KindShard) != 0 {
		t.Errorf("%+v; %d shards were put", h, r.gate.did("put", manifest.KindShard))
	}
	r.mustCheck(testKey, true)
}

func TestMove(t *testing.T) {
	for _, to := range []bool{true, false} {
		r := newRig(t, 2, 1, 4)
		data := bytesOf(1, 700_000)
		r.mustPut(testKey, data)
		m := r.manifestOf(testKey)
		from := r.index(m.Segments[0].Shards[0].Backend)
		free := slices.IndexFunc(r.pool, func(b *member) bool { return !slices.Contains(m.Backends(), b.ID) })
		target := ""
		if to {
			target = r.pool[free].Name
		}
		if err := r.Move(ctx, testKey, r.pool[from].Name, target, r.job()); err != nil {
			t.Fatalf("move: %v", err)
		}
		if n := len(r.stored(from, testKey, manifest.KindShard)); n > 0 {
			t.Errorf("%d shards are still there", n)
		}
		if h := r.mustScrub(testKey, true); !h.Whole() {
			t.Errorf("after the move: %+v", h)
		}
		r.mustSurvive(testKey, data, 1)
		// To where another shard of the segment is nothing moves.
		other := r.index(m.Segments[0].Shards[1].Backend)
		if err := r.Move(ctx, testKey, r.pool[free].Name, r.pool[other].Name, r.job()); err == nil {
			t.Error("two shards of a segment on one backend")
		}
		r.mustGet(testKey, data)
		r.mustRemove(testKey)
		r.mustBeGone(testKey)
	}
}

// A backend that lies about what it took does not get the only copy.
func TestMoveIsVerified(t *testing.T) {
	for name, fault := range map[string]backendtest.Action{"dropped": backendtest.Drop(), "cut off": backendtest.Truncate(10)} {
		r := newRig(t, 2, 1, 4)
		data := bytesOf(1, 5000)
		r.mustPut(testKey, data)
		m := r.manifestOf(testKey)
		from := r.index(m.Segments[0].Shards[0].Backend)
		free := slices.IndexFunc(r.pool, func(b *member) bool { return !slices.Contains(m.Backends(), b.ID) })
		r.faulty[free].Add(backendtest.Fault{Op: "put", Do: fault})
		if err := r.Move(ctx, testKey, r.pool[from].Name, r.pool[free].Name, r.job()); err == nil {
			t.Errorf("%s: the move succeeded", name)
		}
		if len(r.stored(from, testKey, manifest.KindShard)) == 0 {
			t.Errorf("%s: the old copy is gone", name)
		}
	}
}

// A store that found too few backends is noted, and the next process makes the
// object whole.
func TestFillIn(t *testing.T) {
	r := newJournalRig(t, 2, 2, 4, "write_quorum: 3")
	data := bytesOf(1, 300_000)
	r.faulty[1].Add(backendtest.Fault{Op: "put", Do: backendtest.ErrorInstead(errDown)})
	r.mustPut(testKey, data)
	if n, err := Pending(r.config.Journal); n != 1 || err != nil {
		t.Fatalf("pending: %d, %v", n, err)
	}
	if n, _ := r.FillIn(ctx, r.job()); n != 0 {
		t.Error("filled in although the backend is still down")
	}
	r.start()
	if n, err := r.FillIn(ctx, r.job()); n != 1 || err != nil {
		t.Errorf("fill in: %d, %v", n, err)
	}
	if n, _ := Pending(r.config.Journal); n != 0 {
		t.Errorf("%d are still pending", n)
	}
	if h := r.mustScrub(testKey, true); !h.Whole() {
		t.Errorf("after filling in: %+v", h)
	}
	r.mustSurvive(testKey, data, 2)
	// A note of what was removed since goes away, and so does a torn one.
	r.notePending(r.vault.ObjectID("other"), manifest.NewIncarnation(), 2)
	file, _ := r.config.Journal.Open(r.vault.ObjectID("torn").String() + pendingSuffix)
	file.Append([]byte(`{"vers`))
	file.Close(false)
	r.FillIn(ctx, r.job())
	if n, _ := Pending(r.config.Journal); n != 0 {
		t.Errorf("%d notes of nothing are left", n)
	}
}

// A backend that has lost most at once is doubted, not the data.
func TestSuspect(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	for i := range 20 {
		r.mustPut(fmt.Sprint(i), bytesOf(byte(i), 5000))
	}
	for i := range 20 {
		r.lose(0, fmt.Sprint(i), manifest.KindShard)
	}
	rebuilt, refused := 0, 0
	for i := range 20 {
		h, err := r.Repair(ctx, fmt.Sprint(i), RepairOptions{}, r.job())
		if err != nil {
			t.Error(err)
		}
		if h.Whole() {
			rebuilt++
		} else {
			refused++
		}
	}
	if rebuilt > manyMissing || refused < 20-manyMissing {
		t.Errorf("%d were rebuilt, %d not", rebuilt, refused)
	}
	r.lose(1, "19", manifest.KindShard)
	if here, err := r.Check(ctx, "19", r.job()); here || err == nil {
		t.Errorf("a suspect backend proves absence: %v, %v", here, err)
	}
}

func TestCrashInRepairAndMove(t *testing.T) {
	whole := newRig(t, 2, 1, 4)
	data := bytesOf(1, 5000)
	whole.mustPut(testKey, data)
	m := whole.manifestOf(testKey)
	at := whole.index(m.Backends()[0])
	degraded := whole.fork(t)
	degraded.lose(at, testKey, manifest.KindShard)
	do := map[string]func(ctx context.Context, r *rig) error{
		"move": func(ctx context.Context, r *rig) error { return r.Move(ctx, testKey, r.pool[at].Name, "", r.job()) },
		"repair": func(ctx context.Context, r *rig) error {
			_, err := r.Repair(ctx, testKey, RepairOptions{}, r.job())
			return err
		},
	}
	for name, start := range map[string]*rig{"move": whole, "repair": degraded} {
		crash(t, start, do[name], func(label string, r *rig, err error) {
			if here, checkErr, getErr := r.mustBeSound(testKey, data); !here || getErr != nil {
				t.Errorf("%s, %s: %v, %v", name, label, checkErr, getErr)
			}
			if h := r.mustRepair(testKey, RepairOptions{}); !h.Whole() {
				t.Errorf("%s, %s: then repaired: %+v", name, label, h)
			}
			r.mustSurvive(testKey, data, 1)
		})
	}
}
