package object_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"shardraid/backends"
	"shardraid/backends/backendtest"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

const (
	goldenWords = "legal winner thank year wave sausage worth useful"
	goldenYAML  = `# The layout of the golden remote of docs/vectors.
shardraid: 1
data: %d
parity: 1
shard_size: 64KiB
inline: 2KiB
backends:
  - {name: a, remote: /vectors/a}
  - {name: b, remote: /vectors/b}
  - {name: c, remote: /vectors/c}
  - {name: d, remote: /vectors/d}
`
)

// plainOf is the content of an object: size bytes of ChaCha8 with a seed whose
// first byte is this one.
type plainOf struct {
	file string
	key  string // "" for the SHA256E key
	seed byte
	size int
	note string
}

var goldenPlain = []plainOf{
	{"empty", "", 1, 0, "empty, in the manifest"},
	{"one-byte", "", 2, 1, "in the manifest"},
	{"inlined-2048", "", 3, 2048, "in the manifest: the most that this layout inlines"},
	{"one-segment", "", 4, 5000, "padded to 5120 bytes"},
	{"three-segments", "", 5, 300_000, "the last segment is padded"},
	{"worm", "WORM-s3000-m1700000000--holiday film.mkv", 6, 3000, "a key that tells no hash"},
	{"not-utf8", "WORM-s100-m1--na\xefve \xff.txt", 7, 100, "a key that is not UTF-8"},
	{"moved", "", 8, 9000, "its shard 0 lies only where a move record says"},
	{"removed", "", 9, 10_000, "tombstones are left"},
	{"removed-undeleted", "", 13, 500, "tombstones stand, and its manifests could not be deleted"},
	{"superseded", "WORM-s6000-m1--diary.txt", 10, 6000, "stored a second time with other bytes; the first incarnation was not buried"},
}

// oldPlain was stored under the earlier layout, oldDiary is what superseded
// once was.
var (
	oldPlain = plainOf{"earlier-code", "", 11, 20_000, "coded 1+1, under the layout of epoch 1"}
	oldDiary = plainOf{"superseded", "WORM-s6000-m1--diary.txt", 12, 6000, ""}
)

func (p plainOf) content() []byte { return content(p.seed, p.size) }

func (p plainOf) keyText() string {
	if p.key != "" {
		return p.key
	}
	return fmt.Sprintf("SHA256E-s%d--%x.bin", p.size, sha256.Sum256(p.content()))
}

// writeVectors writes the golden remote if there is none, and adds the hostile
// vectors that hostile.json lacks.
func writeVectors(t testing.TB) {
	root := filepath.Join(vectorsDir, "remote")
	var list []hostile
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		writeRemote(t, root)
	} else if _, err := os.Stat(filepath.Join(vectorsDir, hostileFile)); err == nil {
		list = readHostile(t)
	}
	g, err := loadGolden()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range forgeAll(t, g) {
		if !slices.ContainsFunc(list, func(old hostile) bool { return old.Name == h.Name }) {
			list = append(list, h)
		}
	}
	writeHostile(t, list)
}

// writeRemote does what a user would: set up, store, apply another layout,
// store more, store again, remove.
func writeRemote(t testing.TB, root string) {
	w := &world{t: t}
	var err error
	if w.vault, err = vault.Create(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), nil); err != nil {
		t.Fatal(err)
	}
	wrapped, err := vault.WrapPassphrase(w.vault, goldenWords)
	if err != nil {
		t.Fatal(err)
	}
	card, err := w.vault.Card(vault.Access{Serial: 1, Mode: vault.Passphrase, Wrapped: wrapped})
	if err != nil {
		t.Fatal(err)
	}
	body := claimBoth(t, w, card)
	for _, p := range goldenPlain {
		switch p.file {
		case "superseded":
			storeTwice(w, oldDiary, p)
		default:
			w.mustPut(p.keyText(), p.content())
		}
		switch p.file {
		case "moved":
			moveShard(w, p.keyText())
		case "removed":
			removeObject(w, p.keyText())
		case "removed-undeleted":
			for _, f := range w.faulty {
				f.Add(backendtest.Fault{Op: "remove", Do: backendtest.ErrorInstead(errors.New("read-only"))})
			}
			removeObject(w, p.keyText())
		}
	}
	dumpRemote(t, w, root)
	signed, err := manifest.SignLayout(w.vault, body)
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := w.vault.Export(card, goldenWords)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, root, "card", []byte(card.String()+"\n"))
	writeFile(t, root, "recovery", recovery)
	writeFile(t, root, "passphrase", []byte(goldenWords+"\n"))
	writeFile(t, root, "layout.signed", []byte(base64.StdEncoding.EncodeToString(signed)+"\n"))
	sums, err := sumTree(root)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, vectorsDir, sumsFile, []byte(sums))
}

// claimBoth sets the remote up with a code of 1+1, stores an object, and
// applies the layout with 2+1. It returns the document of that one.
func claimBoth(t testing.TB, w *world, card *vault.Card) []byte {
	ids := map[string]string{}
	w.config = object.Config{Vault: w.vault, Stores: map[string]backends.Store{}, Patience: time.Minute}
	known := map[string]bool{}
	for _, name := range []string{"a", "b", "c", "d"} {
		ids[name] = manifest.NewBackendID()
		known[ids[name]] = true
		memory := backendtest.NewMemory()
		faulty := backendtest.NewFaulty(memory)
		w.memory, w.faulty = append(w.memory, memory), append(w.faulty, faulty)
		w.config.Stores[ids[name]] = faulty
	}
	first := layout.NewDocument(fmt.Sprintf(goldenYAML, 1), ids)
	copy := func(ctx context.Context) ([]byte, error) { return vault.SealCopy(ctx, w.vault, card, goldenWords) }
	firstLayout := claim(w, first, object.Claim{Copy: copy})
	w.mustPut(oldPlain.keyText(), oldPlain.content())
	second, err := layout.Successor(fmt.Sprintf(goldenYAML, 2), []layout.Head{{Document: first, Layout: firstLayout}}, manifest.NewBackendID)
	if err != nil {
		t.Fatal(err)
	}
	claim(w, second, object.Claim{Known: known, Follows: second.Follows})
	body, err := second.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(vectorsDir, "remote"), "layout.yaml", []byte(second.YAML))
	return body
}

func claim(w *world, d *layout.Document, c object.Claim) *layout.Layout {
	var err error
	if c.Document, err = d.Marshal(); err != nil {
		w.t.Fatal(err)
	}
	if _, w.layout, err = layout.ParseDocument(c.Document); err != nil {
		w.t.Fatal(err)
	}
	w.config.Layout = w.layout
	w.reopen()
	if err := w.store.Claim(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
	return w.layout
}

// moveShard takes shard 0 to the backend that has none and puts a move record
// on m+1 backends.
func moveShard(w *world, key string) {
	m := w.manifestOf(key)
	index := func(id string) int {
		return slices.IndexFunc(w.layout.Backends, func(b layout.Backend) bool { return b.ID == id })
	}
	to := slices.IndexFunc(w.layout.Backends, func(b layout.Backend) bool { return !slices.Contains(m.Backends(), b.ID) })
	sh := m.Segments[0].Shards[0]
	from := index(sh.Backend)
	name := manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindShard, Copy: sh.Copy}
	dir, names := w.dir(from, key)
	data := w.memory[from].Files()[dir+name.Format(names)]
	if data == nil || !w.memory[from].Delete(dir+name.Format(names)) {
		w.t.Fatal("no such shard")
	}
	name.Copy = manifest.NewCopyID()
	dir, names = w.dir(to, key)
	hash, err := w.memory[to].Put(context.Background(), dir+name.Format(names), data)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range 2 {
		record, err := manifest.SealMoves(w.vault, []manifest.Move{{Object: m.Object, Incarnation: m.Incarnation, Backend: w.layout.Backends[to].ID, Copy: name.Copy, Hash: hash}})
		if err != nil {
			w.t.Fatal(err)
		}
		dir, names = w.dir(i, key)
		w.memory[i].Set(dir+manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindMove, Copy: manifest.NewCopyID()}.Format(names), record)
	}
}

func removeObject(w *world, key string) {
	w.t.Helper()
	if err := w.remove(key); err != nil {
		w.t.Fatal(err)
	}
}

// storeTwice stores other bytes under a key, and cannot bury the old ones.
func storeTwice(w *world, old, fresh plainOf) {
	w.mustPut(old.keyText(), old.content())
	for _, f := range w.faulty {
		f.Add(backendtest.Fault{Op: "put", Match: named(".t."), Do: backendtest.ErrorInstead(errors.New("full"))})
	}
	w.mustPut(fresh.keyText(), fresh.content())
}
