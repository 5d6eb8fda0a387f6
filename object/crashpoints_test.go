package object

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"shardraid/manifest"
)

// crashStride is how far apart the crashes in a recovery are: 1 for every
// operation (make crashpoints), 0 for none.
var crashStride = flag.Int("crashstride", 0, "crash at every n-th operation of a recovery")

// crashCase is a command that is killed at each of its operations, started
// again, and killed at the operations of that, too.
type crashCase struct {
	name  string
	code  [3]int // k, m, backends
	size  int
	start func(r *rig)                             // what is there before
	do    func(ctx context.Context, r *rig) error  // the command
	left  func(t *testing.T, r *rig, label string) // what must hold after each crash
	end   func(t *testing.T, r *rig, label string) // and after it was done again at last
}

var crashPoints atomic.Int64

func TestCrashPoints(t *testing.T) {
	t.Run("all", func(t *testing.T) {
		for _, c := range crashCases() {
			t.Run(fmt.Sprintf("%s, %d+%d of %d, %d bytes", c.name, c.code[0], c.code[1], c.code[2], c.size), func(t *testing.T) {
				t.Parallel()
				whole := newCheapRig(t, c.code[0], c.code[1], c.code[2])
				c.start(whole)
				c.crash(t, whole, "", true)
			})
		}
	})
	t.Logf("%d crash points", crashPoints.Load())
}

// newCheapRig is a rig whose records are not OpenPGP messages: there are
// thousands of them.
func newCheapRig(t testing.TB, k, m, n int) *rig {
	return newRigOf(t, simVault(), JournalDir(t.TempDir()), k, m, n)
}

// crash kills the command before, in and after each of its operations.
func (c *crashCase) crash(t *testing.T, whole *rig, label string, again bool) {
	stride := 1
	if !again {
		stride = *crashStride
	}
	for mode, name := range []string{"before", "in", "after"} {
		for n := 1 + mode%stride; ; n += stride {
			r := whole.forkJournal(t)
			ctx, cancel := context.WithCancel(ctx)
			if name == "in" {
				r.gate.killInside(n, cancel)
			} else {
				r.gate.killAt(n, name == "after", cancel)
			}
			err := c.do(ctx, r)
			cancel()
			if !r.gate.dead {
				if err != nil {
					t.Errorf("%s: not killed, and it says %v", label, err)
				}
				break
			}
			crashPoints.Add(1)
			r.start()
			at := fmt.Sprintf("%s, killed %s operation %d", label, name, n)
			c.left(t, r, at)
			if again && *crashStride > 0 {
				c.crash(t, r, at, false)
			}
			c.finish(t, r, at)
			if t.Failed() {
				return
			}
		}
	}
}

// finish does the command again, unharmed, repairs and collects: then nothing
// may be missing and nothing left over.
func (c *crashCase) finish(t *testing.T, r *rig, label string) {
	if err := c.do(ctx, r); err != nil {
		t.Errorf("%s: done again: %v", label, err)
	}
	if h, err := r.Repair(ctx, testKey, RepairOptions{}, r.job()); err != nil && !errors.Is(err, ErrAbsent) || err == nil && !h.Whole() {
		t.Errorf("%s: repair: %+v, %v", label, h, err)
	}
	for range 3 { // first seen; deleted; doom markers
		if _, err := r.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey}), Grace: time.Nanosecond}, r.job()); err != nil {
			t.Errorf("%s: collect: %v", label, err)
		}
	}
	if n := r.garbage(testKey) + r.count(testKey, manifest.KindDoom); n > 0 {
		t.Errorf("%s: %d files are left over", label, n)
	}
	c.end(t, r, label)
}

// forkJournal forks the rig, its journal too.
func (r *rig) forkJournal(t *testing.T) *rig {
	c := r.fork(t)
	from, to := r.config.Journal.(JournalDir), JournalDir(filepath.Join(r.dir, fmt.Sprint("journal", files.Add(1))))
	names, err := from.Names()
	if err == nil {
		err = os.MkdirAll(string(to), 0o700)
	}
	for _, name := range names {
		data, readErr := from.Read(name)
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(string(to), name), data, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	c.config.Journal = to
	c.start()
	return c
}

// mustKeep makes sure that one of these contents is there, whatever one
// backend does.
func mustKeep(wants ...[]byte) func(t *testing.T, r *rig, label string) {
	return func(t *testing.T, r *rig, label string) {
		for i := -1; i < len(r.pool); i++ {
			if i >= 0 {
				r.faulty[i].Down(errDown)
			}
			if here, checkErr, getErr := r.mustBeSound(testKey, wants...); getErr != nil || !here && checkErr == nil {
				t.Errorf("%s, backend %d down: %v, %v, %v", label, i, here, checkErr, getErr)
			}
			if i >= 0 {
				r.faulty[i].Up()
			}
		}
	}
}

func mustEnd(data []byte) func(t *testing.T, r *rig, label string) {
	return func(t *testing.T, r *rig, label string) {
		r.mustCheck(testKey, true)
		r.mustGet(testKey, data)
		if t.Failed() {
			t.Log(label)
		}
	}
}

func mayBe(wants ...[]byte) func(t *testing.T, r *rig, label string) {
	return func(t *testing.T, r *rig, label string) {
		if r.mustBeSound(testKey, wants...); t.Failed() {
			t.Log(label)
		}
	}
}

// An apply that is killed, and killed again while it is completed.
func TestCrashInApplyTwice(t *testing.T) {
	v := newVersions(t, 2, 1, 3, 2, 1, 4)
	whole := newVersionRig(t, v)
	data := bytesOf(1, 5000)
	whole.mustPut(testKey, data)
	apply := func(ctx context.Context, r *rig) error { return r.under(v.second).Claim(ctx, v.claim) }
	n := 0
	crash(t, whole, apply, func(label string, r *rig, err error) {
		crashPoints.Add(1)
		if n++; *crashStride != 1 && n%20 != 0 {
			return
		}
		for k := 1; ; k += min(max(*crashStride, 1), 5) {
			again := r.fork(t)
			dying, cancel := context.WithCancel(ctx)
			again.gate.killAt(k, k%2 == 0, cancel)
			err := apply(dying, again)
			cancel()
			if !again.gate.dead {
				break
			}
			crashPoints.Add(1)
			again.start()
			here, checkErr, getErr := again.mustBeSound(testKey, data)
			if !here && checkErr == nil || getErr != nil {
				t.Errorf("%s, and again at %d (%v): check %v, get %v", label, k, err, checkErr, getErr)
			}
			if err := apply(ctx, again); err != nil {
				t.Errorf("%s, and again at %d: completed: %v", label, k, err)
			}
			now := again.moved(v.second)
			now.mustCheck(testKey, true)
			now.mustGet(testKey, data)
		}
	})
}

func crashCases() (cases []*crashCase) {
	for _, shape := range []struct {
		code [3]int
		size int
	}{{[3]int{2, 1, 4}, 5000}, {[3]int{2, 1, 3}, 200_000}, {[3]int{1, 1, 3}, 100}} {
		old, data := bytesOf(1, shape.size), bytesOf(2, shape.size)
		add := func(name string, start func(r *rig), do func(ctx context.Context, r *rig) error, left, end func(*testing.T, *rig, string)) {
			cases = append(cases, &crashCase{name, shape.code, shape.size, start, do, left, end})
		}
		stored := func(r *rig) { r.mustPut(testKey, data) }
		add("store", func(*rig) {}, putBytes(data), mayBe(data), mustEnd(data))
		add("store again", func(r *rig) { r.mustPut(testKey, old) }, putBytes(data), mustKeep(old, data), mustEnd(data))
		add("retrieve", stored, func(ctx context.Context, r *rig) error {
			return r.Get(ctx, testKey, filepath.Join(r.dir, fmt.Sprint("out", files.Add(1))), r.job())
		}, mustKeep(data), mustEnd(data))
		add("remove", stored, func(ctx context.Context, r *rig) error {
			return r.Remove(ctx, testKey, r.job())
		}, mayBe(data), func(t *testing.T, r *rig, label string) { r.mustBeGone(testKey) })
		if shape.size == 100 {
			continue // neither shards without a manifest nor anything to move
		}
		add("collect", func(r *rig) { // a dead store beside a live incarnation
			r.mustPut(testKey, data)
			journal := r.config.Journal
			r.config.Journal = nil
			r.start()
			dead, cancel := context.WithCancel(ctx)
			r.gate.killAt(9, true, cancel)
			putBytes(old)(dead, r)
			r.config.Journal = journal
			r.start()
			r.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey}), Grace: time.Nanosecond}, nil)
		}, func(ctx context.Context, r *rig) error {
			_, err := r.Collect(ctx, CollectOptions{Keys: slices.Values([]string{testKey}), Grace: time.Nanosecond}, r.job())
			return err
		}, mustKeep(data), mustEnd(data))
		add("repair", func(r *rig) {
			r.mustPut(testKey, data)
			at := r.index(r.manifestOf(testKey).Backends()[0])
			r.lose(at, testKey, manifest.KindShard)
			r.lose(at, testKey, manifest.KindManifest)
		}, func(ctx context.Context, r *rig) error {
			_, err := r.Repair(ctx, testKey, RepairOptions{}, r.job())
			return err
		}, mayBe(data), mustEnd(data))
		if shape.code[2] == 3 {
			continue // nowhere to move to
		}
		add("move", stored, func(ctx context.Context, r *rig) error {
			return r.Move(ctx, testKey, r.mostOf(testKey), "", r.job())
		}, mustKeep(data), mustEnd(data))
	}
	return cases
}

// mostOf returns the name of the backend that holds the most shards.
func (r *rig) mostOf(key string) string {
	most := 0
	for i := range r.pool {
		if len(r.stored(i, key, manifest.KindShard)) > len(r.stored(most, key, manifest.KindShard)) {
			most = i
		}
	}
	return r.pool[most].Name
}
