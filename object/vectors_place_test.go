package object_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"shardraid/manifest"
	"shardraid/object"
)

// Hostile vectors that lie where they would be believed never make a store
// give out a wrong byte, call an object absent, or take a wrong place for the
// right one.
func TestHostileVectorsInPlace(t *testing.T) {
	g := openGolden(t)
	for _, h := range readHostile(t) {
		placed := strings.Contains("manifest record shard marker name", h.What) && h.Kind != "root"
		if placed && len(h.Data) > 0 && h.Name != "manifest-bomb" { // which takes seconds, read so often
			g.tryInPlace(t, h)
		}
	}
}

func (g *golden) tryInPlace(t *testing.T, h hostile) {
	o := g.object(t, "three-segments")
	for _, other := range g.objects {
		if g.vault.ObjectID(other.key()) == h.Object {
			o = other
		}
	}
	p := g.pool(t)
	g.plant(t, p, h, o)
	if h.What != "manifest" { // one backend's fault, or a record that is not believed
		g.checkObject(t, p.store, o)
	}
	switch h.What {
	case "manifest":
		g.mustBeSound(t, p, h, o)
	case "marker": // that backend is silent, and so is another one
		p.faulty[1].Down(errors.New("down"))
		if here, err := p.store.Check(context.Background(), o.key(), nil); here || err == nil {
			t.Errorf("%s: check: %v, %v", h.Name, here, err)
		}
	}
	if t.Failed() {
		t.Fatalf("%s: %s", h.Name, h.Fault)
	}
}

// plant puts a vector where it would be believed, on every backend if it is a
// record.
func (g *golden) plant(t *testing.T, p *pool, h hostile, o goldenObject) {
	id := g.vault.ObjectID(o.key())
	kind := map[string]manifest.Kind{"move": manifest.KindMove, "tombstone": manifest.KindTombstone, "doom": manifest.KindDoom, "": manifest.KindManifest}[h.Kind]
	name := manifest.Name{Incarnation: h.Incarnation, Kind: kind}
	for i, b := range g.layout.Backends {
		switch h.What {
		case "manifest":
			for _, s := range g.stored(o.key(), manifest.KindManifest) {
				if s.backend == i && s.name.Incarnation == h.Incarnation {
					p.memory[i].Delete(s.path)
				}
			}
			p.memory[i].Set(g.path(i, id, name), h.Data)
		case "record":
			p.memory[i].Set(g.path(i, id, name), h.Data)
		case "shard":
			for _, s := range g.stored(o.key(), manifest.KindShard) {
				if s.backend == i && b.ID == h.Backend && s.name.Segment == *h.Segment && s.name.Shard == *h.Shard {
					p.memory[i].Set(s.path, h.Data)
				}
			}
		case "marker":
			if b.ID == h.Backend {
				p.memory[i].Set(manifest.MarkerName(g.vault.Names(b.ID), g.layout.Hash), h.Data)
			}
		case "name":
			if b.ID == h.Backend {
				p.memory[i].Set(g.vault.Names(b.ID).Dir(id)+"/"+string(h.Data), []byte("garbage"))
			}
		}
	}
}

// mustBeSound allows for an object whose manifests are all hostile what is not
// wrong: no answer, or the right one.
func (g *golden) mustBeSound(t *testing.T, p *pool, h hostile, o goldenObject) {
	here, checkErr := p.store.Check(context.Background(), o.key(), nil)
	got, err := g.get(t, p.store, o)
	switch {
	case err == nil && !bytes.Equal(got, g.plain[o.File]):
		t.Errorf("%s: %d wrong bytes", h.Name, len(got))
	case errors.Is(err, object.ErrAbsent) || !here && checkErr == nil:
		t.Errorf("%s: called absent: %v, %v", h.Name, checkErr, err)
	case here && err != nil:
		t.Errorf("%s: called present, yet %v", h.Name, err)
	}
	if h.Expect == "newer" && !errors.Is(err, manifest.ErrNewer) {
		t.Errorf("%s: get: %v", h.Name, err)
	}
}
