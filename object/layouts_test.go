package object

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/layout"
	"shardraid/manifest"
)

// versions are a layout and one that follows it.
type versions struct {
	first, second *layout.Layout
	claim         Claim // of the second
	head          layout.Head
	text          string // of the second
}

// newVersions returns a layout of k1+m1 over n1 backends and its successor of
// k2+m2 over n2.
func newVersions(t testing.TB, k1, m1, n1, k2, m2, n2 int) versions {
	t.Helper()
	d1, _, l1 := documentOf(t, layoutText(k1, m1, n1))
	v := versions{first: l1, head: layout.Head{Document: d1, Layout: l1}, text: layoutText(k2, m2, n2)}
	v.second, v.claim = v.again(t)
	return v
}

// again returns another successor of the first layout, with the same text.
func (v versions) again(t testing.TB) (*layout.Layout, Claim) {
	t.Helper()
	d, body, l := documentOf(t, v.text, v.head)
	known := map[string]bool{}
	for _, b := range v.first.Backends {
		known[b.ID] = true
	}
	copyOf := func(context.Context) ([]byte, error) { return []byte("a wrapped vault"), nil }
	return l, Claim{Known: known, Follows: d.Follows, Document: body, Copy: copyOf}
}

func documentOf(t testing.TB, text string, heads ...layout.Head) (*layout.Document, []byte, *layout.Layout) {
	t.Helper()
	d, err := layout.Successor(text, heads, manifest.NewBackendID)
	if err != nil {
		t.Fatal(err)
	}
	body, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	d, l, err := layout.ParseDocument(body)
	if err != nil {
		t.Fatal(err)
	}
	return d, body, l
}

// newVersionRig returns a rig under the first layout, with room for the
// backends of the second.
func newVersionRig(t testing.TB, v versions) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), config: Config{Vault: testVault(), Layout: v.first}}
	for range max(len(v.first.Backends), len(v.second.Backends)) {
		r.mem = append(r.mem, backendtest.NewMemory())
	}
	r.start()
	if err := r.Claim(ctx, Claim{}); err != nil {
		t.Fatal(err)
	}
	r.gate.reset()
	return r
}

// under returns another Store over the same backends.
func (r *rig) under(l *layout.Layout) *Store {
	r.t.Helper()
	c := Config{Vault: r.config.Vault, Layout: l, Stores: map[string]backends.Store{}, Patience: 50 * time.Millisecond}
	for i, b := range l.Backends {
		c.Stores[b.ID] = &gated{backendtest.NewFaulty(r.mem[i]), r.gate, c.Vault.Names(b.ID)}
	}
	s, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// moved makes the rig work under another layout, as a clone that has it does.
func (r *rig) moved(l *layout.Layout) *rig {
	r.t.Helper()
	c := &rig{t: r.t, dir: r.dir, config: r.config, mem: r.mem}
	c.config.Layout = l
	c.start()
	return c
}

func (r *rig) snapshot() (all map[string]int) {
	all = map[string]int{}
	for i, m := range r.mem {
		for name, data := range m.Files() {
			all[fmt.Sprint(i, "/", name)] = len(data)
		}
	}
	return all
}

// Under the new layout everything is there; a clone with the old one concludes
// nothing and writes nothing.
func TestLayoutTakesOver(t *testing.T) {
	v := newVersions(t, 2, 1, 3, 3, 2, 6)
	r := newVersionRig(t, v)
	data, more := bytesOf(1, 5000), bytesOf(2, 70000)
	r.mustPut(testKey, data)
	if err := r.under(v.second).Claim(ctx, v.claim); err != nil {
		t.Fatal(err)
	}
	now := r.moved(v.second)
	now.mustCheck(testKey, true)
	now.mustGet(testKey, data)
	now.mustPut("new", more)
	now.mustGet("new", more)
	now.mustCheck("nothing", false)

	before := r.snapshot()
	const says = "layout of epoch 2 is in force there and this clone has one of epoch 1"
	for what, err := range map[string]error{
		"put":    r.put("other", data),
		"remove": r.Remove(ctx, testKey, r.job()),
		"check":  func() error { _, err := r.Check(ctx, "new", r.job()); return err }(),
		"get":    func() error { _, err := r.get("nothing"); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s under the old layout: %v", what, err)
		}
	}
	if after := r.snapshot(); !maps.Equal(before, after) {
		t.Error("a clone with the old layout wrote something")
	}
	for i := range r.mem {
		kinds := map[manifest.RootKind]int{}
		for name := range r.mem[i].Files() {
			if kind, ok := manifest.ParseRootName(name); ok {
				kinds[kind]++
			}
		}
		copies := 0
		if i >= len(v.first.Backends) {
			copies = 1 // known backends keep what they have: nothing here
		}
		if kinds[manifest.RootMarker] != 1 || kinds[manifest.RootLayout] != 1 || kinds[manifest.RootVault] != copies {
			t.Errorf("b%d holds %v", i, kinds)
		}
	}
}

// A layout that may not be applied changes nothing.
func TestLayoutRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, r *rig, v versions)
		want  string
	}{
		"a known backend is emptied": {func(t *testing.T, r *rig, v versions) {
			for name := range r.mem[1].Files() {
				r.mem[1].Delete(name)
			}
		}, "b1: its marker is not there"},
		"a new backend is not empty": {func(t *testing.T, r *rig, v versions) { r.mem[3].Set("photo", nil) }, "b3: "},
		"two are one place":          {func(t *testing.T, r *rig, v versions) { r.mem[3] = r.mem[0] }, "b"},
		"another layout is in force": {func(t *testing.T, r *rig, v versions) {
			other := newVersions(t, 2, 1, 3, 2, 1, 3)
			body, err := manifest.SealLayout(r.vault, other.claim.Document)
			if err != nil {
				t.Fatal(err)
			}
			r.mem[2].Set(manifest.NewRootName(manifest.RootLayout), body)
		}, "b2: a layout of epoch 2 that this clone does not know"},
		"it is marked for another layout": {func(t *testing.T, r *rig, v versions) {
			message, err := manifest.SealMarker(r.vault, r.pool[2].ID, "unknown")
			if err != nil {
				t.Fatal(err)
			}
			r.mem[2].Set(manifest.NewRootName(manifest.RootMarker), message)
		}, "b2: it is marked for a layout that this clone does not know"},
		"absurdly many markers": {func(t *testing.T, r *rig, v versions) {
			for range maxRootFiles {
				r.mem[2].Set(manifest.NewRootName(manifest.RootMarker), []byte("x"))
			}
		}, "b2: it holds 64 files or more"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVersions(t, 2, 1, 3, 2, 1, 4)
			r := newVersionRig(t, v)
			r.mustPut(testKey, bytesOf(1, 5000))
			c.spoil(t, r, v)
			before := r.snapshot()
			err := r.under(v.second).Claim(ctx, v.claim)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if !maps.Equal(before, r.snapshot()) {
				t.Error("something was changed")
			}
		})
	}
}

// An apply that is cut off at any operation leaves no wrong answer, and the
// same one completes it.
func TestCrashInApply(t *testing.T) {
	v := newVersions(t, 2, 1, 3, 2, 1, 4)
	whole := newVersionRig(t, v)
	data := bytesOf(1, 5000)
	whole.mustPut(testKey, data)
	apply := func(ctx context.Context, r *rig) error { return r.under(v.second).Claim(ctx, v.claim) }
	crash(t, whole, apply, func(label string, r *rig, err error) {
		here, checkErr, getErr := r.mustBeSound(testKey, data)
		if !here && checkErr == nil {
			t.Errorf("%s: the old layout says absent", label)
		}
		if getErr != nil {
			t.Errorf("%s: the old layout does not read: %v", label, getErr)
		}
		if err := apply(ctx, r); err != nil {
			t.Errorf("%s: again: %v", label, err)
		}
		now := r.moved(v.second)
		now.mustCheck(testKey, true)
		now.mustGet(testKey, data)
		now.mustPut("other", data)
		if _, err := r.Check(context.Background(), testKey, r.job()); err == nil {
			t.Errorf("%s: the old layout is still in force", label)
		}
	})
}

// Where an earlier layout had a smaller m, its records stand on fewer
// backends: no more may be silent than then.
func TestLeastParity(t *testing.T) {
	v := newVersions(t, 1, 1, 2, 2, 3, 6)
	r := newVersionRig(t, v)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	if err := r.under(v.second).Claim(ctx, v.claim); err != nil {
		t.Fatal(err)
	}
	now := r.moved(v.second)
	now.mustPut("new", data)
	for _, i := range []int{0, 1} { // all that hold the first object
		now.faulty[i].Down(errDown)
	}
	if here, err := now.Check(ctx, testKey, now.job()); here || err == nil {
		t.Errorf("with all of its backends silent: %v, %v", here, err)
	}
	if _, err := now.get(testKey); err == nil || strings.Contains(err.Error(), ErrAbsent.Error()) {
		t.Errorf("get: %v", err)
	}
	now.mustGet("new", data)
	now.faulty[0].Up()
	if err := now.Remove(ctx, testKey, now.job()); err == nil { // k = 1: the silent one could bring it back
		t.Error("removed, though a shard may be left")
	}
	now.faulty[1].Up()
	if here, _ := now.Check(ctx, testKey, now.job()); here {
		t.Error("a removed object came back")
	}
	if err := now.Remove(ctx, testKey, now.job()); err != nil {
		t.Error(err)
	}
	now.mustCheck(testKey, false)
}

// List finds every object with m backends gone, and none that was removed.
func TestList(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	want := map[string]int64{}
	for i := range 12 {
		key := fmt.Sprintf("key-%d", i)
		r.mustPut(key, bytesOf(byte(i), i*700))
		want[key] = int64(i * 700)
	}
	r.mustPut("gone", bytesOf(99, 9000))
	if err := r.Remove(ctx, "gone", r.job()); err != nil {
		t.Fatal(err)
	}
	list := func() (map[string]int64, error) {
		got := map[string]int64{}
		err := r.List(ctx, r.job(), func(l Listed) {
			if l.Trouble != "" {
				t.Errorf("%s: %s", l.Key, l.Trouble)
			}
			if _, twice := got[l.Key]; twice {
				t.Errorf("%s is listed twice", l.Key)
			}
			got[l.Key] = l.Size
		})
		return got, err
	}
	for i := range r.mem {
		r.faulty[i].Down(errDown)
		if got, err := list(); err != nil || !maps.Equal(got, want) {
			t.Errorf("without b%d: %v, %v", i, got, err)
		}
		r.faulty[i].Up()
	}
	r.faulty[0].Down(errDown)
	r.mem[1].Delete(r.pool[1].marker) // an unmounted disk shows nothing
	if got, err := list(); err == nil {
		t.Errorf("with two silent: %v", got)
	}
}
