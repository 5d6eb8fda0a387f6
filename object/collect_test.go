package object

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// collect runs a collection twice, with the grace time between.
func (r *rig) collect(keys ...string) Collected {
	r.t.Helper()
	if _, err := r.Collect(ctx, CollectOptions{Keys: slices.Values(keys)}, r.job()); err != nil {
		r.t.Errorf("collect: %v", err)
	}
	time.Sleep(defaultGrace)
	c, err := r.Collect(ctx, CollectOptions{Keys: slices.Values(keys)}, r.job())
	if err != nil {
		r.t.Errorf("collect again: %v", err)
	}
	return c
}

// garbage counts the files that belong to no live incarnation and are no
// verdict.
func (r *rig) garbage(key string) (n int) {
	v, err := r.look(ctx, r.vault.ObjectID(key), looking{prove: true, copies: len(r.pool)}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, inc := range v.incs {
		if st, _ := r.judge(v, inc); st == absent {
			n += len(inc.copies) + len(inc.moveAt) + len(inc.shards)
		}
	}
	return n
}

func TestCollectDeadStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, 1, 4)
		data := bytesOf(1, 5000)
		r.mustPut("live", data)
		for i := range 3 { // none, then one manifest, then a manifest on too few
			r.config.Journal = nil
			r.start()
			dead, cancel := context.WithCancel(ctx)
			r.gate.killAt(9+i, true, cancel)
			if err := r.Put(dead, fmt.Sprint(i), bytes.NewReader(data), int64(len(data)), nil); err == nil {
				t.Fatal("the store was not cut off")
			}
		}
		r.config.Journal = JournalDir(t.TempDir())
		r.start()
		first, err := r.Collect(ctx, CollectOptions{}, r.job())
		if err != nil || first.Unknown == 0 {
			t.Errorf("without keys: %+v, %v", first, err)
		}
		before := r.snapshot()
		for _, old := range []bool{false, true} {
			dry, err := r.Collect(ctx, CollectOptions{Keys: slices.Values([]string{"live", "0", "1", "2"}), DryRun: true}, r.job())
			if err != nil || (dry.Files > 0) != old || !maps.Equal(before, r.snapshot()) {
				t.Errorf("dry run: %+v, %v", dry, err)
			}
			time.Sleep(defaultGrace)
		}
		c := r.collect("live", "0", "1", "2", "never")
		if c.Files == 0 || c.Young+c.Unknown+c.Failed > 0 {
			t.Errorf("%+v", c)
		}
		for i := range 3 {
			if r.count(fmt.Sprint(i), manifest.KindManifest) == 0 && r.garbage(fmt.Sprint(i)) > 0 {
				t.Errorf("store %d has left %d files", i, r.garbage(fmt.Sprint(i)))
			}
			r.mustCheck(fmt.Sprint(i), false)
		}
		r.collect("live", "0", "1", "2")
		for i := range 3 {
			if n := r.count(fmt.Sprint(i), manifest.KindDoom); n > 0 {
				t.Errorf("store %d: %d doom markers are left", i, n)
			}
		}
		r.mustGet("live", data)
		r.mustCheck("live", true)
	})
}

// A collection beside a store: whichever comes first, what is called stored
// stays.
func TestCollectBesideStore(t *testing.T) {
	whole := newRig(t, 2, 1, 3)
	data := bytesOf(1, 5000)
	for n := 1; ; n++ {
		r := whole.fork(t)
		other := &rig{t: t, dir: r.dir, config: r.config, mem: r.mem}
		other.config.Journal = JournalDir(t.TempDir())
		met, did := 0, false
		var mu sync.Mutex
		hook := func() {
			mu.Lock()
			defer mu.Unlock()
			if met++; met == n {
				did = true
				other.start()
				other.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey}), Grace: time.Nanosecond}, nil)
				if _, err := other.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey}), Grace: time.Nanosecond}, nil); err != nil {
					t.Error(err)
				}
			}
		}
		for _, f := range r.faulty {
			f.Add(backendtest.Fault{Op: "put", Do: backendtest.Run(hook)})
		}
		err := r.put(testKey, data)
		if !did {
			break
		}
		r.start()
		here, checkErr, getErr := r.mustBeSound(testKey, data)
		if err == nil && (!here || getErr != nil) {
			t.Errorf("collected before operation %d: stored, and then %v, %v", n, checkErr, getErr)
		}
		if err != nil {
			t.Errorf("collected before operation %d: %v", n, err)
		}
	}
}

func TestCollectFinishesRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newJournalRig(t, 2, 1, 3)
		data := bytesOf(1, 5000)
		r.mustPut(testKey, data)
		for i := range r.faulty { // nothing can be deleted
			r.faulty[i].Add(backendtest.Fault{Op: "remove", Do: backendtest.ErrorInstead(errDown)})
		}
		if err := r.Remove(ctx, testKey, r.job()); err == nil {
			t.Fatal("removed")
		}
		r.start()
		c := r.collect()
		if n := r.garbage(testKey); n > 0 {
			t.Errorf("%d files are left: %+v", n, c)
		}
		r.mustBeGone(testKey)
		// A tombstone on one backend only leaves it in doubt: it may have been
		// stored by one who did not see it. Nothing is collected.
		r.mustPut(testKey, data)
		m := r.manifestOf(testKey)
		message, _ := manifest.SealTombstone(r.vault, m.Object, m.Incarnation)
		r.mem[0].Set(r.pool[0].path(m.Object, manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindTombstone}), message)
		r.collect()
		r.mustGet(testKey, data)
	})
}

// A collection concludes nothing where a backend does not answer, unless that
// one is given up.
func TestCollectNeedsAll(t *testing.T) {
	r := newJournalRig(t, 2, 1, 3)
	r.faulty[2].Down(errDown)
	if _, err := r.Collect(ctx, CollectOptions{}, r.job()); err == nil {
		t.Error("collected with a backend down")
	}
	if _, err := r.Collect(ctx, CollectOptions{Lost: []string{"b2"}}, r.job()); err != nil {
		t.Errorf("collect with one given up: %v", err)
	}
	if _, err := r.Collect(ctx, CollectOptions{Lost: []string{"b1", "b2"}}, r.job()); err == nil {
		t.Error("collected with two given up")
	}
	r.config.Journal = nil
	r.start()
	if _, err := r.Collect(ctx, CollectOptions{}, r.job()); err == nil {
		t.Error("collected without a memory of ages")
	}
}

func TestParseSeen(t *testing.T) {
	if n := len(parseSeen([]byte("null\n{}\n[]\n{\"incarnation\":\"00\"}\ngarbage"))); n != 0 {
		t.Errorf("%d lines of garbage were read", n)
	}
}

// A copy that no record names goes, when another is there that some record
// does.
func TestCollectStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newJournalRig(t, 2, 1, 4)
		data := bytesOf(1, 5000)
		r.mustPut(testKey, data)
		m := r.manifestOf(testKey)
		from := r.index(m.Backends()[0])
		path := r.stored(from, testKey, manifest.KindShard)[0]
		for i, size := range []int{0, 100, -1} { // a torn one, another torn one, a whole one
			name := r.name(from, path)
			name.Copy = manifest.NewCopyID()
			content := r.mem[from].Files()[path]
			if size >= 0 {
				content = content[:size]
			}
			r.mem[i].Set(r.pool[i].path(m.Object, name), content)
		}
		first, err := r.Collect(ctx, CollectOptions{}, r.job())
		if err != nil || first.Files > 0 || first.Young != 3 {
			t.Errorf("at once: %+v, %v", first, err)
		}
		if c := r.collect(); c.Files != 3 || r.count(testKey, manifest.KindShard) != 3 {
			t.Errorf("%+v; %d shards are left", c, r.count(testKey, manifest.KindShard))
		}
		if h := r.mustScrub(testKey, true); !h.Whole() {
			t.Errorf("%+v", h)
		}
	})
}
