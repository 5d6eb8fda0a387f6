package object_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"strings"
	"testing"

	"shardraid/manifest"
	"shardraid/vault"
)

func newAES(t testing.TB, key []byte) cipher.Block { return must(aes.NewCipher(key))(t) }

// fault is one change of a manifest.
type fault struct {
	name, fault string
	edit        func(*draft)
}

// manifests are faults inside a manifest that is signed, encrypted and sealed
// as it should be.
func (f *forge) manifests() {
	_, one := f.base("one-byte")
	_, five := f.base("one-segment")
	_, three := f.base("three-segments")
	f.forged("", one, f.inlinedFaults())
	f.forged("", one, f.codecFaults())
	f.forged("segment-", five, f.segmentFaults())
	f.forged("shard-", five, f.shardFaults())
	f.forged("", five, f.unboundFaults(five))
	f.forged("", three, f.sumFaults())
	f.misplaced()
}

// forged adds one manifest for each fault.
func (f *forge) forged(prefix string, at storedFile, faults []fault) {
	f.t.Helper()
	id := f.objectAt(at)
	seal := func(d *draft) hostile {
		data := must(f.g.vault.SealRecord(manifestKind, d.bytes(f.t)))(f.t)
		return hostile{What: "manifest", Object: id, Incarnation: at.name.Incarnation, Expect: "refused", Layer: "body", Data: data}
	}
	f.original(seal(f.draft(at)))
	for _, fault := range faults {
		d := f.draft(at)
		fault.edit(d)
		h := seal(d)
		h.Name, h.Fault = prefix+fault.name, fault.fault
		if strings.HasPrefix(fault.name, "newer") {
			h.Expect, h.Layer = "newer", ""
		}
		f.add(h)
	}
}

func (f *forge) inlinedFaults() []fault {
	_, other := f.base("empty")
	return []fault{
		{"k-zero", "k is 0", func(d *draft) { d.Data = 0 }},
		{"k-negative", "k is -1", func(d *draft) { d.Data = -1 }},
		{"m-zero", "m is 0", func(d *draft) { d.Parity = 0 }},
		{"m-negative", "m is -1", func(d *draft) { d.Parity = -1 }},
		{"k-m-256", "k+m is 256", func(d *draft) { d.Data, d.Parity = 255, 1 }},
		{"size-negative", "the size is negative", func(d *draft) { d.size = -1 }},
		{"size-beyond-content", "the inlined content has fewer bytes than the size says", func(d *draft) { d.size = 1025 }},
		{"key-missing", "the key is empty", func(d *draft) { d.key = "" }},
		{"key-other", "the key does not give the object id", func(d *draft) { d.key += "x" }},
		{"object-other", "the object id is another one's", func(d *draft) { d.Object = f.draft(other).Object }},
		{"incarnation-other", "the incarnation is another one's", func(d *draft) { d.Incarnation = f.draft(other).Incarnation }},
		{"incarnation-not-hex", "the incarnation is not hex", func(d *draft) { d.Incarnation = "xy" + d.Incarnation[2:] }},
		{"incarnation-short", "the incarnation has 15 bytes", func(d *draft) { d.Incarnation = d.Incarnation[2:] }},
		{"object-long", "the object id has 33 bytes", func(d *draft) { d.Object += "00" }},
		{"supersedes-itself", "it supersedes itself", func(d *draft) { d.Supersedes = []string{d.Incarnation} }},
		{"supersedes-short", "it supersedes what is no incarnation", func(d *draft) { d.Supersedes = []string{"00"} }},
		{"newer-feature", "it needs a feature that version 1 does not know", func(d *draft) { d.Features = []string{"x"} }},
		{"newer-feature-and-field", "it needs an unknown feature, whose field is there", func(d *draft) {
			d.Features, d.line = []string{"x"}, swap(f.t, `"data"`, `"x":1,"data"`)
		}},
		{"key-sealed-elsewhere", "its sealed part is under the key of another incarnation", func(d *draft) {
			d.sealKey = f.g.vault.SealedKey(other.name.Incarnation)
		}},
		{"key-of-content", "its sealed part is under the content key", func(d *draft) {
			_, one := f.base("one-byte")
			d.sealKey = f.g.vault.ContentKey(one.name.Incarnation)
		}},
	}
}

// codecFaults are faults of the JSON and of the parts of the body.
func (f *forge) codecFaults() []fault {
	line := func(old, new string) func(*draft) {
		return func(d *draft) { d.line = swap(f.t, old, new) }
	}
	head := func(old, new string) func(*draft) {
		return func(d *draft) { d.head = swap(f.t, old, new) }
	}
	body := func(edit func(b []byte, sealed int) []byte) func(*draft) {
		return func(d *draft) {
			d.body = func(b []byte) []byte { return edit(b, bytes.IndexByte(b, '\n')+1) }
		}
	}
	return []fault{
		{"unknown-field", "the open part has an unknown field", line(`"data"`, `"colour":"blue","data"`)},
		{"unknown-field-sealed", "the sealed head has an unknown field", head(`"size"`, `"colour":"blue","size"`)},
		{"features-missing", "it does not say which features it needs", line(`"features":[],`, ``)},
		{"supersedes-null", "what it supersedes is null", line(`"supersedes":[]`, `"supersedes":null`)},
		{"field-capital", "a field of the open part is in capitals", line(`"data"`, `"DATA"`)},
		{"field-twice", "a field of the open part is there twice", line(`"data":2`, `"data":2,"data":2`)},
		{"features-twice", "the features are there twice, first with an unknown one", line(`"features":[]`, `"features":["x"],"features":[]`)},
		{"field-capital-sealed", "a field of the sealed head is in capitals", head(`"size"`, `"SIZE"`)},
		{"field-twice-sealed", "a field of the sealed head is there twice", head(`"size":1`, `"size":1,"size":1`)},
		{"data-behind", "a second value follows the open part's", line(`"supersedes":[]}`, `"supersedes":[]} {}`)},
		{"data-behind-sealed", "a second value follows the sealed head's", head(`}`, `} 1`)},
		{"open-array", "the open part is in an array", func(d *draft) { d.line = func(s string) string { return "[" + s + "]" } }},
		{"open-null", "the open part is null", func(d *draft) { d.line = func(string) string { return "null" } }},
		{"open-empty", "the open part is empty", func(d *draft) { d.line = func(string) string { return "" } }},
		{"open-cut", "the open part's last brace is missing", func(d *draft) { d.line = func(s string) string { return s[:len(s)-1] } }},
		{"k-string", "k is a string", line(`"data":2`, `"data":"2"`)},
		{"k-fraction", "k is 2.5", line(`"data":2`, `"data":2.5`)},
		{"k-huge", "k does not fit into 64 bits", line(`"data":2`, `"data":36893488147419103234`)},
		{"features-string", "the features are a string", line(`"features":[]`, `"features":""`)},
		{"open-respelled", "a space was added to the open part after it was sealed", func(d *draft) { d.after = swap(f.t, `,"data"`, `, "data"`) }},
		{"sealed-missing", "the sealed part is missing, and its line feed", body(func(b []byte, sealed int) []byte { return b[:sealed-1] })},
		{"sealed-empty", "the sealed part is empty", body(func(b []byte, sealed int) []byte { return b[:sealed] })},
		{"nonce-cut", "the nonce has 11 bytes and nothing follows", body(func(b []byte, sealed int) []byte { return b[:sealed+11] })},
		{"nonce-flipped", "one bit of the nonce is flipped", body(flipAt)},
		{"sealed-cut", "the sealed part's last byte is missing", body(func(b []byte, _ int) []byte { return b[:len(b)-1] })},
		{"sealed-flipped", "one bit of the sealed part is flipped", body(func(b []byte, sealed int) []byte { return flipAt(b, sealed+12) })},
		{"sealed-longer", "a byte follows the sealed part", body(func(b []byte, _ int) []byte { return append(b, 0) })},
		{"sealed-no-head", "the sealed head has no line feed", func(d *draft) {
			d.plain = func(p []byte) []byte { return bytes.ReplaceAll(p, []byte("\n"), []byte(" ")) }
		}},
		{"sealed-head-empty", "the sealed head is empty", func(d *draft) { d.head = func(string) string { return "" } }},
		{"size-string", "the size is a string", head(`"size":1`, `"size":"1"`)},
		{"size-huge", "the size does not fit into 63 bits", head(`"size":1`, `"size":9223372036854775808`)},
		{"key-not-base64", "the key is not base64", head(`"key":"`, `"key":"*`)},
	}
}

func (f *forge) segmentFaults() []fault {
	return []fault{
		{"length-zero", "a segment before the last has no bytes", func(d *draft) {
			d.Segments = slices.Insert(d.Segments, 0, d.Segments[0])
			d.Segments[0].Length = 0
		}},
		{"length-negative", "the length is negative", func(d *draft) { d.Segments[0].Length = -5120 }},
		{"length-beyond", "it is longer than 32 MiB, and the size agrees", func(d *draft) { d.Segments[0].Length, d.size = 33<<20, 33<<20 }},
		{"unpadded", "the last segment is not padded", func(d *draft) { d.Segments[0].Length = 5000 }},
		{"overpadded", "the last segment is padded too much", func(d *draft) { d.Segments[0].Length = 5376 }},
		{"size-one-more", "the size is one byte more than the segment holds", func(d *draft) { d.size = 5121 }},
		{"size-one-less", "the size is one byte less than is padded to this length", func(d *draft) { d.size = 4864 }},
		{"size-zero", "an empty object is not inlined", func(d *draft) { d.size, d.Segments[0].Length = 0, 1024 }},
		{"gone", "there is no segment for a content that is not inlined", func(d *draft) { d.Segments = []wireSegment{} }},
		{"nonce-short", "the nonce has 11 bytes", func(d *draft) { d.Segments[0].Nonce = d.Segments[0].Nonce[:11] }},
		{"nonce-long", "the nonce has 13 bytes", func(d *draft) { d.Segments[0].Nonce = append(d.Segments[0].Nonce, 0) }},
		{"nonce-null", "the nonce is null", func(d *draft) { d.Segments[0].Nonce = nil }},
		{"tag-key-short", "the tag key has 31 bytes", func(d *draft) { d.Segments[0].TagKey = d.Segments[0].TagKey[:31] }},
		{"tag-key-long", "the tag key has 33 bytes", func(d *draft) { d.Segments[0].TagKey = append(d.Segments[0].TagKey, 0) }},
		{"shards-short", "it has k+m-1 shards", func(d *draft) { d.Segments[0].Shards = d.Segments[0].Shards[:2] }},
		{"shards-long", "it has k+m+1 shards", func(d *draft) {
			d.Segments[0].Shards = append(d.Segments[0].Shards, wireShard{Tag: make([]byte, 16)})
		}},
		{"shards-null", "its shards are null", func(d *draft) { d.Segments[0].Shards = nil }},
		{"unknown-field", "it has an unknown field", func(d *draft) { d.line = swap(f.t, `"length"`, `"colour":"blue","length"`) }},
	}
}

func (f *forge) shardFaults() []fault {
	shard := func(name, text string, edit func(*wireShard)) fault {
		return fault{name, text, func(d *draft) { edit(&d.Segments[0].Shards[0]) }}
	}
	return []fault{
		{"backend-twice", "two shards of a segment are on one backend", func(d *draft) { d.Segments[0].Shards[0].Backend = d.Segments[0].Shards[1].Backend }},
		{"too-few", "k-1 shards are stored", func(d *draft) {
			for j := range 2 {
				sh := &d.Segments[0].Shards[j]
				sh.Backend, sh.Copy, sh.Hash = "", "", ""
			}
		}},
		shard("backend-short", "a backend id has 12 characters", func(sh *wireShard) { sh.Backend = sh.Backend[:12] }),
		shard("backend-capital", "a backend id has a capital", func(sh *wireShard) { sh.Backend = "A" + sh.Backend[1:] }),
		shard("backend-path", "a backend id is a path", func(sh *wireShard) { sh.Backend = "../../../../a" }),
		shard("copy-short", "a copy id has 12 characters", func(sh *wireShard) { sh.Copy = sh.Copy[:12] }),
		shard("copy-capital", "a copy id has a capital", func(sh *wireShard) { sh.Copy = "A" + sh.Copy[1:] }),
		shard("copy-padding", "an unused bit of a copy id is set", func(sh *wireShard) { sh.Copy = "aaaaaaaaaaaab" }),
		shard("tag-short", "a tag has 15 bytes", func(sh *wireShard) { sh.Tag = sh.Tag[:15] }),
		shard("tag-long", "a tag has 17 bytes", func(sh *wireShard) { sh.Tag = append(sh.Tag, 0) }),
		shard("tag-null", "a tag is null", func(sh *wireShard) { sh.Tag = nil }),
		shard("hash-long", "a hash has 201 characters", func(sh *wireShard) { sh.Hash = strings.Repeat("a", 201) }),
		{"unknown-field", "a shard has an unknown field", func(d *draft) { d.line = swap(f.t, `"tag":`, `"colour":"blue","tag":`) }},
	}
}

// unboundFaults change the open part after it was sealed, as a helper could.
func (f *forge) unboundFaults(at storedFile) (faults []fault) {
	w := f.draft(at).wire
	seg := w.Segments[0]
	sh := seg.Shards[0]
	for _, e := range [][3]string{
		{"length", `"length":5120`, `"length":5121`},
		{"backend", sh.Backend, other(sh.Backend)},
		{"copy", sh.Copy, other(sh.Copy)},
		{"hash", sh.Hash, other(sh.Hash)},
		{"tag", `"tag":"`, ""},
		{"tag-key", `"tag_key":"`, ""},
		{"nonce", `"nonce":"`, ""},
		{"supersedes", `"supersedes":[]`, `"supersedes":["` + strings.Repeat("0", 32) + `"]`},
	} {
		edit := swap(f.t, e[1], e[2])
		if e[2] == "" { // the first character of the value that follows
			edit = func(line string) string {
				i := strings.Index(line, e[1]) + len(e[1])
				return line[:i] + other(line[i:i+1]) + line[i+1:]
			}
		}
		faults = append(faults, fault{"changed-" + e[0], "its " + e[0] + " was changed after it was sealed", func(d *draft) { d.after = edit }})
	}
	return faults
}

// other returns the text with another first character of its alphabet.
func other(text string) string {
	if text[0] == 'a' {
		return "b" + text[1:]
	}
	return "a" + text[1:]
}

func (f *forge) sumFaults() []fault {
	return []fault{
		{"sum-last-empty", "the size leaves nothing for the last segment", func(d *draft) { d.size = d.Segments[0].Length + d.Segments[1].Length }},
		{"sum-one-more", "the size is one byte more than the segments hold", func(d *draft) {
			d.size = d.Segments[0].Length + d.Segments[1].Length + d.Segments[2].Length + 1
		}},
		{"sum-less", "the size needs no third segment of this length", func(d *draft) { d.size = d.Segments[0].Length + d.Segments[1].Length + 1025 }},
		{"sum-first-beyond", "the first segment reaches beyond the content", func(d *draft) { d.Segments[0].Length = d.size }},
		{"sum-segment-twice", "its first segment is there twice", func(d *draft) { d.Segments = slices.Insert(d.Segments, 0, d.Segments[0]) }},
		{"sum-segment-missing", "its second segment is missing", func(d *draft) { d.Segments = slices.Delete(d.Segments, 1, 2) }},
	}
}

// misplaced are good manifests that lie where another one should.
func (f *forge) misplaced() {
	m, at := f.base("one-byte")
	wrong, wrongAt := f.base("inlined-2048")
	old, _ := f.g.manifests(f.t, "superseded")
	_, newAt := f.base("superseded")
	like := hostile{What: "manifest", Expect: "refused", Layer: "body"}
	add := func(name, fault string, id vault.ObjectID, inc vault.Incarnation, data []byte) {
		h := like
		h.Name, h.Fault, h.Object, h.Incarnation, h.Data = name, fault, id, inc, data
		f.add(h)
	}
	add("other-object", "it is another object's manifest, under its own incarnation", m.Object, wrong.Incarnation, wrongAt.data)
	add("other-incarnation", "it is the manifest of this object's other incarnation", old[0].Object, old[0].Incarnation, newAt.data)
	like.Layer = "openpgp"
	body := f.draft(at).bytes(f.t)
	add("of-other-vault", "it was signed by and encrypted to the custody key of another vault", m.Object, m.Incarnation, must(f.other.SealRecord(manifestKind, body))(f.t))
	add("is-tombstone", "it is a good tombstone of this incarnation", m.Object, m.Incarnation, must(manifest.SealTombstone(f.g.vault, m.Object, m.Incarnation))(f.t))
}

// objectAt returns whose file this is.
func (f *forge) objectAt(at storedFile) vault.ObjectID {
	f.t.Helper()
	return must(manifest.ObjectOf(f.g.vault, at.name, at.data))(f.t)
}
