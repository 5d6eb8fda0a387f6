package object

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/manifest"
	"shardraid/vault"
)

// Rules that nothing else would miss: integration/mutants takes each out.

// is matches the files of a kind, on any backend.
func (r *rig) is(kind manifest.Kind) func(name string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(r.pool, func(b *member) bool {
			n, ok := manifest.ParseName(b.names, name[strings.LastIndex(name, "/")+1:])
			return ok && n.Kind == kind
		})
	}
}

// free returns a backend that has no shard of the object.
func (r *rig) free(key string) int {
	return slices.IndexFunc(r.pool, func(b *member) bool { return !slices.Contains(r.manifestOf(key).Backends(), b.ID) })
}

// mark puts a verdict on the object's incarnation on one backend.
func (r *rig) mark(i int, kind manifest.Kind) {
	m := r.manifestOf(testKey)
	message, err := manifest.SealTombstone(r.vault, m.Object, m.Incarnation)
	if kind == manifest.KindDoom {
		message, err = manifest.SealDoom(r.vault, m.Object, m.Incarnation)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.mem[i].Set(r.pool[i].path(m.Object, manifest.Name{Incarnation: m.Incarnation, Kind: kind}), message)
}

// before does something before each put of a kind.
func (r *rig) before(kind manifest.Kind, do func()) {
	for _, f := range r.faulty {
		f.Add(backendtest.Fault{Op: "put", Match: r.is(kind), Do: backendtest.Run(do)})
	}
}

// A copy of a shard that no record names is kept while it may be needed.
func TestCollectKeepsTheOnlyCopy(t *testing.T) {
	for _, way := range []string{"the other is damaged", "a record cannot be read", "too late"} {
		synctest.Test(t, func(t *testing.T) {
			r := newJournalRig(t, 2, 1, 4)
			r.mustPut(testKey, bytesOf(1, 5000))
			m, free := r.manifestOf(testKey), r.free(testKey)
			from := r.index(m.Backends()[0])
			path := r.stored(from, testKey, manifest.KindShard)[0]
			data := r.mem[from].Files()[path]
			if way == "a record cannot be read" {
				if err := r.Move(ctx, testKey, r.pool[from].Name, r.pool[free].Name, r.job()); err != nil {
					t.Fatal(err)
				}
				r.mem[from].Set(path, data)
				for _, f := range r.faulty {
					f.Add(backendtest.Fault{Op: "get", Match: r.is(manifest.KindMove), Do: backendtest.ErrorInstead(errDown)})
				}
			} else {
				name := r.name(from, path)
				name.Copy = manifest.NewCopyID()
				r.mem[free].Set(r.pool[free].path(m.Object, name), data)
			}
			switch way {
			case "the other is damaged":
				r.mem[from].Corrupt(path)
			case "too late":
				r.faulty[from].Add(backendtest.Fault{Op: "get", Match: r.is(manifest.KindShard), Do: backendtest.Delay(2 * time.Hour)})
			}
			for range 2 {
				_, err := r.Collect(ctx, CollectOptions{}, r.job())
				if err != nil && way != "too late" {
					t.Errorf("%s: %v", way, err)
				}
				time.Sleep(defaultGrace)
			}
			if len(r.stored(free, testKey, manifest.KindShard)) != 1 {
				t.Errorf("%s: the copy is gone", way)
			}
		})
	}
}

// A store that was completed is not condemned, though most copies of its
// manifest are damaged, as long as one may be whole where nobody can look.
func TestCollectKeepsDamagedManifests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newJournalRig(t, 2, 1, 3)
		data := bytesOf(1, 5000)
		r.mustPut(testKey, data)
		r.mem[0].Corrupt(r.stored(0, testKey, manifest.KindManifest)[0])
		r.lose(1, testKey, manifest.KindManifest)
		for range 2 {
			if _, err := r.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey}), Lost: []string{"b2"}}, r.job()); err != nil {
				t.Error(err)
			}
			time.Sleep(defaultGrace)
		}
		r.mustGet(testKey, data)
	})
}

// What a lost incarnation supersedes is not buried.
func TestCollectKeepsWhatALostOneSupersedes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newJournalRig(t, 2, 1, 3)
		old := bytesOf(1, 5000)
		r.mustPut(testKey, old)
		before := r.fork(t)
		r.mustPut(testKey, bytesOf(2, 5000))
		for i, m := range r.mem {
			r.lose(i, testKey, manifest.KindTombstone)
			r.lose(i, testKey, manifest.KindShard)
			for name, data := range before.mem[i].Files() {
				m.Set(name, data)
			}
		}
		r.collect()
		r.mustGet(testKey, old)
	})
}

// Another collector may be at work for an hour after its doom markers: these
// are left alone until they are old.
func TestCollectLeavesYoungDoomMarkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newJournalRig(t, 2, 1, 3)
		r.mustPut(testKey, bytesOf(1, 5000))
		r.mark(0, manifest.KindDoom)
		for _, want := range []int{1, 0} {
			if _, err := r.Collect(ctx, CollectOptions{}, r.job()); err != nil || r.count(testKey, manifest.KindDoom) != want {
				t.Errorf("%d doom markers, want %d, %v", r.count(testKey, manifest.KindDoom), want, err)
			}
			time.Sleep(defaultGrace)
		}
	})
}

// A verdict on one backend, be it unreadable, leaves an object in doubt:
// nobody calls it present, works on it, or takes it for stored.
func TestInDoubt(t *testing.T) {
	for _, kind := range []manifest.Kind{manifest.KindTombstone, manifest.KindDoom} {
		for _, unread := range []bool{false, true} {
			r := newRig(t, 2, 1, 4)
			data := bytesOf(1, 5000)
			r.mustPut(testKey, data)
			before := r.manifestOf(testKey)
			r.mark(0, kind)
			if unread {
				r.faulty[0].Add(backendtest.Fault{Op: "get", Match: r.is(kind), Do: backendtest.ErrorInstead(errDown)})
			}
			if here, err := r.Check(ctx, testKey, nil); here || err == nil {
				t.Errorf("%c, unread %v: check: %v, %v", kind, unread, here, err)
			}
			if _, err := r.Repair(ctx, testKey, RepairOptions{}, nil); err == nil {
				t.Errorf("%c, unread %v: repaired", kind, unread)
			}
			if err := r.Move(ctx, testKey, r.mostOf(testKey), "", nil); err == nil {
				t.Errorf("%c, unread %v: moved", kind, unread)
			}
			r.mustGet(testKey, data)
			r.mustPut(testKey, data)
			if r.manifestOf(testKey).Incarnation == before.Incarnation {
				t.Errorf("%c, unread %v: called stored", kind, unread)
			}
		}
	}
}

// A store that cannot read whether it was removed meanwhile is no success.
func TestStoreInDoubt(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.faulty[0].Add(backendtest.Fault{Op: "get", Match: r.is(manifest.KindTombstone), Do: backendtest.ErrorInstead(errDown)})
	r.before(manifest.KindManifest, func() {
		if r.count(testKey, manifest.KindManifest) > 0 {
			r.mark(0, manifest.KindTombstone)
		}
	})
	if err := r.put(testKey, bytesOf(1, 5000)); err == nil {
		t.Error("stored, and a tombstone cannot be read")
	}
}

// The same bytes again, of which a shard is lost, are stored whole.
func TestStoreAgainMakesWhole(t *testing.T) {
	r := newRig(t, 2, 2, 4, "write_quorum: 3")
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	r.lose(0, testKey, manifest.KindShard)
	r.mustPut(testKey, data)
	r.mustSurvive(testKey, data, 2)
}

// A shard that is rebuilt from a false one, whose tag fits, is not put.
func TestRepairFromFalseShard(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	r.forge(testKey, 0)
	r.lose(r.index(r.manifestOf(testKey).Segments[0].Shards[2].Backend), testKey, manifest.KindShard)
	r.gate.reset()
	if _, err := r.Repair(ctx, testKey, RepairOptions{}, r.job()); err == nil || r.gate.did("put", manifest.KindShard) > 0 {
		t.Errorf("%d shards were put, %v", r.gate.did("put", manifest.KindShard), err)
	}
}

// stray turns a shard into a copy on another backend that nobody has named, as
// path there.
func (r *rig) stray() (from, free int, path string) {
	r.t.Helper()
	m := r.manifestOf(testKey)
	from, free = r.index(m.Backends()[0]), r.free(testKey)
	was := r.stored(from, testKey, manifest.KindShard)[0]
	name := r.name(from, was)
	name.Copy = manifest.NewCopyID()
	path = r.pool[free].path(m.Object, name)
	r.mem[free].Set(path, r.mem[from].Files()[was])
	r.mem[from].Delete(was)
	return from, free, path
}

// A copy that nobody named counts only if it is what was stored.
func TestRepairAdoptsNoDamage(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.mustPut(testKey, bytesOf(1, 5000))
	_, free, stray := r.stray()
	r.mem[free].Corrupt(stray)
	r.mustRepair(testKey, RepairOptions{})
	if h := r.mustScrub(testKey, true); !h.Whole() {
		t.Errorf("%+v", h)
	}
}

// unvouched stores other shards than it is given, and reports no hash.
type unvouched struct {
	backends.Store
	shard func(name string) bool
}

func (s unvouched) Put(ctx context.Context, name string, data []byte) (string, error) {
	if s.shard(name) {
		data = bytes.Clone(data)
		data[len(data)/2] ^= 1
	}
	_, err := s.Store.Put(ctx, name, data)
	return "", err
}

// Where nobody has vouched for a copy it is read before the old one goes.
func TestMoveReadsBack(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.mustPut(testKey, bytesOf(1, 5000))
	from, free := r.index(r.manifestOf(testKey).Backends()[0]), r.free(testKey)
	g := r.config.Stores[r.pool[free].ID].(*gated)
	g.Store = unvouched{g.Store, r.is(manifest.KindShard)}
	if err := r.Move(ctx, testKey, r.pool[from].Name, r.pool[free].Name, r.job()); err == nil {
		t.Error("a damaged copy counts as moved")
	}
	if len(r.stored(from, testKey, manifest.KindShard)) == 0 {
		t.Error("the good copy is gone")
	}
}

// A backend that does not answer is not empty.
func TestMoveFromWhatIsDown(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.mustPut(testKey, bytesOf(1, 5000))
	from := r.mostOf(testKey)
	i := slices.IndexFunc(r.pool, func(b *member) bool { return b.Name == from })
	r.faulty[i].Down(errDown)
	if err := r.Move(ctx, testKey, from, "", r.job()); err == nil {
		t.Error("moved away from a backend that is down")
	}
}

// What a move replaces stays where its records cannot be written, or where it
// cannot be seen whether the object was removed meanwhile, or it was, or a day
// has gone by.
func TestMoveFailsWhole(t *testing.T) {
	for _, way := range []string{"no records", "few answer", "removed", "late"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2, 1, 4)
			r.mustPut(testKey, bytesOf(1, 5000))
			from, free := r.index(r.manifestOf(testKey).Backends()[0]), r.free(testKey)
			var once sync.Once
			for i, f := range r.faulty {
				fault := backendtest.Fault{Op: "put", Match: r.is(manifest.KindMove)}
				switch way {
				case "no records":
					fault.Do = backendtest.ErrorInstead(errDown)
				case "few answer":
					fault.Do = backendtest.Run(func() {
						once.Do(func() {
							for j := range r.faulty {
								if j != from && j != free {
									r.faulty[j].Add(backendtest.Fault{Op: "list", Do: backendtest.ErrorInstead(errDown)})
								}
							}
						})
					})
				case "removed":
					fault.Do = backendtest.Run(func() { r.mark(i, manifest.KindTombstone) })
				case "late":
					fault.Do = backendtest.Delay(25 * time.Hour)
				}
				f.Add(fault)
			}
			if err := r.Move(ctx, testKey, r.pool[from].Name, "", r.job()); err == nil {
				t.Errorf("%s: moved", way)
			}
			if len(r.stored(from, testKey, manifest.KindShard)) == 0 {
				t.Errorf("%s: what was to be moved is gone", way)
			}
		})
	}
}

// A copy that a repair has found, not made, stays where the repair gives up.
func TestRepairKeepsWhatItFound(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.mustPut(testKey, bytesOf(1, 5000))
	from, free, _ := r.stray()
	r.before(manifest.KindMove, func() { r.mark(from, manifest.KindTombstone) })
	if _, err := r.Repair(ctx, testKey, RepairOptions{}, r.job()); err == nil {
		t.Error("repaired, and it is being removed")
	}
	if len(r.stored(free, testKey, manifest.KindShard)) != 1 {
		t.Error("the copy is gone")
	}
}

// Nothing is deleted unless each backend has taken the doom marker.
func TestCollectDoomsEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newJournalRig(t, 2, 1, 3)
		r.mustPut(testKey, bytesOf(1, 5000))
		for i := range r.pool {
			r.lose(i, testKey, manifest.KindManifest)
		}
		r.faulty[2].Add(failPuts())
		for range 2 {
			r.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey})}, r.job())
			time.Sleep(defaultGrace)
		}
		if shards, dooms := r.count(testKey, manifest.KindShard), r.count(testKey, manifest.KindDoom); shards != 3 || dooms != 0 {
			t.Errorf("%d shards and %d doom markers are left", shards, dooms)
		}
	})
}

// After a move the manifest stands on m+1 backends without the one that shall
// be emptied.
func TestMoveLeavesManifests(t *testing.T) {
	r := newRig(t, 1, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	from := r.index(r.manifestOf(testKey).Backends()[0])
	if err := r.Move(ctx, testKey, r.pool[from].Name, "", r.job()); err != nil {
		t.Fatal(err)
	}
	if n := r.count(testKey, manifest.KindManifest) - len(r.stored(from, testKey, manifest.KindManifest)); n < 2 {
		t.Errorf("the manifest is on %d other backends", n)
	}
}

// Neither a move, nor a store whose backend fails, nor copies that are put back
// give a domain more than m of a segment or of a record.
func TestDomainsHoldNoMore(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	r.config.Layout.Backends[0].Domain, r.config.Layout.Backends[1].Domain = "one", "one"
	r.start()
	r.mustPut(testKey, bytesOf(1, 5000))
	if err := r.Move(ctx, testKey, "b2", "", r.job()); err == nil {
		t.Error("two shards were moved to one domain")
	}
	other := r.fork(t)
	for i := 2; i < 4; i++ {
		other.lose(i, testKey, manifest.KindManifest)
		other.faulty[i].Add(failPuts())
	}
	if here, err := other.Check(ctx, testKey, nil); here || err == nil {
		t.Errorf("both copies of the manifest are in one domain: %v, %v", here, err)
	}
	r.faulty[2].Add(backendtest.Fault{Op: "put", Match: r.is(manifest.KindShard), Do: backendtest.ErrorInstead(errDown)})
	if err := r.put("other", bytesOf(2, 5000)); err == nil {
		t.Error("two shards were stored in one domain")
	}
}

// An older incarnation on a backend that is down does not come back when the
// one that superseded it is removed.
func TestRemoveOfWhatWasSuperseded(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 100))
	before := r.fork(t)
	r.mustPut(testKey, bytesOf(2, 100))
	for i := range r.pool { // as if the store had died before it buried the old one
		r.lose(i, testKey, manifest.KindTombstone)
	}
	at := slices.IndexFunc(r.mem, func(m *backendtest.Memory) bool {
		return len(before.stored(slices.Index(r.mem, m), testKey, manifest.KindManifest)) > 0
	})
	for name, data := range before.mem[at].Files() {
		r.mem[at].Set(name, data)
	}
	r.faulty[at].Down(errDown)
	r.mustRemove(testKey)
	r.faulty[at].Up()
	if _, err := r.get(testKey); err == nil {
		t.Error("removed, and the older content came back")
	}
}

// Of two incarnations the older one is removed first: a removal that dies does
// not bring it back.
func TestRemoveBuriesTheOlderFirst(t *testing.T) {
	for range 4 { // whichever has the smaller id
		r := newRig(t, 2, 1, 3)
		r.mustPut(testKey, bytesOf(1, 5000))
		before, old := r.fork(t), r.manifestOf(testKey).Incarnation
		r.mustPut(testKey, bytesOf(2, 5000))
		for i := range r.pool {
			r.lose(i, testKey, manifest.KindTombstone)
			for name, data := range before.mem[i].Files() {
				r.mem[i].Set(name, data)
			}
		}
		var first vault.Incarnation
		for i, f := range r.faulty {
			f.Add(backendtest.Fault{Op: "put", Match: func(name string) bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				if first.IsZero() {
					first = r.name(i, name).Incarnation
				}
				return false
			}, Do: backendtest.Drop()})
		}
		r.mustRemove(testKey)
		if first != old {
			t.Error("the newer one was buried first")
		}
	}
}

// What is stored again while one looks is not absent.
func TestStoredAgainWhileChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, 1, 4)
		r.mustPut(testKey, bytesOf(1, 100))
		writer := &rig{t: t, dir: r.dir, config: r.config, mem: r.mem}
		writer.start()
		for i, f := range r.faulty {
			if len(r.stored(i, testKey, manifest.KindManifest)) == 0 { // the others have listed by then
				f.Add(backendtest.Fault{Op: "list", Call: 1, Do: backendtest.Delay(20 * time.Millisecond)})
			}
		}
		time.AfterFunc(10*time.Millisecond, func() { writer.mustPut(testKey, bytesOf(2, 100)) })
		r.mustCheck(testKey, true)
	})
}

// Nothing that was begun runs on: its memory is somebody else's then.
func TestHedgeEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, running atomic.Int32
		next := func() func(context.Context) bool {
			first := begun.Add(1) == 1
			running.Add(1)
			return func(ctx context.Context) bool {
				defer running.Add(-1)
				if first {
					time.Sleep(3 * time.Second)
					return true
				}
				<-ctx.Done()
				time.Sleep(time.Second)
				return false
			}
		}
		if got := hedge(ctx, 1, time.Second, next, func(ok bool) bool { return ok }); got != 1 || begun.Load() < 2 || running.Load() != 0 {
			t.Errorf("%d good of %d, %d run on", got, begun.Load(), running.Load())
		}
		time.Sleep(time.Minute)
	})
}
