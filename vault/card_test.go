package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
)

var (
	keyA = strings.Repeat("A", 40)
	keyB = strings.Repeat("B", 40)
)

func fullAccess() Access {
	return Access{Serial: 12, Mode: Recipients, Recipients: []string{keyA, keyB}, Wrapped: []byte("wrapped vault"),
		Creator: Creator{Key: keyA, Signature: []byte("signature")}}
}

func seal(t testing.TB, e envelope) string {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

func open(t testing.TB, text string) (e envelope) {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCardRoundTrip(t *testing.T) {
	v, _ := newVault(t)
	for _, a := range []Access{
		fullAccess(),
		{Serial: 1, Mode: Local},
		{Serial: 1 << 30, Mode: Passphrase, Wrapped: []byte{0}},
		{Serial: 2, Mode: Recipients, Recipients: []string{strings.Repeat("0", 64)}, Wrapped: []byte("x")},
	} {
		card := newCardOf(t, v, a)
		text := card.String()
		got, err := ParseCard(text)
		if err != nil {
			t.Errorf("%s: %v", a.Mode, err)
			continue
		}
		if !reflect.DeepEqual(got.Access, a) || got.Fingerprint() != v.Fingerprint() || got.String() != text || strings.ContainsAny(text, "\n ") {
			t.Errorf("%+v reads back as %+v", a, got.Access)
		}
		checkOwner(t, v, got)
	}
}

// checkOwner makes sure that the card knows its vault's signatures.
func checkOwner(t *testing.T, v *Vault, card *Card) {
	t.Helper()
	signed, err := v.Sign("a-v1", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := card.Verify("a-v1", signed); err != nil || string(body) != "body" {
		t.Errorf("signed by the vault: %q, %v", body, err)
	}
}

func TestCardFieldsGoTogether(t *testing.T) {
	v, _ := newVault(t)
	for name, change := range map[string]func(*Access){
		"serial 0":                  func(a *Access) { a.Serial = 0 },
		"serial -1":                 func(a *Access) { a.Serial = -1 },
		"no mode":                   func(a *Access) { a.Mode = "" },
		"unknown mode":              func(a *Access) { a.Mode = "yubikey" },
		"local with recipients":     func(a *Access) { a.Mode, a.Wrapped = Local, nil },
		"local with wrapped":        func(a *Access) { a.Mode, a.Recipients = Local, nil },
		"passphrase and recipients": func(a *Access) { a.Mode = Passphrase },
		"passphrase, not wrapped":   func(a *Access) { a.Mode, a.Recipients, a.Wrapped = Passphrase, nil, nil },
		"no recipients":             func(a *Access) { a.Recipients = nil },
		"not wrapped":               func(a *Access) { a.Wrapped = nil },
		"short recipient":           func(a *Access) { a.Recipients[1] = keyA[:16] },
		"recipient by name":         func(a *Access) { a.Recipients[0] = "me@example.com" },
		"small recipient":           func(a *Access) { a.Recipients[0] = strings.ToLower(keyA) },
		"option as recipient":       func(a *Access) { a.Recipients[0] = "--output=" + keyA },
		"short creator":             func(a *Access) { a.Creator.Key = keyA[:39] },
		"option as creator":         func(a *Access) { a.Creator.Key = "-" + keyA[1:] },
		"line behind creator":       func(a *Access) { a.Creator.Key = keyA + "\n" },
	} {
		a := fullAccess()
		change(&a)
		if card, err := v.Card(a); err == nil || card != nil {
			t.Errorf("%s: written", name)
		}
		// The same from a vault that writes it all the same.
		body, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCard(seal(t, signedBody(t, v, body))); err == nil || !strings.HasPrefix(err.Error(), "read vault card: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func signedBody(t *testing.T, v *Vault, body []byte) envelope {
	t.Helper()
	signed, err := v.Sign(cardKind, body)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := publicKey(v.owner)
	if err != nil {
		t.Fatal(err)
	}
	return envelope{owner, signed}
}

// The JSON of a card lies in the clear, so whoever can push can change it:
// nothing of it counts unless the owner key has signed it.
func TestTamperedCards(t *testing.T) {
	v, _ := newVault(t)
	e := open(t, newCardOf(t, v, fullAccess()).String())
	for field, swap := range map[string][2]string{
		"serial":     {`"serial":12`, `"serial":13`},
		"mode":       {`"mode":"recipients"`, `"mode":"passphrase"`},
		"recipients": {`["` + keyA, `["` + keyB},
		"wrapped":    {base64.StdEncoding.EncodeToString([]byte("wrapped vault")), base64.StdEncoding.EncodeToString([]byte("Wrapped vault"))},
		"creator":    {`"key":"` + keyA, `"key":"` + keyB},
		"signature":  {base64.StdEncoding.EncodeToString([]byte("signature")), base64.StdEncoding.EncodeToString([]byte("Signature"))},
		"kind":       {"-card-v1\n", "-card-v2\n"},
	} {
		if bytes.Count(e.Card, []byte(swap[0])) != 1 || len(swap[0]) != len(swap[1]) {
			t.Fatalf("%s: cannot be swapped in %q", field, e.Card)
		}
		bad := envelope{e.Owner, bytes.Replace(e.Card, []byte(swap[0]), []byte(swap[1]), 1)}
		if _, err := ParseCard(seal(t, bad)); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for i := range e.Card {
		bad := envelope{e.Owner, bytes.Clone(e.Card)}
		bad.Card[i] ^= 4
		if card, err := ParseCard(seal(t, bad)); err == nil && !reflect.DeepEqual(card.Access, fullAccess()) {
			t.Fatalf("byte %d: reads as %+v", i, card.Access)
		}
	}
}

// A card is that of the vault whose key signed it, and opens no other.
func TestCardsOwner(t *testing.T) {
	v, card := newVault(t)
	other, otherCard := newVault(t)
	mine, his := open(t, card.String()), open(t, otherCard.String())
	for name, e := range map[string]envelope{
		"his key, my card":    {his.Owner, mine.Card},
		"both keys, my card":  {append(bytes.Clone(his.Owner), mine.Owner...), mine.Card},
		"no key":              {nil, mine.Card},
		"no card":             {mine.Owner, nil},
		"garbage as key":      {[]byte("key"), mine.Card},
		"card twice":          {mine.Owner, append(bytes.Clone(mine.Card), mine.Card...)},
		"a document as card":  {mine.Owner, marshal(t, v)},
		"the wrong way round": {mine.Card, mine.Owner},
	} {
		if got, err := ParseCard(seal(t, e)); err == nil || got != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// Both swapped is a good card, of another vault.
	got, err := ParseCard(seal(t, his))
	if err != nil || got.Fingerprint() != other.Fingerprint() {
		t.Fatalf("his card: %v", err)
	}
	if _, err := Parse(marshal(t, v), got); !errors.Is(err, ErrRecord) {
		t.Errorf("his card opens my vault: %v", err)
	}
}

func TestParseCardRefuses(t *testing.T) {
	v, card := newVault(t)
	e := open(t, card.String())
	plain, err := base64.StdEncoding.DecodeString(card.String())
	if err != nil {
		t.Fatal(err)
	}
	var private bytes.Buffer
	if err := v.owner.SerializePrivateWithoutSigning(&private, v.config()); err != nil {
		t.Fatal(err)
	}
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	swap := func(old, new string) string { return encode(strings.Replace(string(plain), old, new, 1)) }
	for name, test := range map[string]struct{ text, want string }{
		"empty":               {"", "EOF"},
		"no base64":           {"{}", "base64"},
		"no JSON":             {encode("card"), "invalid"},
		"a list":              {encode("[]"), "array"},
		"null":                {encode("null"), "owner key"},
		"cut":                 {encode(string(plain[:len(plain)-2])), "EOF"},
		"data behind":         {encode(string(plain) + " {}"), "data after its end"},
		"unknown field":       {swap(`{"owner"`, `{"colour":"blue","owner"`), "unknown field"},
		"unknown field in it": {seal(t, signedBody(t, v, []byte(`{"serial":1,"mode":"local","colour":"blue"}`))), "unknown field"},
		"unknown in creator":  {seal(t, signedBody(t, v, []byte(`{"serial":1,"mode":"local","creator":{"key":"","name":""}}`))), "unknown field"},
		"data behind it":      {seal(t, signedBody(t, v, []byte(`{"serial":1,"mode":"local"}{}`))), "data after its end"},
		"private key":         {seal(t, envelope{private.Bytes(), e.Card}), "private key"},
		"over-large":          {card.String() + strings.Repeat("\n", maxCard), "too large"},
	} {
		if got, err := ParseCard(test.text); err == nil || got != nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 500 {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	// As large as allowed, by the line feeds that base64 lets pass.
	if _, err := ParseCard(card.String() + strings.Repeat("\n", maxCard-len(card.String()))); err != nil {
		t.Error(err)
	}
}

func TestCardIsSafeForConcurrentUse(t *testing.T) {
	v, card := newVault(t)
	text := card.String()
	signed := marshal(t, v)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if _, err := card.Verify(documentKind, signed); err != nil {
					t.Error(err)
				}
				if _, err := Parse(signed, card); err != nil {
					t.Error(err)
				}
				if card.String() != text || card.Fingerprint() != v.Fingerprint() {
					t.Error("a card changes")
				}
			}
		})
	}
	wg.Wait()
}
