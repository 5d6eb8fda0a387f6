package vault

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

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
	if _, err := v.OpenOwned("a-v1", good); !errors.Is(err, ErrRecord) {
		t.Errorf("a marker signed by the custody key: %v", err)
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
