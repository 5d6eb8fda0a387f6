package object_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"shardraid/layout"
	"shardraid/vault"
)

// layouts are faults of the signed layout document.
func (f *forge) layouts() {
	doc, _, err := layout.ParseDocument(f.g.document)
	if err != nil {
		f.t.Fatal(err)
	}
	like := hostile{What: "layout", Expect: "refused", Data: f.signed(layoutKind, f.g.document, f.owner)}
	f.original(like)
	add := func(name, fault string, data []byte) {
		h := like
		h.Name, h.Fault, h.Data = name, fault, data
		f.add(h)
	}
	edited := func(name, fault string, edit func(*layout.Document)) {
		d := *doc
		d.IDs = maps.Clone(doc.IDs)
		edit(&d)
		add(name, fault, f.signed(layoutKind, must(json.Marshal(d))(f.t), f.owner))
	}
	yaml := func(name, fault, old, new string) {
		edited(name, fault, func(d *layout.Document) { d.YAML = swap(f.t, old, new)(d.YAML) })
	}
	text := func(name, fault, old, new string) {
		add(name, fault, f.signed(layoutKind, []byte(swap(f.t, old, new)(string(f.g.document))), f.owner))
	}
	edited("epoch-zero", "the epoch is 0", func(d *layout.Document) { d.Epoch = 0 })
	edited("no-previous", "the epoch is 2 and no predecessor is named", func(d *layout.Document) { d.Previous = nil })
	edited("first-with-previous", "the epoch is 1 and a predecessor is named", func(d *layout.Document) { d.Epoch = 1 })
	edited("previous-twice", "a predecessor is named twice", func(d *layout.Document) { d.Previous = []string{d.Previous[0], d.Previous[0]} })
	edited("previous-many", "513 predecessors are named", func(d *layout.Document) { d.Previous = strings.Split(strings.Repeat("x", 513), "") })
	edited("id-twice", "two backends have the same id", func(d *layout.Document) { d.IDs["a"] = d.IDs["b"] })
	edited("id-missing", "a backend has no id", func(d *layout.Document) { delete(d.IDs, "a") })
	edited("id-extra", "a backend that the YAML does not have has an id", func(d *layout.Document) { d.IDs["e"] = "aaaaaaaaaaaaa" })
	edited("id-short", "a backend id has 12 characters", func(d *layout.Document) { d.IDs["a"] = d.IDs["a"][1:] })
	edited("least-data", "the smallest k of earlier layouts is not below k", func(d *layout.Document) { d.LeastData = 2 })
	edited("yaml-empty", "the YAML is empty", func(d *layout.Document) { d.YAML = "" })
	edited("yaml-deep", "the YAML is nested 2000 deep", func(d *layout.Document) {
		d.YAML = swap(f.t, "2KiB", strings.Repeat("[", 2000)+strings.Repeat("]", 2000))(d.YAML)
	})
	edited("yaml-nul", "the YAML has a NUL", func(d *layout.Document) { d.YAML += "# \x00\n" })
	yaml("yaml-key-twice", "a field of the YAML is there twice", "data: 2", "data: 2\ndata: 2")
	yaml("yaml-unknown-field", "the YAML has an unknown field", "parity: 1", "parity: 1\ncolour: blue")
	yaml("yaml-case", "a field of the YAML is in capitals", "parity: 1", "PARITY: 1")
	yaml("yaml-version", "the YAML is of version 2", "shardraid: 1", "shardraid: 2")
	yaml("yaml-anchor", "the YAML has an anchor", "data: 2", "data: &k 2")
	yaml("yaml-tag", "the YAML has a tag", "data: 2", "data: !!int 2")
	edited("yaml-two-documents", "the YAML is there twice, as two documents", func(d *layout.Document) { d.YAML += "---\n" + d.YAML })
	yaml("remote-connection-string", "a remote is a connection string that runs a program", "remote: /vectors/a", "remote: ':sftp,ssh=touch x:'")
	yaml("remote-options", "a remote sets an option that runs a program", "remote: /vectors/a", "remote: 'gdrive,ssh=touch x:a'")
	yaml("remote-dotdot", "a remote leaves its folder", "/vectors/a", "/vectors/../a")
	yaml("remote-same", "two backends are the same folder", "/vectors/a", "/vectors/b")
	yaml("yaml-alias", "the YAML has an alias to nothing", "parity: 1", "parity: *k")
	text("unknown-field", "it has an unknown field", `"epoch"`, `"colour":"blue","epoch"`)
	text("case", "a field is in capitals", `"epoch"`, `"EPOCH"`)
	text("key-twice", "a field is there twice", `"epoch":2`, `"epoch":2,"epoch":2`)
	text("id-key-twice", "a backend has two ids", `"ids":{`, `"ids":{"a":"aaaaaaaaaaaaa",`)
	text("not-utf8", "it is not UTF-8", "docs/vectors", "docs/\xff")
	f.layoutSignatures(like)
}

// layoutSignatures are faults of the message around the document.
func (f *forge) layoutSignatures(like hostile) {
	add := func(name, fault string, data []byte) {
		h := like
		h.Name, h.Fault, h.Data = name, fault, data
		f.add(h)
	}
	add("data-behind", "a second value follows its JSON", f.signed(layoutKind, append(slices.Clone(f.g.document), " {}"...), f.owner))
	add("signed-by-custody", "the custody key signed it, as a helper could", f.signed(layoutKind, f.g.document, f.custody))
	add("signed-by-other-vault", "another vault signed it", must(f.other.Sign(layoutKind, f.g.document))(f.t))
	add("unsigned", "it has no signature", f.unsigned(layoutKind, f.g.document))
	add("wrong-kind", "its kind line is a card's", f.signed(cardKind, f.g.document, f.owner))
	add("cut", "its last byte is missing", like.Data[:len(like.Data)-1])
	add("trailing-byte", "a byte follows it", append(slices.Clone(like.Data), 0))
	add("twice", "the same message follows it", slices.Concat(like.Data, like.Data))
	add("encrypted", "it is encrypted", f.encrypt(like.Data, f.custody))
	add("changed", "one character differs from what was signed", bytes.Replace(like.Data, []byte("/vectors/a"), []byte("/vectors/x"), 1))
}

// access is the body of a card.
type access map[string]any

// cards are faults of the card. What they wrap costs little to unlock.
func (f *forge) cards() {
	wrapped := f.lock(must(f.g.vault.Marshal())(f.t), 4)
	fingerprint := f.g.vault.Fingerprint()
	local := access{"serial": 2, "mode": "local"}
	locked := access{"serial": 2, "mode": "passphrase", "wrapped": wrapped}
	shared := access{"serial": 2, "mode": "recipients", "wrapped": wrapped, "recipients": []string{fingerprint}, "creator": map[string]any{"key": fingerprint, "signature": wrapped[:64]}}
	like := hostile{What: "card"}
	for _, a := range []access{local, locked, shared} {
		like.Data = f.card(publicKey(f.t, f.owner), f.signAccess(a))
		f.original(like)
	}
	like.Expect = "refused"
	with := func(name, fault string, a access, field string, value any) {
		a = maps.Clone(a)
		if a[field] = value; value == nil {
			delete(a, field)
		}
		h := like
		h.Name, h.Fault, h.Data = name, fault, f.card(publicKey(f.t, f.owner), f.signAccess(a))
		f.add(h)
	}
	with("unknown-field-signed", "it has an unknown field", local, "colour", "blue")
	with("serial-zero", "the serial is 0", local, "serial", 0)
	with("serial-negative", "the serial is negative", local, "serial", -1)
	with("mode-unknown", "the mode is unknown", local, "mode", "public")
	with("mode-missing", "the mode is missing", local, "mode", nil)
	with("local-with-recipients", "the mode is local, and there are recipients", local, "recipients", []string{fingerprint})
	with("local-with-wrapped", "the mode is local, and a wrapped vault is there", local, "wrapped", wrapped)
	with("passphrase-without-wrapped", "the mode is passphrase, and no wrapped vault is there", locked, "wrapped", nil)
	with("passphrase-with-recipients", "the mode is passphrase, and there are recipients", locked, "recipients", []string{fingerprint})
	with("recipients-none", "the mode is recipients, and there are none", shared, "recipients", []string{})
	with("recipients-short", "a recipient is no full fingerprint", shared, "recipients", []string{fingerprint[24:]})
	with("creator-short", "the creator is no full fingerprint", shared, "creator", map[string]any{"key": fingerprint[24:], "signature": wrapped[:64]})
	with("wraps-other-vault", "it wraps another vault", locked, "wrapped", f.lock(must(f.other.Marshal())(f.t), 4))
	with("wraps-cut", "the last byte of what it wraps is missing", locked, "wrapped", wrapped[:len(wrapped)-1])
	with("wraps-scrypt", "what it wraps asks for 2^30 rounds of scrypt", locked, "wrapped", setByte(wrapped, 16, 30))
	f.cardEnvelopes(local)
}

// cardEnvelopes are faults of what is around the body of a card.
func (f *forge) cardEnvelopes(a access) {
	owner, signed, body := publicKey(f.t, f.owner), f.signAccess(a), must(json.Marshal(a))(f.t)
	var private bytes.Buffer
	if err := f.owner.SerializePrivateWithoutSigning(&private, f.config); err != nil {
		f.t.Fatal(err)
	}
	capital := must(json.Marshal(map[string]any{"OWNER": owner, "card": signed}))(f.t)
	twice := f.signed(cardKind, []byte(`{"serial":9,"serial":2,"mode":"local"}`), f.owner)
	unknown := must(json.Marshal(map[string]any{"owner": owner, "card": signed, "colour": "blue"}))(f.t)
	for _, e := range []struct {
		name, fault string
		data        []byte
	}{
		{"owner-of-other-vault", "the owner key is another vault's", f.card(publicKey(f.t, f.stranger), signed)},
		{"owner-cut", "the owner key's last byte is missing", f.card(owner[:len(owner)-1], signed)},
		{"private-key", "the owner key is there with its private key", f.card(private.Bytes(), signed)},
		{"signed-by-custody", "the custody key signed it, as a helper could", f.card(owner, f.signed(cardKind, body, f.custody))},
		{"signature-cut", "the signature's last byte is missing", f.card(owner, signed[:len(signed)-1])},
		{"unsigned", "it has no signature", f.card(owner, f.unsigned(cardKind, body))},
		{"encrypted", "it is encrypted", f.card(owner, f.encrypt(signed, f.custody))},
		{"wrong-kind", "its kind line is a layout's", f.card(owner, f.signed(layoutKind, body, f.owner))},
		{"unknown-field", "an unknown field is beside the owner key", []byte(base64.StdEncoding.EncodeToString(unknown))},
		{"field-capital", "the field of the owner key is in capitals", []byte(base64.StdEncoding.EncodeToString(capital))},
		{"field-twice", "its serial is there twice", f.card(owner, twice)},
		{"not-base64", "it is not base64", append([]byte("*"), f.card(owner, signed)...)},
	} {
		f.add(hostile{What: "card", Name: e.name, Fault: e.fault, Expect: "refused", Data: e.data})
	}
}

func (f *forge) signAccess(a access) []byte {
	return f.signed(cardKind, must(json.Marshal(a))(f.t), f.owner)
}

func (f *forge) card(owner, signed []byte) []byte {
	text := must(json.Marshal(map[string][]byte{"owner": owner, "card": signed}))(f.t)
	return []byte(base64.StdEncoding.EncodeToString(text))
}

func publicKey(t testing.TB, e *openpgp.Entity) []byte {
	var out bytes.Buffer
	if err := e.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func setByte(data []byte, at int, value byte) []byte {
	data = slices.Clone(data)
	data[at] = value
	return data
}

// copies are faults of recovery files, and of what lies in a backend's root.
func (f *forge) copies() {
	doc := must(f.g.vault.Marshal())(f.t)
	byPassphrase := vault.Access{Serial: 1, Mode: vault.Passphrase, Wrapped: []byte("x")}
	own := must(f.g.vault.Card(byPassphrase))(f.t).String()
	alien := must(f.other.Card(byPassphrase))(f.t).String()
	local := must(f.g.vault.Card(vault.Access{Serial: 1, Mode: vault.Local}))(f.t).String()
	line := base64.StdEncoding.EncodeToString(doc)
	bundle := "shardraid-bundle-v1\n" + own + "\n" + line + "\n"
	locked := f.lock([]byte(bundle), 4)
	file := func(kind string, data []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: map[string]string{"Vault": f.g.vault.Fingerprint()}, Bytes: data})
	}
	for _, like := range []hostile{{What: "recovery"}, {What: "copy", Kind: "vault"}} {
		like.Expect = "refused"
		wrap, prefix := func(data []byte) []byte { return file("SHARDRAID RECOVERY", data) }, ""
		if like.What == "copy" {
			wrap, prefix = func(data []byte) []byte { return data }, "vault-"
		}
		like.Data = wrap(locked)
		f.original(like)
		add := func(name, fault string, data []byte) {
			h := like
			h.Name, h.Fault, h.Data = prefix+name, fault, data
			f.add(h)
		}
		add("scrypt", "it asks for 2^30 rounds of scrypt", wrap(setByte(locked, 16, 30)))
		add("salt", "one bit of the salt is flipped, so the passphrase does not fit", wrap(flipAt(locked, 0)))
		add("cut", "its last byte is missing", wrap(locked[:len(locked)-1]))
		add("only-salt", "nothing follows the salt", wrap(locked[:17]))
		add("flipped", "one bit of its integrity code is flipped", wrap(flipAt(locked, len(locked)-1)))
		add("trailing-byte", "a byte follows the message", wrap(append(slices.Clone(locked), 0)))
		add("bundle-version", "it is a bundle of version 2", wrap(f.lock([]byte(strings.Replace(bundle, "v1", "v2", 1)), 4)))
		add("bundle-behind", "a line follows the bundle", wrap(f.lock([]byte(bundle+"\n"), 4)))
		add("bundle-other-card", "the card in it is another vault's", wrap(f.lock([]byte(strings.Replace(bundle, own, alien, 1)), 4)))
		if like.What == "copy" {
			add("of-mode-local", "its card is of mode local, which has no copies", wrap(f.lock([]byte(strings.Replace(bundle, own, local, 1)), 4)))
		}
		if like.What == "recovery" {
			add("pem-type", "its PEM type is another", file("SHARDRAID RECOVER", locked))
			add("pem-cut", "its PEM end line is missing", like.Data[:len(like.Data)-20])
		}
	}
	good := must(f.g.vault.SealOwned(layoutKind, f.g.document))(f.t)
	like := hostile{What: "copy", Kind: "layout", Expect: "refused", Data: good}
	f.original(like)
	for _, e := range []struct {
		name, fault string
		data        []byte
	}{
		{"layout-signed-by-custody", "the custody key signed it, as a helper could", must(f.g.vault.SealRecord(layoutKind, f.g.document))(f.t)},
		{"layout-unsigned", "it has no signature", f.encrypt(f.unsigned(layoutKind, f.g.document), f.custody)},
		{"layout-not-encrypted", "it is signed and not encrypted", f.signed(layoutKind, f.g.document, f.owner)},
		{"layout-wrong-kind", "its kind line is a marker's", must(f.g.vault.SealOwned(markerKind, f.g.document))(f.t)},
		{"layout-cut", "its last byte is missing", good[:len(good)-1]},
		{"layout-of-other-vault", "it is another vault's", must(f.other.SealOwned(layoutKind, f.g.document))(f.t)},
	} {
		h := like
		h.Name, h.Fault, h.Data = e.name, e.fault, e.data
		f.add(h)
	}
}
