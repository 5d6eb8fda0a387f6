package object_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"

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
		d.IDs = map[string]string{}
		for k, v := range doc.IDs {
			d.IDs[k] = v
		}
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
		d.YAML += "x: " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "\n"
	})
	edited("yaml-nul", "the YAML has a NUL", func(d *layout.Document) { d.YAML += "# \x00\n" })
	yaml("yaml-key-twice", "a field of the YAML is there twice", "data: 2", "data: 2\ndata: 2")
	yaml("yaml-unknown-field", "the YAML has an unknown field", "parity: 1", "parity: 1\ncolour: blue")
	yaml("yaml-case", "a field of the YAML is in capitals", "parity: 1", "PARITY: 1")
	yaml("yaml-version", "the YAML is of version 2", "shardraid: 1", "shardraid: 2")
	yaml("yaml-anchor", "the YAML has an anchor", "data: 2", "data: &k 2")
	yaml("yaml-tag", "the YAML has a tag", "data: 2", "data: !!int 2")
	yaml("yaml-two-documents", "a second YAML document follows", "backends:", "---\nbackends:")
	yaml("remote-connection-string", "a remote is a connection string that runs a program", "remote: /vectors/a", "remote: ':sftp,ssh=touch x:'")
	yaml("remote-options", "a remote sets an option that runs a program", "remote: /vectors/a", "remote: 'gdrive,ssh=touch x:a'")
	yaml("remote-dotdot", "a remote leaves its folder", "/vectors/a", "/vectors/../a")
	yaml("remote-same", "two backends are the same folder", "/vectors/a", "/vectors/b")
	edited("yaml-alias", "the YAML has an alias", func(d *layout.Document) { d.YAML = swap(f.t, "data: 2\nparity: 1", "data: 2\nparity: *k")(d.YAML) })
	text("unknown-field", "it has an unknown field", `"epoch"`, `"colour":"blue","epoch"`)
	text("case", "a field is in capitals", `"epoch"`, `"EPOCH"`)
	text("key-twice", "a field is there twice", `"epoch":2`, `"epoch":2,"epoch":2`)
	text("id-key-twice", "a backend has two ids", `"ids":{`, `"ids":{"a":"aaaaaaaaaaaaa",`)
	text("not-utf8", "it is not UTF-8", "docs/vectors", "docs/\xff")
	add("data-behind", "a second value follows its JSON", f.signed(layoutKind, append(slices.Clone(f.g.document), " {}"...), f.owner))
	add("signed-by-custody", "the custody key signed it, as a helper could", f.signed(layoutKind, f.g.document, f.custody))
	add("signed-by-other-vault", "another vault signed it", must(f.other.Sign(layoutKind, f.g.document))(f.t))
	add("unsigned", "it has no signature", f.unsigned(layoutKind, f.g.document))
	add("wrong-kind", "its kind line is a card's", f.signed(cardKind, f.g.document, f.owner))
	add("cut", "its last byte is missing", like.Data[:len(like.Data)-1])
	add("changed", "one character differs from what was signed", bytes.Replace(like.Data, []byte("/vectors/a"), []byte("/vectors/x"), 1))
}

// cards are faults of the card. What they wrap costs little to unlock.
func (f *forge) cards() {
	wrapped := f.lock(must(f.g.vault.Marshal())(f.t), 4)
	type access map[string]any
	good := func() access { return access{"serial": 2, "mode": "passphrase", "wrapped": wrapped} }
	public := func(e *openpgp.Entity) []byte {
		var out bytes.Buffer
		if err := e.Serialize(&out); err != nil {
			f.t.Fatal(err)
		}
		return out.Bytes()
	}
	encode := func(value any) []byte {
		return []byte(base64.StdEncoding.EncodeToString(must(json.Marshal(value))(f.t)))
	}
	sign := func(a access) []byte { return f.signed(cardKind, must(json.Marshal(a))(f.t), f.owner) }
	card := func(owner, signed []byte) []byte { return encode(map[string][]byte{"owner": owner, "card": signed}) }
	like := hostile{What: "card", Expect: "refused", Data: card(public(f.owner), sign(good()))}
	f.original(like)
	add := func(name, fault string, data []byte) {
		h := like
		h.Name, h.Fault, h.Data = name, fault, data
		f.add(h)
	}
	with := func(name, fault string, change access) {
		a := good()
		for field, value := range change {
			if a[field] = value; value == nil {
				delete(a, field)
			}
		}
		add(name, fault, card(public(f.owner), sign(a)))
	}
	var private bytes.Buffer
	if err := f.owner.SerializePrivateWithoutSigning(&private, f.config); err != nil {
		f.t.Fatal(err)
	}
	signed := sign(good())
	body := must(json.Marshal(good()))(f.t)
	fingerprint := f.g.vault.Fingerprint()
	add("owner-of-other-vault", "the owner key is another vault's", card(public(f.stranger), signed))
	add("private-key", "the owner key is there with its private key", card(private.Bytes(), signed))
	add("owner-cut", "the owner key's last byte is missing", card(public(f.owner)[:len(public(f.owner))-1], signed))
	add("signed-by-custody", "the custody key signed it, as a helper could", card(public(f.owner), f.signed(cardKind, body, f.custody)))
	add("signature-cut", "the signature's last byte is missing", card(public(f.owner), signed[:len(signed)-1]))
	add("unsigned", "it has no signature", card(public(f.owner), f.unsigned(cardKind, body)))
	add("wrong-kind", "its kind line is a layout's", card(public(f.owner), f.signed(layoutKind, body, f.owner)))
	add("unknown-field", "an unknown field is beside the owner key", encode(map[string]any{"owner": public(f.owner), "card": signed, "colour": "blue"}))
	add("not-base64", "it is not base64", append([]byte("*"), like.Data...))
	with("unknown-field-signed", "it has an unknown field", access{"colour": "blue"})
	with("serial-zero", "the serial is 0", access{"serial": 0})
	with("mode-unknown", "the mode is unknown", access{"mode": "public"})
	with("local-with-recipients", "the mode is local, and there are recipients", access{"mode": "local", "wrapped": nil, "recipients": []string{fingerprint}})
	with("local-with-wrapped", "the mode is local, and a wrapped vault is there", access{"mode": "local"})
	with("passphrase-without-wrapped", "the mode is passphrase, and no wrapped vault is there", access{"wrapped": nil})
	with("recipients-none", "the mode is recipients, and there are none", access{"mode": "recipients"})
	with("recipients-short", "a recipient is no full fingerprint", access{"mode": "recipients", "recipients": []string{fingerprint[24:]}})
	with("wraps-other-vault", "it wraps another vault", access{"wrapped": f.lock(must(f.other.Marshal())(f.t), 4)})
	with("wraps-cut", "the last byte of what it wraps is missing", access{"wrapped": wrapped[:len(wrapped)-1]})
	with("wraps-scrypt", "what it wraps asks for 2^30 rounds of scrypt", access{"wrapped": setByte(wrapped, 16, 30)})
}

func setByte(data []byte, at int, value byte) []byte {
	data = slices.Clone(data)
	data[at] = value
	return data
}

// copies are faults of recovery files, and of what lies in a backend's root.
func (f *forge) copies() {
	doc := must(f.g.vault.Marshal())(f.t)
	local := must(f.g.vault.Card(vault.Access{Serial: 1, Mode: vault.Local}))(f.t).String()
	alien := must(f.other.Card(vault.Access{Serial: 1, Mode: vault.Local}))(f.t).String()
	line := base64.StdEncoding.EncodeToString(doc)
	bundle := "shardraid-bundle-v1\n" + local + "\n" + line + "\n"
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
		add("bundle-other-card", "the card in it is another vault's", wrap(f.lock([]byte(strings.Replace(bundle, local, alien, 1)), 4)))
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
