package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/layout"
	"shardraid/object"
	"shardraid/vault"
)

// world is a pool of in-memory backends and the vault that owns it.
type world struct {
	t      testing.TB
	vault  *vault.Vault
	layout *layout.Layout
	memory []*backendtest.Memory
	faulty []*backendtest.Faulty
	config object.Config
	store  *object.Store
}

func newWorld(t testing.TB, k, m, n int, lines ...string) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	if w.vault, err = vault.Create(time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("shardraid: 1\ndata: %d\nparity: %d\nshard_size: 64KiB\ninline: 2KiB\n%s\nbackends:\n", k, m, strings.Join(lines, "\n"))
	ids := map[string]string{}
	for i := range n {
		text += fmt.Sprintf("  - {name: b%d, remote: /b%d}\n", i, i)
		ids[fmt.Sprint("b", i)] = strings.Repeat(string(rune('a'+i)), 13)
	}
	body, err := layout.NewDocument(text, ids).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, w.layout, err = layout.ParseDocument(body); err != nil {
		t.Fatal(err)
	}
	stores := map[string]backends.Store{}
	for _, b := range w.layout.Backends {
		memory := backendtest.NewMemory()
		faulty := backendtest.NewFaulty(memory)
		w.memory, w.faulty = append(w.memory, memory), append(w.faulty, faulty)
		stores[b.ID] = faulty
	}
	w.config = object.Config{Vault: w.vault, Layout: w.layout, Stores: stores, Patience: 20 * time.Millisecond}
	w.reopen()
	if err := w.store.Claim(context.Background(), object.Claim{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// reopen is a new process on the same pool.
func (w *world) reopen() {
	w.t.Helper()
	var err error
	if w.store, err = object.New(w.config); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(key string, content []byte) error {
	return w.store.Put(context.Background(), key, bytes.NewReader(content), int64(len(content)), nil)
}

func (w *world) mustPut(key string, content []byte) {
	w.t.Helper()
	if err := w.put(key, content); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(key string) ([]byte, error) {
	file := filepath.Join(w.t.TempDir(), "out")
	if err := w.store.Get(context.Background(), key, file, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// wantContent fails unless the key's content is one of these.
func (w *world) wantContent(key string, contents ...[]byte) {
	w.t.Helper()
	got, err := w.get(key)
	if err != nil {
		w.t.Errorf("get %s: %v", key, err)
		return
	}
	for _, c := range contents {
		if bytes.Equal(got, c) {
			return
		}
	}
	w.t.Errorf("get %s: wrong content of %d bytes", key, len(got))
}

func (w *world) check(key string) (bool, error) {
	return w.store.Check(context.Background(), key, nil)
}

func (w *world) remove(key string) error {
	return w.store.Remove(context.Background(), key, nil)
}

// snapshot and restore keep what lies on the backends.
func (w *world) snapshot() (files []map[string][]byte) {
	for _, m := range w.memory {
		files = append(files, m.Files())
	}
	return files
}

func (w *world) restore(files []map[string][]byte) {
	for i, m := range w.memory {
		for _, name := range m.Names() {
			m.Delete(name)
		}
		for name, data := range files[i] {
			m.Set(name, data)
		}
		w.faulty[i].Up()
	}
	w.reopen()
}

func content(seed byte, size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func TestSizesAndCodes(t *testing.T) {
	for _, code := range [][3]int{{4, 2, 6}, {2, 1, 4}, {1, 1, 2}, {2, 2, 4}, {1, 3, 5}} {
		w := newWorld(t, code[0], code[1], code[2])
		segment := code[0] * 64 << 10
		for _, size := range []int{0, 1, code[0] - 1, 2048, 2049, segment - 1, segment, segment + 1, 5*segment + 77} {
			key := fmt.Sprint("key ", size)
			want := content(byte(size), size)
			if here, err := w.check(key); here || err != nil {
				t.Fatalf("%v size %d before: %v, %v", code, size, here, err)
			}
			w.mustPut(key, want)
			w.wantContent(key, want)
			if here, err := w.check(key); !here || err != nil {
				t.Errorf("%v size %d: %v, %v", code, size, here, err)
			}
			if err := w.remove(key); err != nil {
				t.Error(err)
			}
			if here, err := w.check(key); here || err != nil {
				t.Errorf("%v size %d after: %v, %v", code, size, here, err)
			}
			if _, err := w.get(key); !errors.Is(err, object.ErrAbsent) {
				t.Errorf("%v size %d after: %v", code, size, err)
			}
		}
	}
}

// Every subset of lost backends, lost in every way: up to m everything is
// there; beyond, nothing is wrongly said, and nothing is ever removed.
func TestEverySubsetOfLostBackends(t *testing.T) {
	ways := map[string]func(w *world, i int){
		"down":    func(w *world, i int) { w.faulty[i].Down(errors.New("login refused")) },
		"garbage": func(w *world, i int) { w.faulty[i].Garbage() },
		"wiped": func(w *world, i int) {
			for _, name := range w.memory[i].Names() {
				w.memory[i].Delete(name)
			}
		},
		"corrupt": func(w *world, i int) {
			for _, name := range w.memory[i].Names() {
				w.memory[i].Corrupt(name)
			}
		},
	}
	for _, code := range [][3]int{{3, 2, 5}, {2, 1, 4}} {
		for name, lose := range ways {
			for subset := range 1 << code[2] {
				w := newWorld(t, code[0], code[1], code[2])
				big, small := content(1, 500_000), content(2, 1000)
				w.mustPut("big", big)
				w.mustPut("small", small)
				for i := range code[2] {
					if subset>>i&1 == 1 {
						lose(w, i)
					}
				}
				w.lossHolds(fmt.Sprintf("%v %s %b", code, name, subset), bits.OnesCount(uint(subset)) <= code[1], map[string][]byte{"big": big, "small": small})
			}
		}
	}
}

func (w *world) lossHolds(label string, survives bool, objects map[string][]byte) {
	w.t.Helper()
	for key, want := range objects {
		here, err := w.check(key)
		got, getErr := w.get(key)
		switch {
		case getErr == nil && !bytes.Equal(got, want):
			w.t.Errorf("%s: %s: wrong bytes", label, key)
		case survives && (getErr != nil || !here || err != nil):
			w.t.Errorf("%s: %s: get %v, check %v, %v", label, key, getErr, here, err)
		case here && getErr != nil:
			w.t.Errorf("%s: %s: present, yet %v", label, key, getErr)
		case !here && err == nil:
			w.t.Errorf("%s: %s: called absent", label, key)
		}
	}
	for i, f := range w.faulty {
		if f.Count("remove") > 0 {
			w.t.Errorf("%s: something was removed from b%d", label, i)
		}
	}
}

func TestRemoveWhileBackendsAreDown(t *testing.T) {
	for subset := range 1 << 5 {
		w := newWorld(t, 3, 2, 5)
		objects := map[string][]byte{"big": content(1, 300_000), "small": content(2, 100)}
		for key, c := range objects {
			w.mustPut(key, c)
		}
		down := bits.OnesCount(uint(subset))
		for i := range 5 {
			if subset>>i&1 == 1 {
				w.faulty[i].Down(errors.New("down"))
			}
		}
		for key, c := range objects {
			err := w.remove(key)
			if (err == nil) != (down <= 2) {
				t.Errorf("%b: remove %s: %v", subset, key, err)
			}
			for i := range w.faulty {
				w.faulty[i].Up()
			}
			here, checkErr := w.check(key)
			if err == nil {
				// the backends are back with what they had
				if _, getErr := w.get(key); here || checkErr != nil || getErr == nil {
					t.Errorf("%b: %s came back: %v %v %v", subset, key, here, checkErr, getErr)
				}
			} else {
				w.wantContent(key, c)
			}
			for i := range 5 {
				if subset>>i&1 == 1 {
					w.faulty[i].Down(errors.New("down"))
				}
			}
		}
	}
}

func TestStoreAgain(t *testing.T) {
	w := newWorld(t, 2, 1, 4)
	for _, size := range []int{100, 400_000} {
		key := fmt.Sprint("WORM ", size)
		a, b := content(1, size), content(2, size)
		w.mustPut(key, a)
		before := w.snapshot()
		w.mustPut(key, a)
		if got := w.snapshot(); fmt.Sprint(keys(got)) != fmt.Sprint(keys(before)) {
			t.Errorf("%d bytes: the same content was stored again", size)
		}
		w.mustPut(key, b)
		w.wantContent(key, b)
		if shards := count(w, ".s."); size == 400_000 && shards != 4*3 {
			t.Errorf("%d shards are left, not only the new ones", shards)
		}
	}
}

func keys(files []map[string][]byte) (n []int) {
	for _, f := range files {
		n = append(n, len(f))
	}
	return n
}

func count(w *world, part string) (n int) {
	for _, m := range w.memory {
		for _, name := range m.Names() {
			if strings.Contains(name, part) {
				n++
			}
		}
	}
	return n
}

// Stop the world at every backend operation of a store and of a removal: what
// is called present is there, and trying again succeeds.
func TestEveryCrashPoint(t *testing.T) {
	old, fresh := content(1, 200_000), content(2, 200_000)
	for _, verb := range []string{"put", "put again", "remove"} {
		for n := 1; ; n++ {
			w := newWorld(t, 2, 1, 3)
			if verb != "put" {
				w.mustPut("k", old)
			}
			died := errors.New("died")
			var ops atomic.Int64
			ctx, cancel := context.WithCancelCause(context.Background())
			for _, f := range w.faulty {
				f.Add(backendtest.Fault{Do: backendtest.Run(func() {
					if ops.Add(1) == int64(n) {
						cancel(died)
					}
				})})
			}
			var err error
			if verb == "remove" {
				err = w.store.Remove(ctx, "k", nil)
			} else {
				err = w.store.Put(ctx, "k", bytes.NewReader(fresh), int64(len(fresh)), nil)
			}
			finished := ctx.Err() == nil
			w.restore(w.snapshot())
			allowed := [][]byte{old, fresh}
			if err == nil && verb != "remove" {
				allowed = [][]byte{fresh}
			}
			here, checkErr := w.check("k")
			if here {
				w.wantContent("k", allowed...)
			}
			if err == nil && here != (verb != "remove") {
				t.Errorf("%s stopped at %d: succeeded, yet present is %v, %v", verb, n, here, checkErr)
			}
			if verb == "put again" {
				w.wantContent("k", allowed...) // the old one must not be lost to a store that died
			}
			if verb == "remove" {
				if err := w.remove("k"); err != nil {
					t.Errorf("%s stopped at %d: again: %v", verb, n, err)
				}
				if here, err := w.check("k"); here || err != nil {
					t.Errorf("%s stopped at %d: again: present %v, %v", verb, n, here, err)
				}
			} else {
				w.mustPut("k", fresh)
				w.wantContent("k", fresh)
			}
			cancel(nil)
			if finished {
				t.Logf("%s: %d operations", verb, n-1)
				break
			}
		}
	}
}
