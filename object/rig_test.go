package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

const testKey = "SHA256E-s1--abc"

var (
	ctx     = context.Background()
	errDown = errors.New("connection refused")
	errDead = errors.New("the process was killed")
	inline  = 1 << 10 // of the test layouts
)

// testVault is made once: making keys is slow.
var testVault = sync.OnceValue(func() *vault.Vault {
	v, err := vault.Create(time.Now(), nil)
	if err != nil {
		panic(err)
	}
	return v
})

// rig is a Store over backends in memory that can fail.
type rig struct {
	*Store
	t       testing.TB
	config  Config
	mem     []*backendtest.Memory
	faulty  []*backendtest.Faulty
	gate    *gate
	dir     string
	mu      sync.Mutex
	infos   []string
	damages []string // names of backends
}

// newRig returns a claimed Store of n backends b0, b1, … More is further lines
// of the layout.
func newRig(t testing.TB, k, m, n int, more ...string) *rig {
	t.Helper()
	return newRigOf(t, testVault(), nil, k, m, n, more...)
}

// newJournalRig is newRig with a journal.
func newJournalRig(t testing.TB, k, m, n int, more ...string) *rig {
	t.Helper()
	return newRigOf(t, testVault(), JournalDir(t.TempDir()), k, m, n, more...)
}

func newRigOf(t testing.TB, v *vault.Vault, journal Journal, k, m, n int, more ...string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), config: Config{Vault: v, Journal: journal, Layout: testLayout(t, k, m, n, more...)}}
	for range n {
		r.mem = append(r.mem, backendtest.NewMemory())
	}
	r.start()
	if err := r.Claim(ctx, Claim{}); err != nil {
		t.Fatalf("claim: %v", err)
	}
	r.gate.reset()
	return r
}

func testLayout(t testing.TB, k, m, n int, more ...string) *layout.Layout {
	t.Helper()
	l, err := layout.Parse("test.yaml", []byte(layoutText(k, m, n, more...)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range l.Backends {
		l.Backends[i].ID = manifest.NewBackendID()
	}
	return l
}

func layoutText(k, m, n int, more ...string) string {
	text := fmt.Sprintf("shardraid: 1\ndata: %d\nparity: %d\nshard_size: 64KiB\ninline: 1KiB\n%s\nbackends:\n", k, m, strings.Join(more, "\n"))
	for i := range n {
		text += fmt.Sprintf("  - {name: b%d, remote: /pool/b%d}\n", i, i)
	}
	return text
}

// start makes a new Store, as a new process would, over the same files.
func (r *rig) start() {
	r.t.Helper()
	r.gate, r.faulty = &gate{}, nil
	r.config.Stores = map[string]backends.Store{}
	r.config.Patience = 50 * time.Millisecond
	for i, b := range r.config.Layout.Backends {
		f := backendtest.NewFaulty(r.mem[i])
		r.faulty = append(r.faulty, f)
		r.config.Stores[b.ID] = &gated{f, r.gate, r.config.Vault.Names(b.ID)}
	}
	s, err := New(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Store = s
	for _, b := range s.pool { // opening a marker is slow; each is opened once
		verify, key := b.verify, b.ID
		b.verify = func(message []byte) error {
			seen := key + string(message)
			if _, ok := goodMarkers.Load(seen); ok {
				return nil
			}
			err := verify(message)
			if err == nil {
				goodMarkers.Store(seen, true)
			}
			return err
		}
	}
}

var goodMarkers sync.Map

// fork returns another rig with a copy of all files and no faults.
func (r *rig) fork(t testing.TB) *rig {
	t.Helper()
	c := &rig{t: t, dir: r.dir, config: r.config}
	for _, m := range r.mem {
		to := backendtest.NewMemory()
		for name, data := range m.Files() {
			to.Set(name, data)
		}
		c.mem = append(c.mem, to)
	}
	c.start()
	return c
}

func (r *rig) job() *Job {
	add := func(to *[]string, text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*to = append(*to, text)
	}
	return &Job{
		Progress: func(int64) {},
		Info:     func(text string) { add(&r.infos, text) },
		Debug:    func(string) {},
		Damaged:  func(backend, _ string) { add(&r.damages, backend) },
		Placed:   func(Placement) {},
	}
}

func (r *rig) put(key string, data []byte) error {
	return r.Put(ctx, key, bytes.NewReader(data), int64(len(data)), r.job())
}

func (r *rig) mustPut(key string, data []byte) {
	r.t.Helper()
	if err := r.put(key, data); err != nil {
		r.t.Fatalf("put: %v", err)
	}
}

var files atomic.Int64

// get returns what is in a new file after a Get.
func (r *rig) get(key string) ([]byte, error) {
	r.t.Helper()
	file := filepath.Join(r.dir, fmt.Sprint(files.Add(1)))
	defer os.Remove(file)
	err := r.Get(ctx, key, file, r.job())
	got, readErr := os.ReadFile(file)
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		r.t.Fatal(readErr)
	}
	return got, err
}

func (r *rig) mustGet(key string, want []byte) {
	r.t.Helper()
	if got, err := r.get(key); err != nil {
		r.t.Errorf("get: %v", err)
	} else if !bytes.Equal(got, want) {
		r.t.Errorf("get: %d wrong bytes, want %d", len(got), len(want))
	}
}

// mustSurvive makes sure that the object can be read with any m backends down.
func (r *rig) mustSurvive(key string, want []byte, m int) {
	r.t.Helper()
	for set := range 1 << len(r.pool) {
		if down := bits(set); len(down) == m {
			r := r.fork(r.t)
			for _, i := range down {
				r.faulty[i].Down(errDown)
			}
			r.mustGet(key, want)
		}
	}
}

func (r *rig) mustCheck(key string, want bool) {
	r.t.Helper()
	if got, err := r.Check(ctx, key, r.job()); err != nil || got != want {
		r.t.Errorf("check: %v, %v; want %v", got, err, want)
	}
}

// mustBeSound makes sure that no answer about the object is wrong, whatever
// state it is in, and returns the answers.
func (r *rig) mustBeSound(key string, wants ...[]byte) (here bool, checkErr, getErr error) {
	r.t.Helper()
	here, checkErr = r.Check(ctx, key, r.job())
	got, getErr := r.get(key)
	right := false
	for _, want := range wants {
		right = right || bytes.Equal(got, want) || getErr != nil && bytes.HasPrefix(want, got)
	}
	switch {
	case getErr == nil && !right:
		r.t.Errorf("get: %d wrong bytes", len(got))
	case !right && len(got) > 0:
		r.t.Errorf("get failed and left %d wrong bytes in the file", len(got))
	case here && checkErr != nil:
		r.t.Errorf("check says true and %v", checkErr)
	case here && getErr != nil:
		r.t.Errorf("check says present, get says: %v", getErr)
	}
	return here, checkErr, getErr
}

// stored returns the names of the object's files of one kind on a backend, as
// on the backend.
func (r *rig) stored(i int, key string, kind manifest.Kind) (paths []string) {
	b := r.pool[i]
	dir := b.names.Dir(r.vault.ObjectID(key)) + "/"
	for _, name := range r.mem[i].Names() {
		rest, ok := strings.CutPrefix(name, dir)
		if n, good := manifest.ParseName(b.names, rest); ok && good && n.Kind == kind {
			paths = append(paths, name)
		}
	}
	return paths
}

// name reads a path that stored returned.
func (r *rig) name(i int, path string) manifest.Name {
	n, ok := manifest.ParseName(r.pool[i].names, filepath.Base(path))
	if !ok {
		r.t.Fatalf("%s is no name", path)
	}
	return n
}

// manifestOf opens the object's manifest, of which there must be one only.
func (r *rig) manifestOf(key string) *manifest.Manifest {
	r.t.Helper()
	for i := range r.pool {
		if paths := r.stored(i, key, manifest.KindManifest); len(paths) > 0 {
			path := paths[0]
			m, err := manifest.Open(r.vault, r.vault.ObjectID(key), r.name(i, path).Incarnation, r.mem[i].Files()[path])
			if err != nil {
				r.t.Fatal(err)
			}
			return m
		}
	}
	r.t.Fatal("no manifest is stored")
	return nil
}

// count returns how many files of a kind are stored on all backends.
func (r *rig) count(key string, kind manifest.Kind) (n int) {
	for i := range r.pool {
		n += len(r.stored(i, key, kind))
	}
	return n
}

// bytesOf returns size bytes that depend on the seed.
func bytesOf(seed byte, size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

// bits returns the numbers of the bits that are set.
func bits(set int) (list []int) {
	for i := 0; set>>i > 0; i++ {
		if set>>i&1 == 1 {
			list = append(list, i)
		}
	}
	return list
}
