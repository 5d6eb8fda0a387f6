package vault

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

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

const goldenFile = "testdata/vault.json"

func readGolden(t testing.TB) (*Vault, *Card, goldenVault) {
	t.Helper()
	data, err := os.ReadFile(goldenFile)
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
	return v, card, g
}

func TestGoldenVault(t *testing.T) {
	if *update {
		writeGoldenVault(t, goldenFile)
	}
	v, _, g := readGolden(t)
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

func unbase(t testing.TB, s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
