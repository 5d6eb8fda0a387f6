package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

func TestParseAlone(t *testing.T) {
	v, _ := newVault(t)
	got, card, err := ParseAlone(marshal(t, v))
	if err != nil {
		t.Fatal(err)
	}
	checkSameVault(t, got, v)
	if card.Fingerprint() != v.Fingerprint() || card.Mode != Local || card.Serial != 1 || card.Creator.Key != "" {
		t.Errorf("made the card %+v", card.Access)
	}
	again, err := ParseCard(card.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(marshal(t, v), again); err != nil {
		t.Error(err)
	}
	if e := open(t, card.String()); containsAny(append(e.Owner, e.Card...), secrets(t, v)) {
		t.Error("the card shows a secret")
	}
	checkOwner(t, v, card)
}

// A document proves itself: signed by the owner key that is in it.
func TestParseAloneRefuses(t *testing.T) {
	v, card := newVault(t)
	stranger, _ := newVault(t)
	good := marshal(t, v)
	body, err := card.Verify(documentKind, good)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(signer *Vault, kind string, body []byte) []byte {
		message, err := signer.Sign(kind, body)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	if _, _, err := ParseAlone(sign(v, documentKind, body)); err != nil {
		t.Fatal(err) // or the cases below prove nothing
	}
	encrypted, err := v.SealOwned(documentKind, body)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Replace(good, []byte(`"master":"`), []byte(`"names" :"`), 1)
	for name, message := range map[string][]byte{
		"empty":                nil,
		"text":                 []byte("vault"),
		"signed by a stranger": sign(stranger, documentKind, body),
		"other kind":           sign(v, cardKind, body),
		"no kind":              sign(v, "", body),
		"encrypted":            encrypted,
		"changed":              flipped,
		"cut":                  good[:len(good)-1],
		"doubled":              append(bytes.Clone(good), good...),
		"too large":            append(bytes.Clone(good), make([]byte, MaxRecord)...),
		"no JSON":              sign(v, documentKind, nil),
	} {
		if got, gotCard, err := ParseAlone(message); err == nil || got != nil || gotCard != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := ParseAlone(sign(stranger, documentKind, body)); !errors.Is(err, ErrRecord) {
		t.Errorf("signed by a stranger: %v", err)
	}
}

// What the owner has signed must still be a vault.
func TestDocumentFields(t *testing.T) {
	v, card := newVault(t)
	stranger, _ := newVault(t)
	body, err := card.Verify(documentKind, marshal(t, v))
	if err != nil {
		t.Fatal(err)
	}
	public, err := publicKey(v.owner)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*document){
		"good":           func(*document) {},
		"short master":   func(d *document) { d.Master = d.Master[:31] },
		"no master":      func(d *document) { d.Master = nil },
		"long names":     func(d *document) { d.Names = append(d.Names, 0) },
		"no custody":     func(d *document) { d.Custody = nil },
		"public custody": func(d *document) { d.Custody = public },
		"public owner":   func(d *document) { d.Owner = public },
		"other owner":    func(d *document) { d.Owner = privateKey(t, stranger) },
	} {
		var d document
		if err := json.Unmarshal(body, &d); err != nil {
			t.Fatal(err)
		}
		change(&d)
		changed, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := v.Sign(documentKind, changed)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(signed, card)
		_, _, alone := ParseAlone(signed)
		if (err == nil) != (name == "good") || (alone == nil) != (name == "good") {
			t.Errorf("%s: with its card %v, alone %v", name, err, alone)
		}
	}
}

func privateKey(t *testing.T, v *Vault) []byte {
	t.Helper()
	var key bytes.Buffer
	if err := v.owner.SerializePrivateWithoutSigning(&key, v.config()); err != nil {
		t.Fatal(err)
	}
	return key.Bytes()
}
