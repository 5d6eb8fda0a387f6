package object_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

// update writes what is missing of the golden vectors. It never changes what
// is there (docs/vectors/README.md).
var update = flag.Bool("update", false, "add the golden vectors that are missing")

const (
	vectorsDir = "../docs/vectors"
	sumsFile   = "remote.sha256"
)

// goldenObject is an object of the golden remote, as in objects.json.
type goldenObject struct {
	Key       string `json:"key,omitempty"`
	KeyBase64 []byte `json:"key_base64,omitempty"` // where it is not UTF-8
	File      string `json:"file"`                 // in plain/
	State     string `json:"state"`                // "present" or "removed"
	SHA256    string `json:"sha256"`
	Segments  int    `json:"segments"`
	Data      int    `json:"data"`
	Parity    int    `json:"parity"`
	Note      string `json:"note"`
}

func (o goldenObject) key() string { return o.Key + string(o.KeyBase64) }

// golden is the golden remote, opened with the recovery file.
type golden struct {
	words    string
	vault    *vault.Vault
	card     *vault.Card
	document []byte // body of the layout document
	layout   *layout.Layout
	files    []map[string][]byte // by backend and name
	objects  []goldenObject
	plain    map[string][]byte // by file
}

var (
	updateOnce sync.Once
	loadGolden = sync.OnceValues(readGolden)
)

// openGolden fails the test where the golden remote is not there.
func openGolden(t testing.TB) *golden {
	t.Helper()
	if *update {
		updateOnce.Do(func() { writeVectors(t) })
	}
	g, err := loadGolden()
	if err != nil {
		t.Fatalf("the golden remote in docs/vectors/remote cannot be opened: %v", err)
	}
	return g
}

func readGolden() (*golden, error) {
	root := filepath.Join(vectorsDir, "remote")
	text := map[string]string{}
	for _, name := range []string{"passphrase", "recovery", "card", "layout.signed", "layout.yaml", "objects.json"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		text[name] = strings.TrimSuffix(string(data), "\n")
	}
	g := &golden{words: text["passphrase"], plain: map[string][]byte{}}
	var err error
	if g.vault, _, err = vault.Import([]byte(text["recovery"]), g.words); err != nil {
		return nil, err
	}
	if g.card, err = vault.ParseCard(text["card"]); err != nil {
		return nil, err
	}
	signed, err := base64.StdEncoding.DecodeString(text["layout.signed"])
	if err != nil {
		return nil, err
	}
	if g.document, err = manifest.VerifyLayout(g.card, signed); err != nil {
		return nil, err
	}
	doc, l, err := layout.ParseDocument(g.document)
	if err != nil {
		return nil, err
	}
	if g.layout = l; doc.YAML != text["layout.yaml"]+"\n" {
		return nil, fmt.Errorf("layout.yaml is not the text in the signed layout")
	}
	for _, b := range l.Backends {
		files, err := readTree(filepath.Join(root, b.Name))
		if err != nil {
			return nil, err
		}
		g.files = append(g.files, files)
	}
	if g.plain, err = readTree(filepath.Join(root, "plain")); err != nil {
		return nil, err
	}
	return g, strictJSON([]byte(text["objects.json"]), &g.objects)
}

func strictJSON(data []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(to)
}

// readTree returns the files below a directory, by their names from there.
func readTree(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[name], err = os.ReadFile(filepath.Join(root, name))
		return err
	})
	return files, err
}

// sumTree writes what sha256sum writes.
func sumTree(root string) (string, error) {
	files, err := readTree(root)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&text, "%x  remote/%s\n", sha256.Sum256(files[name]), name)
	}
	return text.String(), err
}

// pool is a store over a copy of the golden remote.
type pool struct {
	store  *object.Store
	memory []*backendtest.Memory
	faulty []*backendtest.Faulty
}

func (g *golden) pool(t testing.TB) *pool {
	t.Helper()
	p := &pool{}
	stores := map[string]backends.Store{}
	for i, b := range g.layout.Backends {
		memory := backendtest.NewMemory()
		for name, data := range g.files[i] {
			memory.Set(name, data)
		}
		faulty := backendtest.NewFaulty(memory)
		p.memory, p.faulty = append(p.memory, memory), append(p.faulty, faulty)
		stores[b.ID] = faulty
	}
	var err error
	// No backend hangs here, so a slow machine is waited for.
	p.store, err = object.New(object.Config{Vault: g.vault, Layout: g.layout, Stores: stores, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// storedFile is a file of an object on a backend.
type storedFile struct {
	backend int
	path    string
	name    manifest.Name
	data    []byte
}

// stored returns the files of an object of one kind, or of any if that is 0,
// by backend and name.
func (g *golden) stored(key string, kind manifest.Kind) (list []storedFile) {
	for i, b := range g.layout.Backends {
		names := g.vault.Names(b.ID)
		dir := names.Dir(g.vault.ObjectID(key)) + "/"
		for _, path := range slices.Sorted(maps.Keys(g.files[i])) {
			rest, ok := strings.CutPrefix(path, dir)
			n, good := manifest.ParseName(names, rest)
			if ok && good && (kind == 0 || n.Kind == kind) {
				list = append(list, storedFile{i, path, n, g.files[i][path]})
			}
		}
	}
	return list
}

// path returns where a file of an object lies on a backend.
func (g *golden) path(backend int, id vault.ObjectID, n manifest.Name) string {
	names := g.vault.Names(g.layout.Backends[backend].ID)
	return names.Dir(id) + "/" + n.Format(names)
}

// object returns the object whose plaintext is in this file.
func (g *golden) object(t testing.TB, file string) goldenObject {
	t.Helper()
	i := slices.IndexFunc(g.objects, func(o goldenObject) bool { return o.File == file })
	if i < 0 {
		t.Fatalf("the golden remote has no object %q", file)
	}
	return g.objects[i]
}

// manifests returns one manifest of each incarnation of an object, the newest
// last, and where it lies.
func (g *golden) manifests(t testing.TB, file string) (list []*manifest.Manifest, at []storedFile) {
	t.Helper()
	key := g.object(t, file).key()
	for _, s := range g.stored(key, manifest.KindManifest) {
		m, err := manifest.Open(g.vault, g.vault.ObjectID(key), s.name.Incarnation, s.data)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(list, func(o *manifest.Manifest) bool { return o.Incarnation == m.Incarnation }) {
			continue
		}
		if len(m.Supersedes) > 0 {
			list, at = append(list, m), append(at, s)
		} else {
			list, at = slices.Insert(list, 0, m), slices.Insert(at, 0, s)
		}
	}
	return list, at
}

// newest returns the manifest that readers take.
func (g *golden) newest(t testing.TB, file string) *manifest.Manifest {
	t.Helper()
	list, _ := g.manifests(t, file)
	if len(list) == 0 {
		t.Fatalf("%s has no manifest", file)
	}
	return list[len(list)-1]
}
