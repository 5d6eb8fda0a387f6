package object_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"shardraid/erasure"
	"shardraid/manifest"
	"shardraid/vault"
)

// No flipped bit and no cut of what is stored gives a wrong byte or a panic.
func TestEveryFlipOfGolden(t *testing.T) {
	g := openGolden(t)
	t.Run("manifest", func(t *testing.T) {
		t.Parallel()
		g.flipManifest(t)
	})
	t.Run("shard", func(t *testing.T) {
		t.Parallel()
		g.flipShard(t)
	})
	t.Run("anywhere", func(t *testing.T) {
		t.Parallel()
		g.flipAnywhere(t)
	})
}

// damaged calls try for each bit that can be flipped and each length that data
// can be cut to.
func damaged(data []byte, first, step int, try func(i int, bad []byte)) {
	bad := bytes.Clone(data)
	for bit := first; bit < 8*len(data); bit += step {
		bad[bit/8] ^= 1 << (bit % 8)
		try(bit, bad)
		bad[bit/8] ^= 1 << (bit % 8)
	}
	for n := first; n < len(data); n += step {
		try(8*len(data)+n, data[:n:n])
	}
}

// flipManifest damages the smallest manifest. A few flips change the OpenPGP
// message and not what it says.
func (g *golden) flipManifest(t *testing.T) {
	var at storedFile
	for _, o := range g.objects {
		for _, s := range g.stored(o.key(), manifest.KindManifest) {
			if at.data == nil || len(s.data) < len(at.data) {
				at = s
			}
		}
	}
	id := must(manifest.ObjectOf(g.vault, at.name, at.data))(t)
	want := must(manifest.Open(g.vault, id, at.name.Incarnation, at.data))(t)
	document := must(g.vault.Marshal())(t)
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for worker := range workers {
		v, _, err := vault.ParseAlone(document) // a vault opens one record at a time
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			damaged(at.data, worker, workers, func(i int, bad []byte) {
				got, err := manifest.Open(v, id, at.name.Incarnation, bad)
				switch {
				case err == nil && (!reflect.DeepEqual(got, want) || len(bad) < len(at.data)):
					t.Errorf("damage %d: another manifest was opened", i)
				case err != nil && !errors.Is(err, vault.ErrRecord) && !errors.Is(err, manifest.ErrInvalid):
					t.Errorf("damage %d: %v", i, err)
				}
			})
		})
	}
	wg.Wait()
}

// flipShard damages a shard of the object of 5 KB; each time it must count as
// lost.
func (g *golden) flipShard(t *testing.T) {
	m := g.newest(t, "one-segment")
	seg := m.Segments[0]
	tagger, err := erasure.NewTagger(&seg.TagKey)
	if err != nil {
		t.Fatal(err)
	}
	good := func(shard int, data []byte) bool {
		return len(data) == erasure.ShardSize(seg.Length, m.Data) && tagger.Check(shard, data, seg.Shards[shard].Tag)
	}
	for _, s := range g.stored(m.Key, manifest.KindShard) {
		shard := int(s.name.Shard)
		if !good(shard, s.data) {
			t.Fatalf("shard %d is damaged", shard)
		}
		if shard != 1 {
			continue
		}
		damaged(s.data, 0, 1, func(i int, bad []byte) {
			if good(shard, bad) {
				t.Errorf("damage %d is not seen", i)
			}
		})
	}
}

// flipAnywhere flips one bit of one stored file at a time, of any kind, and
// reads: with m = 1 every answer is as before.
func (g *golden) flipAnywhere(t *testing.T) {
	type target struct {
		backend int
		name    string
		object  goldenObject
	}
	targets := map[string][]target{} // by kind
	for _, o := range g.objects {
		for _, s := range g.stored(o.key(), 0) {
			kind := string(rune(s.name.Kind))
			targets[kind] = append(targets[kind], target{s.backend, s.path, o})
		}
	}
	for i, files := range g.files {
		for name := range files {
			if !strings.Contains(name, "/") {
				targets["root"] = append(targets["root"], target{i, name, g.objects[len(name)%len(g.objects)]})
			}
		}
	}
	kinds := []string{"m", "s", "s", "t", "v", "root"}
	random := rand.New(rand.NewChaCha8([32]byte{200}))
	for i := range 200 {
		list := targets[kinds[i%len(kinds)]]
		if len(list) == 0 {
			t.Fatalf("no file of the kind %s", kinds[i%len(kinds)])
		}
		at := list[random.IntN(len(list))]
		data := bytes.Clone(g.files[at.backend][at.name])
		bit := random.IntN(8 * len(data))
		data[bit/8] ^= 1 << (bit % 8)
		p := g.pool(t)
		p.memory[at.backend].Set(at.name, data)
		g.checkObject(t, p.store, at.object)
		if t.Failed() {
			t.Fatalf("bit %d of %s on backend %d", bit, at.name, at.backend)
		}
	}
}
