package object_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

// The golden remote is what version 1 stores, kept for ever: it must open with
// the words alone, and give every byte back with any one backend gone.
func TestGoldenRemote(t *testing.T) {
	g := openGolden(t)
	t.Run("files", func(t *testing.T) { g.checkSums(t) })
	t.Run("card", func(t *testing.T) {
		t.Parallel()
		v, err := vault.UnwrapPassphrase(g.card, g.words)
		if err != nil {
			t.Fatal(err)
		}
		g.sameVault(t, v)
	})
	t.Run("root", func(t *testing.T) {
		t.Parallel()
		g.checkRoots(t)
	})
	t.Run("manifests", func(t *testing.T) { g.checkManifests(t) })
	for lost := -1; lost < len(g.layout.Backends); lost++ {
		for _, way := range []string{"down", "emptied"} {
			if lost < 0 && way == "down" {
				continue
			}
			t.Run(fmt.Sprintf("backend %d %s", lost, way), func(t *testing.T) {
				t.Parallel()
				p := g.pool(t)
				if lost >= 0 && way == "down" {
					p.faulty[lost].Down(errors.New("gone"))
				} else if lost >= 0 {
					for _, name := range p.memory[lost].Names() {
						p.memory[lost].Delete(name)
					}
				}
				g.checkObjects(t, p.store)
			})
		}
	}
}

// checkSums makes sure that no file has changed, come or gone: with m = 1 the
// reads alone would forgive it.
func (g *golden) checkSums(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(vectorsDir, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	got, err := sumTree(filepath.Join(vectorsDir, "remote"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("docs/vectors/remote is not what it was: run sha256sum -c %s there", sumsFile)
	}
}

// sameVault compares what a vault derives, for its bytes are never the same.
func (g *golden) sameVault(t *testing.T, v *vault.Vault) {
	t.Helper()
	id, inc := v.ObjectID("k"), vault.Incarnation{1}
	if v.Fingerprint() != g.vault.Fingerprint() || id != g.vault.ObjectID("k") ||
		v.ContentKey(inc) != g.vault.ContentKey(inc) || v.Names("b").Dir(id) != g.vault.Names("b").Dir(id) {
		t.Error("it is another vault")
	}
}

// checkRoots opens what lies in the backends' roots beside the objects. One
// copy of the vault is opened; the others are of the same shape, and slow.
func (g *golden) checkRoots(t *testing.T) {
	p := g.pool(t)
	for i, b := range g.layout.Backends {
		kinds := map[manifest.RootKind]int{}
		for name, data := range g.files[i] {
			kind, ok := manifest.ParseRootName(name)
			if !ok {
				continue
			}
			kinds[kind]++
			if kind != manifest.RootVault {
				continue
			}
			if !vault.NeedsPassphrase(data) {
				t.Errorf("%s: %s is not locked to a passphrase", b.Name, name)
			}
			if i > 0 {
				continue
			}
			v, card, err := vault.OpenCopy(context.Background(), data, g.words)
			if err != nil || card.String() != g.card.String() {
				t.Fatalf("%s: %s: %v", b.Name, name, err)
			}
			g.sameVault(t, v)
		}
		if want := map[manifest.RootKind]int{manifest.RootMarker: 1, manifest.RootLayout: 1, manifest.RootVault: 1}; !maps.Equal(kinds, want) {
			t.Errorf("%s: in its root lie %v", b.Name, kinds)
		}
	}
	bodies := p.store.Layouts(context.Background())
	for _, body := range bodies {
		if !bytes.Equal(body, g.document) {
			t.Error("a backend's layout document is another one")
		}
	}
	if len(bodies) != len(g.layout.Backends) {
		t.Errorf("%d layout documents are on the backends", len(bodies))
	}
}

// checkManifests opens every copy of every manifest, move and tombstone.
func (g *golden) checkManifests(t *testing.T) {
	kinds := map[manifest.Kind]int{}
	for _, o := range g.objects {
		id := g.vault.ObjectID(o.key())
		for _, s := range g.stored(o.key(), 0) {
			var err error
			kinds[s.name.Kind]++
			switch s.name.Kind {
			case manifest.KindManifest:
				_, err = manifest.Open(g.vault, id, s.name.Incarnation, s.data)
			case manifest.KindMove:
				_, err = manifest.OpenMoves(g.vault, id, s.name.Incarnation, s.data)
			case manifest.KindTombstone:
				err = manifest.OpenTombstone(g.vault, id, s.name.Incarnation, s.data)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", o.File, s.path, err)
			}
		}
		if o.State == "removed" {
			continue
		}
		m := g.newest(t, o.File)
		if len(m.Segments) != o.Segments || m.Data != o.Data || m.Parity != o.Parity || m.Size != int64(len(g.plain[o.File])) {
			t.Errorf("%s: %d+%d, %d segments, %d bytes", o.File, m.Data, m.Parity, len(m.Segments), m.Size)
		}
	}
	for _, kind := range []manifest.Kind{manifest.KindManifest, manifest.KindMove, manifest.KindTombstone, manifest.KindShard} {
		if kinds[kind] < 2 {
			t.Errorf("%d files of the kind %c", kinds[kind], kind)
		}
	}
}

// checkObjects makes sure that a store says of every object what objects.json
// says, and lists the present ones.
func (g *golden) checkObjects(t *testing.T, s *object.Store) {
	t.Helper()
	want := map[string]int64{}
	for _, o := range g.objects {
		g.checkObject(t, s, o)
		if o.State == "present" {
			want[o.key()] = int64(len(g.plain[o.File]))
		}
	}
	got := map[string]int64{}
	err := s.List(context.Background(), nil, func(l object.Listed) {
		got[l.Key] = l.Size
		if l.Trouble != "" {
			t.Errorf("list %q: %s", l.Key, l.Trouble)
		}
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("list: %d objects, want %d (%v): %q", len(got), len(want), err, slices.Sorted(maps.Keys(got)))
	}
}

func (g *golden) checkObject(t *testing.T, s *object.Store, o goldenObject) {
	t.Helper()
	here, err := s.Check(context.Background(), o.key(), nil)
	if err != nil || here != (o.State == "present") {
		t.Errorf("check %s: %v, %v; it is %s", o.File, here, err, o.State)
	}
	got, err := g.get(t, s, o)
	switch {
	case o.State == "removed":
		if !errors.Is(err, object.ErrAbsent) {
			t.Errorf("get %s, which was removed: %v", o.File, err)
		}
	case err != nil:
		t.Errorf("get %s: %v", o.File, err)
	case !bytes.Equal(got, g.plain[o.File]):
		t.Errorf("get %s: %d wrong bytes", o.File, len(got))
	default:
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != o.SHA256 {
			t.Errorf("get %s: SHA-256 %x, not %s", o.File, sum, o.SHA256)
		}
	}
}

func (g *golden) get(t testing.TB, s *object.Store, o goldenObject) ([]byte, error) {
	file := filepath.Join(t.TempDir(), "out")
	if err := s.Get(context.Background(), o.key(), file, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// The list of objects covers what the promise is about.
func TestGoldenObjects(t *testing.T) {
	g := openGolden(t)
	sizes, states := map[int]bool{}, map[string]int{}
	for _, o := range g.objects {
		sizes[len(g.plain[o.File])] = true
		states[o.State]++
		if o.Key == "" && len(o.KeyBase64) == 0 || o.Note == "" {
			text, _ := json.Marshal(o)
			t.Errorf("%s", text)
		}
	}
	if !sizes[0] || !sizes[1] || !sizes[2048] || states["present"] < 10 || states["removed"] < 2 {
		t.Errorf("sizes %v, states %v", sizes, states)
	}
	count := func(file string, kind manifest.Kind) int { return len(g.stored(g.object(t, file).key(), kind)) }
	if list, _ := g.manifests(t, "superseded"); len(list) != 2 || count("superseded", manifest.KindTombstone) > 0 {
		t.Error("the superseded incarnation is not there any more")
	}
	if count("removed-undeleted", manifest.KindManifest) != 2 || count("removed-undeleted", manifest.KindTombstone) != 4 || count("moved", manifest.KindMove) != 2 {
		t.Error("manifests under tombstones, or moves, are missing")
	}
}
