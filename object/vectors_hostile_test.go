package object_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shardraid/erasure"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// hostile is one thing that looks like ours and has one fault.
type hostile struct {
	Name string `json:"name"`
	// What it looks like, which says who reads it: manifest, record, marker,
	// layout, card, recovery, copy, name or shard.
	What string `json:"what"`
	// Kind is more of that: move, tombstone or doom; layout or vault; object or root.
	Kind  string `json:"kind,omitempty"`
	Fault string `json:"fault"`
	// Expect is refused, newer, lost or ignored.
	Expect string `json:"expect"`
	// Layer is where a record is refused: openpgp or body.
	Layer string `json:"layer,omitempty"`

	// Where it is found.
	Object      vault.ObjectID    `json:"object,omitzero"`
	Incarnation vault.Incarnation `json:"incarnation,omitzero"`
	Backend     string            `json:"backend,omitempty"` // id
	Segment     *uint32           `json:"segment,omitempty"`
	Shard       *uint8            `json:"shard,omitempty"`

	Data []byte `json:"data"`
}

const hostileFile = "hostile.json"

func readHostile(t testing.TB) (list []hostile) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectorsDir, hostileFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := strictJSON(data, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func writeHostile(t testing.TB, list []hostile) {
	var lines []string
	for _, h := range list {
		lines = append(lines, string(must(json.Marshal(h))(t)))
	}
	writeFile(t, vectorsDir, hostileFile, []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"))
}

// Every hostile vector gets the verdict that it was written with, and so does
// a fresh forgery with the same fault.
func TestHostileVectors(t *testing.T) {
	g := openGolden(t)
	kept, fresh := readHostile(t), forgeAll(t, g)
	seen := map[string]bool{}
	for _, h := range kept {
		if seen[h.Name] || h.Fault == "" {
			t.Errorf("%s: there twice, or without a fault", h.Name)
		}
		seen[h.Name] = true
	}
	if len(kept) < 60 {
		t.Errorf("%d hostile vectors are too few", len(kept))
	}
	for _, h := range fresh {
		if !seen[h.Name] {
			t.Errorf("%s is not in %s: run make golden, which adds it", h.Name, hostileFile)
		}
	}
	for _, h := range append(kept, fresh...) {
		verdict, layer, err := g.read(h)
		if verdict != h.Expect || layer != h.Layer {
			t.Errorf("%s %s: %s: %s %s (%v), want %s %s", h.What, h.Name, h.Fault, verdict, layer, err, h.Expect, h.Layer)
		}
	}
}

// What the forgeries were made from is accepted, so the fault is the only one.
func TestHostileOriginals(t *testing.T) {
	g := openGolden(t)
	what := map[string]int{}
	for _, h := range newForge(t, g).originals {
		what[h.What+" "+h.Kind]++
		if verdict, _, err := g.read(h); verdict != "accepted" {
			t.Errorf("%s %s %s: %s, %v", h.What, h.Kind, h.Name, verdict, err)
		}
	}
	for _, h := range readHostile(t) {
		if what[h.What+" "+h.Kind] == 0 {
			t.Errorf("%s: there is no good %s %s", h.Name, h.What, h.Kind)
		}
	}
}

// read is the reader that a vector is meant for.
func (g *golden) read(h hostile) (verdict, layer string, err error) {
	switch h.What {
	case "manifest":
		_, err = manifest.Open(g.vault, h.Object, h.Incarnation, h.Data)
	case "record":
		err = g.readRecord(h)
	case "marker":
		var hash string
		hash, err = manifest.OpenMarker(g.vault, h.Backend, h.Data)
		if err == nil && hash != g.layout.Hash { // the store's own rule
			err = manifest.ErrInvalid
		}
	case "name":
		return g.readName(h), "", nil
	case "shard":
		return g.readShard(h), "", nil
	default:
		if err = g.readDocument(h); err != nil {
			return "refused", "", err
		}
	}
	switch {
	case err == nil:
		return "accepted", "", nil
	case errors.Is(err, manifest.ErrNewer):
		return "newer", "", err
	case errors.Is(err, vault.ErrRecord):
		return "refused", "openpgp", err
	case errors.Is(err, manifest.ErrInvalid):
		return "refused", "body", err
	}
	return "an error that says nothing", "", err
}

func (g *golden) readRecord(h hostile) error {
	switch h.Kind {
	case "move":
		_, err := manifest.OpenMoves(g.vault, h.Object, h.Incarnation, h.Data)
		return err
	case "tombstone":
		return manifest.OpenTombstone(g.vault, h.Object, h.Incarnation, h.Data)
	case "doom":
		return manifest.OpenDoom(g.vault, h.Object, h.Incarnation, h.Data)
	}
	return fmt.Errorf("no such kind %q", h.Kind)
}

// readDocument reads what has no error of its own: whatever it is, it stops.
func (g *golden) readDocument(h hostile) (err error) {
	var body []byte
	switch h.What + " " + h.Kind {
	case "layout ":
		if body, err = manifest.VerifyLayout(g.card, h.Data); err != nil {
			return err
		}
		_, _, err = layout.ParseDocument(body)
		return err
	case "copy layout":
		if body, err = manifest.OpenLayout(g.vault, h.Data); err != nil {
			return err
		}
		_, _, err = layout.ParseDocument(body)
		return err
	case "card ":
		card, err := vault.ParseCard(string(h.Data))
		if err == nil && card.Mode == vault.Passphrase {
			_, err = vault.UnwrapPassphrase(card, g.words)
		}
		return err
	case "copy vault":
		_, _, err = vault.OpenCopy(context.Background(), h.Data, g.words)
		return err
	case "recovery ":
		_, _, err = vault.Import(h.Data, g.words)
		return err
	}
	return fmt.Errorf("no such vector: %s %s", h.What, h.Kind)
}

func (g *golden) readName(h hostile) string {
	ok := false
	if h.Kind == "root" {
		_, ok = manifest.ParseRootName(string(h.Data))
	} else {
		_, ok = manifest.ParseName(g.vault.Names(h.Backend), string(h.Data))
	}
	if ok {
		return "accepted"
	}
	return "ignored"
}

// readShard does what docs/format.md, section 7, says.
func (g *golden) readShard(h hostile) string {
	for _, o := range g.objects {
		id := g.vault.ObjectID(o.key())
		for _, s := range g.stored(o.key(), manifest.KindManifest) {
			if id != h.Object || s.name.Incarnation != h.Incarnation {
				continue
			}
			m, err := manifest.Open(g.vault, id, h.Incarnation, s.data)
			if err != nil {
				return err.Error()
			}
			seg := m.Segments[*h.Segment]
			tagger, err := erasure.NewTagger(&seg.TagKey)
			if err != nil {
				return err.Error()
			}
			if len(h.Data) == erasure.ShardSize(seg.Length, m.Data) && tagger.Check(int(*h.Shard), h.Data, seg.Shards[*h.Shard].Tag) {
				return "accepted"
			}
			return "lost"
		}
	}
	return "of no manifest"
}
