package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

func named(part string) func(string) bool {
	return func(name string) bool { return strings.Contains(name, part) }
}

// corrupt damages the files on backend i whose names contain part.
func (w *world) corrupt(i int, part string) {
	for _, name := range w.memory[i].Names() {
		if strings.Contains(name, part) {
			w.memory[i].Corrupt(name)
		}
	}
}

func TestDamagedShardsAreRebuiltAndNamed(t *testing.T) {
	var mu sync.Mutex
	named := map[string]bool{}
	job := &object.Job{Damaged: func(backend, _ string) {
		mu.Lock()
		defer mu.Unlock()
		named[backend] = true
	}}
	want := content(1, 500_000)
	var w *world
	for i := range 5 { // some of them have data shards, which are read first
		w = newWorld(t, 3, 2, 5)
		w.mustPut("k", want)
		w.corrupt(i, ".s.")
		w.corrupt((i+1)%5, ".s.")
		file := filepath.Join(t.TempDir(), "out")
		if err := w.store.Get(context.Background(), "k", file, job); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); !bytes.Equal(got, want) {
			t.Fatal("wrong bytes")
		}
	}
	if len(named) < 3 {
		t.Errorf("damage was seen on %v", named)
	}
	w.corrupt(2, ".s.")
	_, err := w.get("k")
	var q *object.QuorumError
	if !errors.As(err, &q) || q.Have != 2 || q.Need != 3 {
		t.Errorf("with m+1 damaged: %v", err)
	}
}

// Damaged manifests prove nothing: more than m of them, and the object may
// not be called absent.
func TestDamagedManifests(t *testing.T) {
	w := newWorld(t, 2, 1, 4)
	for key, size := range map[string]int{"big": 300_000, "small": 10} {
		w.mustPut(key, content(1, size))
	}
	for i := range w.memory {
		w.corrupt(i, ".m.")
	}
	for _, key := range []string{"big", "small"} {
		if here, err := w.check(key); here || err == nil {
			t.Errorf("%s: %v, %v", key, here, err)
		}
		if err := w.remove(key); err == nil {
			t.Errorf("%s: removed", key)
		}
		if _, err := w.get(key); err == nil || errors.Is(err, object.ErrAbsent) {
			t.Errorf("%s: get: %v", key, err)
		}
	}
}

func TestTombstonesNeedTheirQuorum(t *testing.T) {
	w := newWorld(t, 3, 2, 5)
	want := content(1, 300_000)
	w.mustPut("k", want)
	for i := range 3 {
		w.faulty[i].Add(backendtest.Fault{Op: "put", Match: named(".t."), Call: 1, Do: backendtest.ErrorInstead(errors.New("full"))})
	}
	if err := w.remove("k"); err == nil || !strings.Contains(err.Error(), "2 of at least 3 tombstones") {
		t.Errorf("remove: %v", err)
	}
	// in doubt: readable, never called present, and not absent
	w.wantContent("k", want)
	if here, err := w.check("k"); here || err == nil {
		t.Errorf("check: %v, %v", here, err)
	}
	if err := w.remove("k"); err != nil {
		t.Error(err)
	}
	if here, err := w.check("k"); here || err != nil {
		t.Errorf("check after the second removal: %v, %v", here, err)
	}
	for _, f := range w.faulty[:3] {
		f.Verify(t)
	}
}

func TestManifestsNeedTheirQuorum(t *testing.T) {
	for _, size := range []int{10, 300_000} {
		w := newWorld(t, 3, 2, 5)
		for i := range 3 {
			w.faulty[i].Add(backendtest.Fault{Op: "put", Match: named(".m."), Do: backendtest.ErrorInstead(errors.New("full"))})
		}
		if err := w.put("k", content(1, size)); err == nil || !strings.Contains(err.Error(), "2 of at least 3 backends have taken the manifest") {
			t.Errorf("%d bytes: %v", size, err)
		}
		if here, _ := w.check("k"); here {
			t.Errorf("%d bytes: present", size)
		}
	}
}

// An upload that is acknowledged and then not there is found before success
// is reported.
func TestReadBack(t *testing.T) {
	for part, size := range map[string]int{".s.": 300_000, ".m.": 10} {
		w := newWorld(t, 2, 1, 3)
		for _, f := range w.faulty {
			f.Add(backendtest.Fault{Op: "put", Match: named(part), Do: backendtest.Drop()})
		}
		if err := w.put("k", content(1, size)); err == nil {
			t.Errorf("%s dropped: stored", part)
		}
		w = newWorld(t, 2, 1, 3)
		w.faulty[1].Add(backendtest.Fault{Op: "put", Match: named(part), Do: backendtest.Truncate(5)})
		err := w.put("k", content(1, size))
		here, _ := w.check("k")
		if err == nil && !here || err != nil && part == ".m." && here && size > 2048 {
			t.Errorf("%s cut: %v, present %v", part, err, here)
		}
	}
}

// names returns where the records of an object lie on backend i.
func (w *world) dir(i int, key string) (string, *vault.Names) {
	names := w.vault.Names(w.layout.Backends[i].ID)
	return names.Dir(w.vault.ObjectID(key)) + "/", names
}

// manifestOf opens the first copy of a key's manifest.
func (w *world) manifestOf(key string) *manifest.Manifest {
	w.t.Helper()
	for i, m := range w.memory {
		dir, names := w.dir(i, key)
		for name, data := range m.Files() {
			n, ok := manifest.ParseName(names, strings.TrimPrefix(name, dir))
			if ok && n.Kind == manifest.KindManifest {
				got, err := manifest.Open(w.vault, w.vault.ObjectID(key), n.Incarnation, data)
				if err == nil {
					return got
				}
			}
		}
	}
	w.t.Fatal("no manifest")
	return nil
}

func TestForgedNamesAreNotBelieved(t *testing.T) {
	w := newWorld(t, 2, 1, 3)
	want := content(1, 300_000)
	w.mustPut("k", want)
	w.mustPut("other", content(2, 300_000))
	m := w.manifestOf("k")
	other := w.manifestOf("other")
	tomb, err := manifest.SealTombstone(w.vault, other.Object, other.Incarnation)
	if err != nil {
		t.Fatal(err)
	}
	for i, store := range w.memory {
		dir, names := w.dir(i, "k")
		set := func(n manifest.Name, data []byte) { store.Set(dir+n.Format(names), data) }
		set(manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindTombstone}, tomb)
		set(manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindDoom}, []byte("doom"))
		set(manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindMove}, tomb)
		otherDir, otherNames := w.dir(i, "other")
		for name, data := range store.Files() {
			if n, ok := manifest.ParseName(otherNames, strings.TrimPrefix(name, otherDir)); ok && n.Kind == manifest.KindManifest {
				set(n, data) // another object's manifest in this one's directory
			}
		}
	}
	w.wantContent("k", want)
	// A committed manifest outvotes what is damaged.
	if here, err := w.check("k"); !here {
		t.Errorf("check: %v, %v", here, err)
	}
}

func TestMovedShard(t *testing.T) {
	w := newWorld(t, 2, 1, 4)
	want := content(1, 300_000)
	w.mustPut("k", want)
	m := w.manifestOf("k")
	used := map[string]bool{}
	for _, id := range m.Backends() {
		used[id] = true
	}
	at := map[string]int{}
	to := -1
	for i, b := range w.layout.Backends {
		at[b.ID] = i
		if !used[b.ID] {
			to = i
		}
	}
	for segment := range m.Segments { // the first two of each: only the moves bring it back
		for shard := range 1 {
			sh := m.Segments[segment].Shards[shard]
			from := at[sh.Backend]
			oldDir, oldNames := w.dir(from, "k")
			old := manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindShard, Segment: uint32(segment), Shard: uint8(shard), Copy: sh.Copy}
			moved := old
			moved.Copy = manifest.NewCopyID()
			newDir, newNames := w.dir(to, "k")
			data := w.memory[from].Files()[oldDir+old.Format(oldNames)]
			if data == nil {
				t.Fatal("no such shard")
			}
			w.memory[to].Set(newDir+moved.Format(newNames), data)
			w.memory[from].Delete(oldDir + old.Format(oldNames))
			for i := range 2 {
				record, err := manifest.SealMoves(w.vault, []manifest.Move{{Object: m.Object, Incarnation: m.Incarnation, Segment: old.Segment, Shard: old.Shard, Backend: w.layout.Backends[to].ID, Copy: moved.Copy}})
				if err != nil {
					t.Fatal(err)
				}
				dir, names := w.dir(i, "k")
				w.memory[i].Set(dir+manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindMove, Copy: manifest.NewCopyID()}.Format(names), record)
			}
		}
	}
	// one more is lost: two shards of three are needed, so the moved one counts
	last := at[m.Segments[0].Shards[2].Backend]
	for _, name := range w.memory[last].Names() {
		if strings.Contains(name, ".s.") {
			w.memory[last].Delete(name)
		}
	}
	if here, err := w.check("k"); !here {
		t.Errorf("check: %v", err)
	}
	w.wantContent("k", want)
	if err := w.remove("k"); err != nil || count(w, ".s.") != 0 || count(w, ".v.") != 0 {
		t.Errorf("remove: %v, %d shards and %d moves left", err, count(w, ".s."), count(w, ".v."))
	}
}

func TestDegradedStore(t *testing.T) {
	for _, c := range []struct {
		n      int
		quorum string
		ok     bool
		full   bool
	}{{5, "write_quorum: 4", true, false}, {5, "", false, false}, {6, "", true, true}} {
		w := newWorld(t, 3, 2, c.n, c.quorum)
		w.faulty[1].Down(errors.New("down"))
		err := w.put("k", content(1, 300_000))
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if here, err := w.check("k"); here != c.ok || err != nil {
			t.Errorf("%+v: check %v, %v", c, here, err)
		}
		if shards := count(w, ".s."); c.full && shards != 2*5 {
			t.Errorf("%+v: %d shards", c, shards)
		}
		// one that takes no shard only while it is being stored to
		w = newWorld(t, 3, 2, c.n, c.quorum)
		w.faulty[1].Add(backendtest.Fault{Op: "put", Match: named(".s."), Do: backendtest.ErrorInstead(errors.New("full"))})
		if err := w.put("k", content(1, 300_000)); (err == nil) != c.ok {
			t.Errorf("%+v: full: %v", c, err)
		}
	}
}

func TestResume(t *testing.T) {
	w := newWorld(t, 2, 1, 3)
	journal := t.TempDir()
	w.config.Journal = object.JournalDir(journal)
	w.config.Memory = 300 << 10 // one segment at a time
	w.reopen()
	want := content(1, 10*128<<10)
	interrupt := func(content []byte) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.faulty[0].Add(backendtest.Fault{Op: "put", Match: named(".s."), Call: 6, Do: backendtest.Run(cancel)})
		if err := w.store.Put(ctx, "k", bytes.NewReader(content), int64(len(content)), nil); err == nil {
			t.Fatal("not interrupted")
		}
		w.reopen()
	}
	interrupt(want)
	if here, err := w.check("k"); here || err != nil {
		t.Errorf("interrupted: %v, %v", here, err)
	}
	journals, _ := filepath.Glob(journal + "/*")
	if len(journals) == 0 {
		t.Fatal("no journal")
	}
	for _, j := range journals {
		data, _ := os.ReadFile(j)
		if bytes.Contains(data, []byte(`"k"`)) {
			t.Error("the journal names the key")
		}
	}
	before := w.faulty[1].Count("put")
	w.mustPut("k", want)
	if puts := w.faulty[1].Count("put") - before; puts > 8 {
		t.Errorf("%d puts on a backend, though half was stored", puts)
	}
	w.wantContent("k", want)
	if journals, _ := filepath.Glob(journal + "/*"); len(journals) != 0 {
		t.Errorf("journal left: %v", journals)
	}

	// the file changes between the attempts
	w.remove("k")
	interrupt(want)
	changed := content(9, len(want))
	w.mustPut("k", changed)
	w.wantContent("k", changed)

	// what is in the journal is garbage
	w.remove("k")
	interrupt(want)
	journals, _ = filepath.Glob(journal + "/*")
	for _, j := range journals {
		os.WriteFile(j, []byte("{}\ngarbage\n"), 0o600)
	}
	w.mustPut("k", want)
	w.wantContent("k", want)
}

func TestGetKeepsWhatIsThere(t *testing.T) {
	w := newWorld(t, 2, 1, 3)
	want := content(1, 10*128<<10+5)
	w.mustPut("k", want)
	for name, there := range map[string][]byte{
		"empty":    {},
		"third":    want[:len(want)/3],
		"garbage":  content(3, 200_000),
		"complete": want,
		"longer":   append(bytes.Clone(want), 1, 2, 3),
		"flipped":  append([]byte{want[0] ^ 1}, want[1:]...),
		"late":     append(bytes.Clone(want[:700_000]), content(4, 300_000)...),
	} {
		for _, mode := range []os.FileMode{0o644, 0o444} {
			file := filepath.Join(t.TempDir(), "out")
			if err := os.WriteFile(file, there, mode); err != nil {
				t.Fatal(err)
			}
			before := 0
			for _, f := range w.faulty {
				before += f.Count("get")
			}
			if err := w.store.Get(context.Background(), "k", file, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, _ := os.ReadFile(file); !bytes.Equal(got, want) {
				t.Errorf("%s: wrong bytes", name)
			}
			gets := -before
			for _, f := range w.faulty {
				gets += f.Count("get")
			}
			if most := map[string]int{"complete": 2, "third": 17, "late": 14}[name]; most > 0 && gets > most && (mode == 0o644 || name == "complete") {
				t.Errorf("%s: %d files were read", name, gets)
			}
		}
	}
}

func TestClaim(t *testing.T) {
	w := newWorld(t, 2, 1, 3)
	fresh := func() *world {
		n := newWorld(t, 2, 1, 3)
		for i := range n.memory {
			for _, name := range n.memory[i].Names() {
				n.memory[i].Delete(name)
			}
		}
		return n
	}
	// a foreign marker alone is left over from a set-up that failed
	n := fresh()
	for i, m := range w.memory {
		for name, data := range m.Files() {
			n.memory[i].Set(name, data)
		}
	}
	if err := n.store.Claim(context.Background(), object.Claim{}); err != nil {
		t.Error(err)
	}
	// with content it is somebody's
	w.mustPut("k", content(1, 10))
	n = fresh()
	for name, data := range w.memory[0].Files() {
		n.memory[0].Set(name, data)
	}
	for name, data := range w.memory[1].Files() {
		n.memory[0].Set(name, data)
	}
	if err := n.store.Claim(context.Background(), object.Claim{}); err == nil || !strings.Contains(err.Error(), "b0: ") || !strings.Contains(err.Error(), "another shardraid remote") {
		t.Error(err)
	}
	n = fresh()
	n.memory[2].Set("holiday.jpg", nil)
	if err := n.store.Claim(context.Background(), object.Claim{}); err == nil || !strings.Contains(err.Error(), "holiday.jpg") {
		t.Error(err)
	}
	n = fresh()
	n.faulty[1].Down(errors.New("login refused"))
	if err := n.store.Claim(context.Background(), object.Claim{}); err == nil || !strings.Contains(err.Error(), "login refused") {
		t.Error(err)
	}
	for i, m := range n.memory {
		if len(m.Names()) > 0 {
			t.Errorf("something was written to b%d", i)
		}
	}
	// two names for one place
	n = fresh()
	n.config.Stores[n.layout.Backends[1].ID] = n.faulty[0]
	n.reopen()
	if err := n.store.Claim(context.Background(), object.Claim{}); err == nil || !strings.Contains(err.Error(), "same place as backend") {
		t.Error(err)
	}
	if len(n.memory[0].Names())+len(n.memory[2].Names()) > 0 {
		t.Error("markers are left")
	}
}

func TestManyJobsAtOnce(t *testing.T) {
	w := newWorld(t, 2, 1, 4)
	w.config.Memory = 1 << 20
	w.reopen()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				key, want := fmt.Sprint("k", i, j), content(byte(8*i+j), 100_000*(j+1))
				if err := w.put(key, want); err != nil {
					t.Error(err)
				}
				if here, err := w.check(key); !here {
					t.Error(err)
				}
				w.wantContent(key, want)
				if err := w.remove(key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
