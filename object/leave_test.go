package object

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"shardraid/layout"
	"shardraid/manifest"
)

// A backend leaves: not before it was repaired and collected without it; then
// all is there, and m others may be lost.
func TestBackendLeaves(t *testing.T) {
	r := newJournalRig(t, 3, 2, 7)
	r.patient()
	contents := map[string][]byte{}
	for n := range 12 {
		key := fmt.Sprint("object", n)
		contents[key] = bytesOf(byte(n), 100+n*20_000)
		r.mustPut(key, contents[key])
	}
	removed := map[string]bool{}
	for n := range 12 { // some of them on b1
		key := fmt.Sprint("removed", n)
		removed[key] = true
		r.mustPut(key, bytesOf(byte(n), 500+n*10_000))
	}
	r.state(0, layout.Off)
	want := func(text string) {
		t.Helper()
		if err := r.WithoutOff(ctx, r.job()); text == "" && err != nil || text != "" && (err == nil || !strings.Contains(err.Error(), text)) {
			t.Errorf("without it: %v, want %q", err, text)
		}
	}
	r.faulty[1].Down(errDown)
	for key := range removed {
		r.mustRemove(key)
	}
	r.faulty[1].Up()
	want("files are not whole")
	lost := []string{r.config.Layout.Backends[0].Name}
	for key := range contents {
		if h, err := r.Repair(ctx, key, RepairOptions{Lost: lost}, r.job()); err != nil || h.Missing+h.Silent > 0 {
			t.Fatalf("repair %s: %v, %v", key, err, h)
		}
	}
	want("a removal has not reached")
	if _, err := r.Collect(ctx, CollectOptions{Lost: lost}, r.job()); err != nil {
		t.Fatal(err)
	}
	want("")
	r.faulty[1].Down(errDown)
	want("b1 does not answer")
	r.faulty[1].Up()
	for i := 1; i <= 4; i++ { // two stay at most
		for _, path := range r.stored(i, "object3", manifest.KindManifest) {
			r.mem[i].Delete(path)
		}
	}
	want("files are not whole")
	for key := range contents {
		r.mustRepair(key, RepairOptions{Lost: lost})
	}
	want("")

	now := r.withoutFirst()
	for key, content := range contents {
		now.mustCheck(key, true)
		now.mustSurvive(key, content, 2)
		if h, err := now.Scrub(ctx, key, ScrubOptions{Deep: true}, now.job()); err != nil || !h.Whole() {
			t.Errorf("%s: %v, %v", key, h, err)
		}
	}
	for i := range now.mem {
		c := now.fork(t)
		c.faulty[i].Down(errDown)
		for key := range removed {
			c.mustCheck(key, false)
		}
	}
}

// withoutFirst lets the first backend leave the layout.
func (r *rig) withoutFirst() *rig {
	r.t.Helper()
	without := *r.config.Layout
	without.Backends, without.Hash = slices.Clone(without.Backends[1:]), "without"
	now := &rig{t: r.t, dir: r.dir, config: r.config, mem: r.mem[1:]}
	now.config.Layout = &without
	now.start()
	now.patient()
	known := map[string]bool{}
	for _, b := range r.config.Layout.Backends {
		known[b.ID] = true
	}
	if err := now.Claim(ctx, Claim{Known: known, Follows: func(string) bool { return true }}); err != nil {
		r.t.Fatal(err)
	}
	now.gate.reset()
	return now
}

// movedToFirst stores objects whose shards on the first backend were put back
// there: move records name it.
func movedToFirst(t *testing.T) (r *rig, keys []string) {
	r = newJournalRig(t, 3, 2, 7)
	r.patient()
	for n := range 12 {
		keys = append(keys, fmt.Sprint("object", n))
		r.mustPut(keys[n], bytesOf(byte(n), 5000+n*20_000))
	}
	for _, key := range keys {
		for _, path := range r.stored(0, key, manifest.KindShard) {
			r.mem[0].Delete(path)
		}
	}
	for _, key := range keys {
		r.mustRepair(key, RepairOptions{Emptied: []string{"b0"}})
	}
	return r, keys
}

// The two ways of the README: a lost backend is repaired without it, one that
// is given up is drained; then it may leave, whatever records name it.
func TestRecordsOfWhoLeaves(t *testing.T) {
	for name, leave := range map[string]func(r *rig, keys []string){
		"lost": func(r *rig, keys []string) {
			r.state(0, layout.Off)
			for _, key := range keys {
				r.mustRepair(key, RepairOptions{Lost: []string{"b0"}})
			}
		},
		"drained": func(r *rig, keys []string) {
			r.state(0, layout.Drain)
			r.balance()
			r.state(0, layout.Off)
		},
	} {
		r, keys := movedToFirst(t)
		leave(r, keys)
		if err := r.WithoutOff(ctx, r.job()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is lost after a backend has left is absent, and not unknown for ever.
func TestLostAfterLeave(t *testing.T) {
	r, keys := movedToFirst(t)
	key := keys[slices.IndexFunc(keys, func(key string) bool { return len(r.stored(0, key, manifest.KindShard)) > 0 })]
	r.state(0, layout.Off)
	for _, key := range keys {
		r.mustRepair(key, RepairOptions{Lost: []string{"b0"}})
	}
	now := r.withoutFirst()
	now.mustCheck(key, true)
	for _, m := range now.mem[:4] { // of six: two shards are left, and three are needed
		for name := range m.Files() {
			if strings.Contains(name, ".s.") {
				m.Delete(name)
			}
		}
	}
	now.start()
	now.patient()
	if h, err := now.Scrub(ctx, key, ScrubOptions{}, now.job()); err == nil && !h.Lost {
		t.Fatalf("enough of it is left: %v", h)
	}
	if here, err := now.Check(ctx, key, now.job()); here || err != nil {
		t.Errorf("of a lost object: %v, %v", here, err)
	}
}
