package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// newVault returns a vault; the same seed does not give the same OpenPGP keys.
func newVault(t testing.TB) (*Vault, *Card) {
	t.Helper()
	v, err := Create(time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	card, err := v.Card(Access{Serial: 1, Mode: Local})
	if err != nil {
		t.Fatal(err)
	}
	return v, card
}

func TestMarshalParse(t *testing.T) {
	v, card := newVault(t)
	doc, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	card, err = ParseCard(card.String())
	if err != nil {
		t.Fatal(err)
	}
	w, err := Parse(doc, card)
	if err != nil {
		t.Fatal(err)
	}
	if w.Fingerprint() != v.Fingerprint() || w.ObjectID("k") != v.ObjectID("k") || w.Names("b").Dir(ObjectID{}) != v.Names("b").Dir(ObjectID{}) {
		t.Error("parsed vault differs")
	}
	_, otherCard := newVault(t)
	if _, err := Parse(doc, otherCard); !errors.Is(err, ErrRecord) {
		t.Errorf("another vault's card: %v", err)
	}
	if strings.Contains(card.String(), base64.StdEncoding.EncodeToString(v.master)) || bytes.Contains([]byte(card.String()), v.master) {
		t.Error("the card shows the master secret")
	}
}

func TestRecordRoundTrip(t *testing.T) {
	v, _ := newVault(t)
	for _, size := range []int{0, 1, 5000, 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		a, err := v.SealRecord("kind-v1", body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := v.SealRecord("kind-v1", body)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(a, b) {
			t.Error("two copies of a record are the same bytes")
		}
		if bytes.Contains(a, v.custody.PrimaryKey.Fingerprint[12:]) {
			t.Error("the recipient's key id is not hidden")
		}
		got, err := v.OpenRecord("kind-v1", a)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("size %d: %v", size, err)
		}
	}
}

func TestOpenRecordRefuses(t *testing.T) {
	v, card := newVault(t)
	other, _ := newVault(t)
	body := []byte("body")
	seal := func(v *Vault, kind string) []byte {
		message, err := v.SealRecord(kind, body)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	good := seal(v, "a-v1")
	marker, err := v.SealOwned("a-v1", body)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := v.Sign("a-v1", body)
	if err != nil {
		t.Fatal(err)
	}
	// Signed by us, encrypted to us, but the wrong signer for a record; and
	// encrypted to us by a stranger.
	stranger := &Vault{created: v.created, custody: v.custody, owner: other.custody, rand: v.rand}
	foreign, err := stranger.SealOwned("a-v1", body)
	if err != nil {
		t.Fatal(err)
	}
	var unsigned bytes.Buffer
	w, err := openpgp.Encrypt(&unsigned, nil, []*openpgp.Entity{v.custody}, nil, nil, v.config())
	if err != nil {
		t.Fatal(err)
	}
	if err := writeBody(w, "a-v1", body); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{
		"empty":         nil,
		"garbage":       bytes.Repeat([]byte{0xc1}, 300),
		"other kind":    seal(v, "b-v1"),
		"other vault":   seal(other, "a-v1"),
		"owner signed":  marker,
		"not encrypted": signed,
		"stranger":      foreign,
		"unsigned":      unsigned.Bytes(),
		"doubled":       append(good[:len(good):len(good)], good...),
		"trailing":      append(good[:len(good):len(good)], 0),
		"too large":     make([]byte, MaxRecord+1),
	} {
		if _, err := v.OpenRecord("a-v1", message); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: got %v, want ErrRecord", name, err)
		}
	}
	if _, err := v.OpenOwned("a-v1", marker); err != nil {
		t.Error(err)
	}
	if _, err := v.OpenOwned("a-v1", foreign); !errors.Is(err, ErrRecord) {
		t.Errorf("stranger's marker: %v", err)
	}
	if _, err := card.Verify("a-v1", signed); err != nil {
		t.Error(err)
	}
	if _, err := card.Verify("b-v1", signed); !errors.Is(err, ErrRecord) {
		t.Errorf("signed, other kind: %v", err)
	}
	if _, err := card.Verify("a-v1", unsigned.Bytes()); !errors.Is(err, ErrRecord) {
		t.Errorf("verify unsigned: %v", err)
	}
}

// No flipped bit and no cut gives another body, or a panic.
func TestDamagedRecords(t *testing.T) {
	v, _ := newVault(t)
	good, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(good) * 8 {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		if body, err := v.OpenRecord("a-v1", bad); err == nil && string(body) != "body" {
			t.Fatalf("bit %d: opens to %q", bit, body)
		} else if err != nil && !errors.Is(err, ErrRecord) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range good {
		if _, err := v.OpenRecord("a-v1", good[:n]); !errors.Is(err, ErrRecord) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
}

// A reader whose clock is years away reads all the same: no wall clock takes
// part, since every setting's clock stands still.
func TestNoWallClock(t *testing.T) {
	for _, created := range []int64{1_000_000, 4_000_000_000} {
		v, err := Create(time.Unix(created, 0), nil)
		if err != nil {
			t.Fatal(err)
		}
		card, err := v.Card(Access{Serial: 1, Mode: Local})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := v.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		w, err := Parse(doc, card)
		if err != nil {
			t.Fatal(err)
		}
		message, err := w.SealRecord("a-v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.OpenRecord("a-v1", message); err != nil {
			t.Error(err)
		}
	}
}

func TestNames(t *testing.T) {
	v, _ := newVault(t)
	a, b := v.Names("aaaaaaaaaaaaa"), v.Names("bbbbbbbbbbbbb")
	seen := map[string]bool{}
	for i := range 200 {
		var inc Incarnation
		var id ObjectID
		r := rand.NewChaCha8([32]byte{byte(i)})
		r.Read(inc[:])
		r.Read(id[:])
		for _, n := range []*Names{a, b} {
			name := n.Incarnation(inc)
			got, ok := n.ParseIncarnation(name)
			if !ok || got != inc || len(name) != 26 {
				t.Fatalf("incarnation %v: %s reads back as %v", inc, name, got)
			}
			dir := n.Dir(id)
			if len(dir) != 33 || dir[2] != '/' || strings.Trim(dir, "abcdefghijklmnopqrstuvwxyz234567/") != "" {
				t.Fatalf("dir %q", dir)
			}
			for _, s := range []string{name, dir} {
				if seen[s] {
					t.Fatalf("name %s twice", s)
				}
				seen[s] = true
			}
		}
	}
	if a.Marker("x") == b.Marker("x") {
		t.Error("two backends share a marker name")
	}
	for _, bad := range []string{"", "a", strings.Repeat("a", 25), strings.Repeat("a", 27), strings.Repeat("A", 26), strings.Repeat("a", 25) + "b", strings.Repeat("1", 26)} {
		if _, ok := a.ParseIncarnation(bad); ok {
			t.Errorf("%q parses", bad)
		}
	}
}

// goldenVault is a vault of format 1 with all that hangs on it; it must stay
// readable for ever (docs/format.md, section 15).
type goldenVault struct {
	Card, Document         string
	Key, ObjectID          string
	Incarnation, Nonce     string
	Content, Sealed, Tag   string
	BackendID, Dir         string
	IncarnationName        string
	Marker                 string
	Kind, Body             string
	Record, MarkerDocument string
}

func TestGoldenVault(t *testing.T) {
	const file = "testdata/vault.json"
	if *update {
		writeGoldenVault(t, file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenVault
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	card, err := ParseCard(g.Card)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Parse(unbase(t, g.Document), card)
	if err != nil {
		t.Fatal(err)
	}
	got := describe(t, v, g)
	got.Card, got.Document, got.Record, got.MarkerDocument = g.Card, g.Document, g.Record, g.MarkerDocument
	if got != g {
		t.Errorf("derived keys or names differ from the golden ones:\n got %+v\nwant %+v", got, g)
	}
	if body, err := v.OpenRecord(g.Kind, unbase(t, g.Record)); err != nil || string(body) != g.Body {
		t.Errorf("golden record: %q, %v", body, err)
	}
	if body, err := v.OpenOwned(g.Kind, unbase(t, g.MarkerDocument)); err != nil || string(body) != g.Body {
		t.Errorf("golden marker: %q, %v", body, err)
	}
}

func describe(t *testing.T, v *Vault, g goldenVault) goldenVault {
	inc := Incarnation(unhex(t, g.Incarnation))
	content, sealed, tag := v.ContentKey(inc), v.SealedKey(inc), v.TagKey(inc, [12]byte(unhex(t, g.Nonce)))
	n := v.Names(g.BackendID)
	g.ObjectID = v.ObjectID(g.Key).String()
	g.Content, g.Sealed, g.Tag = hex.EncodeToString(content[:]), hex.EncodeToString(sealed[:]), hex.EncodeToString(tag[:])
	g.Dir, g.IncarnationName, g.Marker = n.Dir(v.ObjectID(g.Key)), n.Incarnation(inc), n.Marker("x")
	return g
}

func writeGoldenVault(t *testing.T, file string) {
	v, card := newVault(t)
	doc, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	g := describe(t, v, goldenVault{
		Key:         "SHA256E-s3--ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.txt",
		Incarnation: "000102030405060708090a0b0c0d0e0f", Nonce: "101112131415161718191a1b",
		BackendID: "abcdefghijklm", Kind: "shardraid-golden-v1", Body: "body",
	})
	g.Card, g.Document = card.String(), base64.StdEncoding.EncodeToString(doc)
	record, err := v.SealRecord(g.Kind, []byte(g.Body))
	if err != nil {
		t.Fatal(err)
	}
	marker, err := v.SealOwned(g.Kind, []byte(g.Body))
	if err != nil {
		t.Fatal(err)
	}
	g.Record, g.MarkerDocument = base64.StdEncoding.EncodeToString(record), base64.StdEncoding.EncodeToString(marker)
	data, err := json.MarshalIndent(g, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func unbase(t *testing.T, s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzOpenRecord(f *testing.F) {
	v, card := newVault(f)
	good, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, message []byte) {
		if body, err := v.OpenRecord("a-v1", message); err == nil && string(body) != "body" {
			t.Errorf("forged: %q", body)
		}
		if _, err := card.Verify("a-v1", message); err == nil {
			t.Error("forged signature")
		}
	})
}
