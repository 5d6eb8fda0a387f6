package object_test

import (
	"bytes"

	"shardraid/vault"
)

// records are faults of moves, tombstones and doom markers.
func (f *forge) records() {
	m, _ := f.base("three-segments")
	other, _ := f.base("one-segment")
	body := func(object vault.ObjectID, inc vault.Incarnation, more string) string {
		return `{"object":"` + object.String() + `","incarnation":"` + inc.String() + `"` + more + `}`
	}
	for _, r := range []struct{ kind, line, more string }{
		{"move", moveKind, `,"segment":1,"shard":2,"backend":"` + f.g.layout.Backends[0].ID + `","copy":"abcdefghijkla"`},
		{"tombstone", tombstoneKind, ""},
		{"doom", doomKind, ""},
	} {
		like := hostile{What: "record", Kind: r.kind, Object: m.Object, Incarnation: m.Incarnation, Expect: "refused", Layer: "body"}
		good := body(m.Object, m.Incarnation, r.more)
		seal := func(text string) []byte { return must(f.g.vault.SealRecord(r.line, []byte(text)))(f.t) }
		add := func(name, fault string, data []byte, layer string) {
			h := like
			h.Name, h.Fault, h.Data, h.Layer = r.kind+"-"+name, fault, data, layer
			f.add(h)
		}
		like.Data = seal(good)
		f.original(like)
		add("other-object", "it is of another object", seal(body(other.Object, m.Incarnation, r.more)), "body")
		add("other-incarnation", "it is of another incarnation", seal(body(m.Object, other.Incarnation, r.more)), "body")
		add("no-object", "it names no object", seal(`{"incarnation":"`+m.Incarnation.String()+`"`+r.more+`}`), "body")
		add("unknown-field", "it has an unknown field", seal(body(m.Object, m.Incarnation, r.more+`,"until":1`)), "body")
		add("field-capital", "a field is in capitals", seal(swap(f.t, `"object"`, `"OBJECT"`)(good)), "body")
		add("field-twice", "its object is there twice, first another one", seal(swap(f.t, `{`, `{"object":"`+other.Object.String()+`",`)(good)), "body")
		add("data-behind", "a second value follows its JSON", seal(good+" {}"), "body")
		add("not-hex", "its incarnation is not hex", seal(swap(f.t, m.Incarnation.String()[:2], "xy")(good)), "body")
		add("wrong-kind", "its kind line is a manifest's", must(f.g.vault.SealRecord(manifestKind, []byte(good)))(f.t), "openpgp")
		add("signed-by-owner", "the owner key signed it", must(f.g.vault.SealOwned(r.line, []byte(good)))(f.t), "openpgp")
		if r.kind != "move" {
			line := map[string]string{"tombstone": doomKind, "doom": tombstoneKind}[r.kind]
			add("wrong-verdict", "its kind line is the other verdict's", must(f.g.vault.SealRecord(line, []byte(good)))(f.t), "openpgp")
			continue
		}
		for _, e := range [][4]string{
			{"backend-short", "its backend id has 12 characters", f.g.layout.Backends[0].ID, f.g.layout.Backends[0].ID[1:]},
			{"backend-path", "its backend id is a path", f.g.layout.Backends[0].ID, "../../../../a"},
			{"copy-padding", "an unused bit of its copy id is set", "abcdefghijkla", "abcdefghijklb"},
			{"copy-capitals", "its copy id is in capitals", "abcdefghijkla", "ABCDEFGHIJKLA"},
			{"shard-256", "its shard number does not fit", `"shard":2`, `"shard":256`},
			{"shard-negative", "its shard number is negative", `"shard":2`, `"shard":-1`},
			{"segment-large", "its segment number does not fit", `"segment":1`, `"segment":4294967296`},
			{"hash-long", "its hash has 201 characters", `"copy"`, `"hash":"` + string(bytes.Repeat([]byte("a"), 201)) + `","copy"`},
		} {
			add(e[0], e[1], seal(swap(f.t, e[2], e[3])(good)), "body")
		}
	}
}

// markers are faults of a backend's marker.
func (f *forge) markers() {
	id, next := f.g.layout.Backends[0].ID, f.g.layout.Backends[1].ID
	text := func(vault, backend, layout string) string {
		return `{"vault":"` + vault + `","backend":"` + backend + `","layout":"` + layout + `"}`
	}
	fpr, hash := f.g.vault.Fingerprint(), f.g.layout.Hash
	good := text(fpr, id, hash)
	seal := func(text string) []byte { return must(f.g.vault.SealOwned(markerKind, []byte(text)))(f.t) }
	like := hostile{What: "marker", Backend: id, Expect: "refused", Data: seal(good)}
	f.original(like)
	for _, e := range []struct {
		name, fault string
		data        []byte
		layer       string
	}{
		{"other-backend", "it is another backend's", seal(text(fpr, next, hash)), "body"},
		{"other-vault", "it names another vault", seal(text(f.other.Fingerprint(), id, hash)), "body"},
		{"other-layout", "it is of another layout", seal(text(fpr, id, f.g.vault.ObjectID("").String())), "body"},
		{"no-layout", "it is of no layout", seal(`{"vault":"` + fpr + `","backend":"` + id + `"}`), "body"},
		{"unknown-field", "it has an unknown field", seal(swap(f.t, "}", `,"until":1}`)(good)), "body"},
		{"field-capital", "a field is in capitals", seal(swap(f.t, `"vault"`, `"VAULT"`)(good)), "body"},
		{"field-twice", "its backend is there twice, first another one", seal(swap(f.t, `{`, `{"backend":"`+next+`",`)(good)), "body"},
		{"data-behind", "a second value follows its JSON", seal(good + "{}"), "body"},
		{"not-json", "it is not JSON", seal("marker"), "body"},
		{"unsigned", "it has no signature", f.encrypt(f.unsigned(markerKind, []byte(good)), f.custody), "openpgp"},
		{"signed-by-custody", "the custody key signed it, as a helper could", must(f.g.vault.SealRecord(markerKind, []byte(good)))(f.t), "openpgp"},
		{"signed-by-stranger", "a key that is not of this vault signed it", f.encrypt(f.signed(markerKind, []byte(good), f.stranger), f.custody), "openpgp"},
		{"of-other-vault", "it is a good marker of another vault", must(f.other.SealOwned(markerKind, []byte(text(f.other.Fingerprint(), id, hash))))(f.t), "openpgp"},
		{"wrong-kind", "its kind line is a layout's", must(f.g.vault.SealOwned(layoutKind, []byte(good)))(f.t), "openpgp"},
	} {
		h := like
		h.Name, h.Fault, h.Data, h.Layer = e.name, e.fault, e.data, e.layer
		f.add(h)
	}
}
