package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"shardraid/erasure"
	"shardraid/vault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func newVault(t testing.TB) *vault.Vault {
	t.Helper()
	v, err := vault.Create(time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sample(v *vault.Vault, segments int) *Manifest {
	r := rand.NewChaCha8([32]byte{byte(segments)})
	m := &Manifest{Data: 2, Parity: 1, Key: "WORM-s5-m1--file name", Size: 5, Content: []byte("hello")}
	m.Object = v.ObjectID(m.Key)
	r.Read(m.Incarnation[:])
	m.Supersedes = []vault.Incarnation{{1}, {2}}
	for i := range segments {
		seg := Segment{Length: 4096}
		r.Read(seg.Nonce[:])
		r.Read(seg.TagKey[:])
		for j := range 3 {
			sh := Shard{Backend: strings.Repeat(string(rune('a'+j)), 13), Hash: "md5:00"}
			r.Read(sh.Copy[:])
			r.Read(sh.Tag[:])
			if i == 1 && j == 2 {
				sh.Backend, sh.Copy, sh.Hash = "", CopyID{}, "" // never stored
			}
			seg.Shards = append(seg.Shards, sh)
		}
		m.Segments = append(m.Segments, seg)
	}
	if segments > 0 {
		m.Content = nil
		m.Size = int64(segments-1)*4096 + 1000
		m.Segments[segments-1].Length = erasure.Padded(1000)
	}
	return m
}

func TestManifestRoundTrip(t *testing.T) {
	v := newVault(t)
	for _, segments := range []int{0, 1, 5} {
		m := sample(v, segments)
		m.Key = "WORM-s5-m1--not \xff UTF-8"
		m.Object = v.ObjectID(m.Key)
		a, err := m.Seal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(v, m.Object, m.Incarnation, a)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Segments) == 0 {
			got.Segments = nil
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%d segments: got %+v\nwant %+v", segments, got, m)
		}
		if _, err := Open(v, v.ObjectID("other"), m.Incarnation, a); !errors.Is(err, ErrInvalid) {
			t.Errorf("other object: %v", err)
		}
		if _, err := Open(v, m.Object, vault.Incarnation{9}, a); !errors.Is(err, ErrInvalid) {
			t.Errorf("other incarnation: %v", err)
		}
	}
}

func TestManifestArithmetic(t *testing.T) {
	m := sample(newVault(t), 3)
	if m.Offset(2) != 8192 || m.ContentLength(1) != 4096 || m.ContentLength(2) != 1000 {
		t.Errorf("offset %d, lengths %d and %d", m.Offset(2), m.ContentLength(1), m.ContentLength(2))
	}
	if got := m.Backends(); len(got) != 3 {
		t.Errorf("backends %v", got)
	}
}

// A helper has the custody key and not the master secret: it must not be able
// to pass any change of a manifest off as the owner's.
func TestHelperCannotForge(t *testing.T) {
	v := newVault(t)
	m := sample(v, 2)
	body, err := m.marshal(v.SealedKey(m.Incarnation), rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	forge := func(old, new string) []byte {
		if !bytes.Contains(body, []byte(old)) {
			t.Fatalf("%q is not there to be changed", old)
		}
		message, err := v.SealRecord(manifestKind, bytes.Replace(body, []byte(old), []byte(new), 1))
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	if _, err := Open(v, m.Object, m.Incarnation, forge("data", "data")); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"length":4096`, `"length":4097`}, {"aaaaaaaaaaaaa", "ddddddddddddd"}, {"md5:00", "md5:01"}, {`"data":2`, `"data":1`},
	} {
		if _, err := Open(v, m.Object, m.Incarnation, forge(change[0], change[1])); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s -> %s: %v", change[0], change[1], err)
		}
	}
	// The sealed part of one incarnation under the open part of another.
	n := sample(v, 2)
	n.Incarnation = vault.Incarnation{7}
	other, err := n.marshal(v.SealedKey(m.Incarnation), rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unmarshal(other, v.SealedKey(n.Incarnation)); !errors.Is(err, ErrInvalid) {
		t.Errorf("sealed under another incarnation's key: %v", err)
	}
}

// What fills the sealed part up is zeros, no more of them than the padding
// asks for: nothing can be hidden there.
func TestFillerIsZeros(t *testing.T) {
	v := newVault(t)
	m := sample(v, 0)
	key := v.SealedKey(m.Incarnation)
	body, err := m.marshal(key, rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	open, sealed, _ := bytes.Cut(body, []byte("\n"))
	hash, nonce := sha256.Sum256(open), sealed[:12]
	aead, err := newGCM(key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, nonce, sealed[12:], hash[:])
	if err != nil {
		t.Fatal(err)
	}
	with := func(plain []byte) error {
		_, err := unmarshal(aead.Seal(append(append(bytes.Clone(open), '\n'), nonce...), nonce, plain, hash[:]), key)
		return err
	}
	if err := with(plain); err != nil {
		t.Fatal(err)
	}
	hidden := bytes.Clone(plain)
	hidden[len(hidden)-1] = 1
	for name, plain := range map[string][]byte{"a hidden byte": hidden, "more of it": append(bytes.Clone(plain), make([]byte, 1024)...), "less": plain[:len(plain)-1]} {
		if err := with(plain); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	v := newVault(t)
	for name, spoil := range map[string]func(*Manifest){
		"half a place":        func(m *Manifest) { m.Segments[0].Shards[0].Copy = CopyID{} },
		"the other half":      func(m *Manifest) { m.Segments[0].Shards[0].Backend = "" },
		"no parity":           func(m *Manifest) { m.Parity = 0 },
		"too many shards":     func(m *Manifest) { m.Data, m.Parity = 200, 56 },
		"size below":          func(m *Manifest) { m.Size = 4096 },
		"size beyond":         func(m *Manifest) { m.Size = 3 * 4096 },
		"negative size":       func(m *Manifest) { m.Size = -1 },
		"huge segment":        func(m *Manifest) { m.Segments[0].Length = erasure.MaxSegment + 1 },
		"zero segment":        func(m *Manifest) { m.Segments[0].Length = 0 },
		"unpadded":            func(m *Manifest) { m.Segments[1].Length = 1000 },
		"missing shard entry": func(m *Manifest) { m.Segments[0].Shards = m.Segments[0].Shards[:2] },
		"repeated backend":    func(m *Manifest) { m.Segments[0].Shards[0].Backend = m.Segments[0].Shards[1].Backend },
		"bad backend":         func(m *Manifest) { m.Segments[0].Shards[0].Backend = "../../../etc/" },
		"too few stored":      func(m *Manifest) { sh := &m.Segments[1].Shards[0]; sh.Backend, sh.Copy = "", CopyID{} },
		"content too":         func(m *Manifest) { m.Content = []byte("x") },
		"no key":              func(m *Manifest) { m.Key = "" },
		"supersedes itself":   func(m *Manifest) { m.Supersedes = append(m.Supersedes, m.Incarnation) },
		"no segments":         func(m *Manifest) { m.Segments = nil },
	} {
		m := sample(v, 2)
		spoil(m)
		if _, err := m.Seal(v); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: sealed, %v", name, err)
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	v := newVault(t)
	m := sample(v, 2)
	key := v.SealedKey(m.Incarnation)
	body, err := m.marshal(key, rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(body, []byte(`"features":[]`), []byte(`"features":["x"]`), 1)
	if _, err := unmarshal(newer, key); !errors.Is(err, ErrNewer) {
		t.Errorf("unknown feature: %v", err)
	}
	unknown := bytes.Replace(body, []byte(`"features":[]`), []byte(`"features":[],"x":1`), 1)
	if _, err := unmarshal(unknown, key); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown field: %v", err)
	}
	for n := range body {
		if _, err := unmarshal(body[:n], key); !errors.Is(err, ErrInvalid) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := unmarshal(make([]byte, MaxBody+1), key); !errors.Is(err, ErrInvalid) {
		t.Errorf("too large: %v", err)
	}
}

func TestRecords(t *testing.T) {
	v := newVault(t)
	id, inc := v.ObjectID("k"), vault.Incarnation{3}
	move := Move{Object: id, Incarnation: inc, Segment: 70000, Shard: 5, Backend: strings.Repeat("a", 13), Copy: CopyID{1}, Hash: "md5:ff"}
	also := move
	also.Segment, also.Hash = 7, ""
	message, err := SealMoves(v, []Move{move, also})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenMoves(v, id, inc, message); err != nil || !slices.Equal(got, []Move{move, also}) {
		t.Errorf("move: %+v, %v", got, err)
	}
	if _, err := OpenMoves(v, id, vault.Incarnation{4}, message); !errors.Is(err, ErrInvalid) {
		t.Errorf("move of another incarnation: %v", err)
	}
	if OpenTombstone(v, id, inc, message) == nil {
		t.Error("a move passes as a tombstone")
	}
	tomb, err := SealTombstone(v, id, inc)
	if err != nil {
		t.Fatal(err)
	}
	doom, err := SealDoom(v, id, inc)
	if err != nil {
		t.Fatal(err)
	}
	if err := OpenTombstone(v, id, inc, tomb); err != nil {
		t.Error(err)
	}
	if err := OpenDoom(v, id, inc, doom); err != nil {
		t.Error(err)
	}
	if OpenTombstone(v, id, inc, doom) == nil || OpenDoom(v, id, inc, tomb) == nil {
		t.Error("tombstone and doom marker pass for each other")
	}
	if OpenTombstone(v, v.ObjectID("l"), inc, tomb) == nil || OpenTombstone(v, id, vault.Incarnation{4}, tomb) == nil {
		t.Error("a tombstone passes for another object or incarnation")
	}
	mark, err := SealMarker(v, move.Backend, "hash")
	if err != nil {
		t.Fatal(err)
	}
	if hash, err := OpenMarker(v, move.Backend, mark); err != nil || hash != "hash" {
		t.Error(err)
	}
	_, errOther := OpenMarker(v, strings.Repeat("b", 13), mark)
	_, errForeign := OpenMarker(newVault(t), move.Backend, mark)
	if errOther == nil || errForeign == nil {
		t.Error("a marker passes for another backend or vault")
	}
}

func TestNames(t *testing.T) {
	v := newVault(t)
	names := v.Names("aaaaaaaaaaaaa")
	inc := vault.Incarnation{1, 2, 3}
	for _, n := range []Name{
		{Incarnation: inc, Kind: KindManifest, Copy: CopyID{1}},
		{Incarnation: inc, Kind: KindMove, Copy: CopyID{2}},
		{Incarnation: inc, Kind: KindTombstone, Copy: CopyID{3}},
		{Incarnation: inc, Kind: KindDoom, Copy: CopyID{4}},
		{Incarnation: inc, Kind: KindShard, Segment: 1<<32 - 1, Shard: 254, Copy: CopyID{255}},
	} {
		text := n.Format(names)
		if got, ok := ParseName(names, text); !ok || got != n {
			t.Errorf("%s reads back as %+v, %v", text, got, ok)
		}
		if full := names.Dir(vault.ObjectID{}) + "/" + text; len(full) >= 100 || strings.Count(full, "/") > 2 || strings.Trim(full, "abcdefghijklmnopqrstuvwxyz234567./") != "" {
			t.Errorf("name %s", full)
		}
		for i := range text {
			if _, ok := ParseName(names, text[:i]); ok {
				t.Errorf("%s is a name", text[:i])
			}
		}
		if _, ok := ParseName(names, strings.ToUpper(text)); ok {
			t.Errorf("%s is a name", strings.ToUpper(text))
		}
	}
	isRoot := func(text string) bool { _, ok := ParseRootName(text); return ok }
	if !isRoot(MarkerName(names, "h")) || MarkerName(names, "h") == MarkerName(names, "i") || !isRoot(NewRootName(RootVault)) || isRoot("x.marker") || isRoot("marker") {
		t.Error("marker name")
	}
}

// golden is one object's records of format 1; they must stay readable for
// ever (docs/format.md, section 15).
type golden struct {
	Card, Vault      string
	Object           vault.ObjectID
	Incarnation      vault.Incarnation
	BackendID        string
	Name             string
	Manifest, Inline string
	Move, Moves      string
	Tombstone, Doom  string
	Marker           string
	Body             string // the manifest's, with a fixed nonce
	Want, WantInline *Manifest
}

func TestGoldenRecords(t *testing.T) {
	const file = "testdata/records.json"
	if *update {
		writeGolden(t, file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	card, err := vault.ParseCard(g.Card)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Parse(unbase(t, g.Vault), card)
	if err != nil {
		t.Fatal(err)
	}
	for message, want := range map[string]*Manifest{g.Manifest: g.Want, g.Inline: g.WantInline} {
		got, err := Open(v, want.Object, want.Incarnation, unbase(t, message))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := toJSON(t, got), toJSON(t, want); a != b {
			t.Errorf("golden manifest reads as\n%s\nwant\n%s", a, b)
		}
	}
	body, err := g.Want.marshal(v.SealedKey(g.Want.Incarnation), rand.NewChaCha8([32]byte{}))
	if err != nil || base64.StdEncoding.EncodeToString(body) != g.Body {
		t.Errorf("manifest's body differs from the golden one (%v)", err)
	}
	name, ok := ParseName(v.Names(g.BackendID), g.Name)
	if !ok || name.Incarnation != g.Incarnation || name.Segment != 258 || name.Shard != 3 || name.Copy != (CopyID{4}) {
		t.Errorf("golden name %s reads as %+v", g.Name, name)
	}
	for n, message := range []string{g.Move, g.Moves} {
		moves, err := OpenMoves(v, g.Object, g.Incarnation, unbase(t, message))
		if err != nil || !slices.Equal(moves, goldenMoves(&g)[:n+1]) {
			t.Errorf("golden moves read as %+v, %v", moves, err)
		}
	}
	if err := OpenTombstone(v, g.Object, g.Incarnation, unbase(t, g.Tombstone)); err != nil {
		t.Error(err)
	}
	if err := OpenDoom(v, g.Object, g.Incarnation, unbase(t, g.Doom)); err != nil {
		t.Error(err)
	}
	if _, err := OpenMarker(v, g.BackendID, unbase(t, g.Marker)); err != nil {
		t.Error(err)
	}
}

func goldenMoves(g *golden) []Move {
	return []Move{
		{Object: g.Object, Incarnation: g.Incarnation, Backend: g.BackendID},
		{Object: g.Object, Incarnation: g.Incarnation, Segment: 258, Shard: 3, Backend: g.BackendID, Copy: CopyID{4}, Hash: "md5:ff"},
	}
}

func writeGolden(t *testing.T, file string) {
	v := newVault(t)
	card, err := v.Card(vault.Access{Serial: 1, Mode: vault.Local})
	if err != nil {
		t.Fatal(err)
	}
	b64 := func(data []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(data)
	}
	g := golden{Card: card.String(), Vault: b64(v.Marshal()), BackendID: "abcdefghijklm", Incarnation: vault.Incarnation{5}}
	g.Want, g.WantInline = sample(v, 2), sample(v, 0)
	g.Object = g.Want.Object
	g.Manifest, g.Inline = b64(g.Want.Seal(v)), b64(g.WantInline.Seal(v))
	g.Body = b64(g.Want.marshal(v.SealedKey(g.Want.Incarnation), rand.NewChaCha8([32]byte{})))
	g.Name = Name{g.Incarnation, KindShard, 258, 3, CopyID{4}}.Format(v.Names(g.BackendID))
	g.Move, g.Moves = b64(SealMoves(v, goldenMoves(&g)[:1])), b64(SealMoves(v, goldenMoves(&g)))
	g.Tombstone, g.Doom = b64(SealTombstone(v, g.Object, g.Incarnation)), b64(SealDoom(v, g.Object, g.Incarnation))
	g.Marker = b64(SealMarker(v, g.BackendID, ""))
	if err := os.WriteFile(file, []byte(toJSON(t, g)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func toJSON(t *testing.T, value any) string {
	if m, ok := value.(*Manifest); ok && len(m.Segments) == 0 {
		m.Segments = nil
	}
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func unbase(t *testing.T, s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
