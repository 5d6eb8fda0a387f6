package object_test

import (
	"bytes"
	"strings"

	"shardraid/manifest"
)

// names are faults of file names.
func (f *forge) names() {
	m, at := f.base("three-segments")
	b := f.g.layout.Backends[at.backend]
	copyID := manifest.CopyID{1, 2, 3, 4, 5, 6, 7, 8}
	of := func(kind manifest.Kind) string {
		n := manifest.Name{Incarnation: m.Incarnation, Kind: kind, Copy: copyID}
		if kind == manifest.KindShard {
			n.Segment, n.Shard = 1, 2
		}
		return n.Format(f.g.vault.Names(b.ID))
	}
	record, shard := of(manifest.KindManifest), of(manifest.KindShard)
	inc, end := record[:26], record[29:]
	like := hostile{What: "name", Kind: "object", Expect: "ignored", Backend: b.ID}
	for _, good := range []string{record, shard} {
		like.Data = []byte(good)
		f.original(like)
	}
	add := func(name, fault, text string) {
		h := like
		h.Name, h.Fault, h.Data = name, fault, []byte(text)
		f.add(h)
	}
	add("capitals", "it is in capitals", strings.ToUpper(record))
	add("kind-capital", "its kind is in capitals", inc+".M."+end)
	add("incarnation-27", "its incarnation has 27 characters", "a"+record)
	add("incarnation-25", "its incarnation has 25 characters", record[1:])
	add("incarnation-padding", "unused bits of its incarnation are set", inc[:25]+nextLetter(inc[25:])+record[26:])
	add("incarnation-digit", "its incarnation has a character that is not of base32", "1"+record[1:])
	add("copy-padding", "the unused bit of its copy id is set", record[:len(record)-1]+nextLetter(record[len(record)-1:]))
	add("copy-short", "its copy id has 12 characters", record[:len(record)-1])
	add("copy-missing", "it has no copy id", inc+".m")
	add("kind-unknown", "its kind is unknown", inc+".x."+end)
	add("kind-two-letters", "its kind has two letters", inc+".mm."+end)
	add("field-extra", "it has one field more", record+".aaaaaaaa")
	add("temporary", "a program's temporary ending follows it", record+".partial")
	add("dot", "a dot follows it", record+".")
	add("equals", "it is padded with equals signs", record+"===")
	add("position-of-manifest", "it is a manifest's and has a position", inc+".m.aaaaaaab."+end)
	add("position-missing", "it is a shard's and has no position", inc+".s."+end)
	add("position-short", "its position has 7 characters", swap(f.t, ".s.a", ".s.")(shard))
	add("position-long", "its position has 9 characters", swap(f.t, ".s.a", ".s.aa")(shard))
	add("empty", "it is empty", "")
	root := strings.Repeat("a", 32)
	like = hostile{What: "name", Kind: "root", Expect: "ignored", Data: []byte(root + ".marker")}
	f.original(like)
	add("root-capitals", "it is in capitals", strings.ToUpper(root)+".marker")
	add("root-31", "it has 31 characters before its ending", root[1:]+".layout")
	add("root-33", "it has 33 characters before its ending", "a"+root+".vault")
	add("root-digit", "it has a character that is not of base32", "0"+root[1:]+".marker")
	add("root-ending", "its ending is unknown", root+".markers")
	add("root-ending-capitals", "its ending is in capitals", root+".MARKER")
	add("root-temporary", "a program's temporary ending follows it", root+".marker.partial")
	add("root-bare", "it has an ending alone", ".marker")
}

// nextLetter sets the lowest, unused bit of a last letter.
func nextLetter(letter string) string { return string(letter[0] + 1) }

// shards are faults of stored shards.
func (f *forge) shards() {
	of := func(m *manifest.Manifest, segment uint32, shard uint8) []byte {
		for _, s := range f.g.stored(m.Key, manifest.KindShard) {
			if s.name.Incarnation == m.Incarnation && s.name.Segment == segment && s.name.Shard == shard {
				return s.data
			}
		}
		f.t.Fatal("no such shard")
		return nil
	}
	like := func(m *manifest.Manifest) hostile {
		h := hostile{What: "shard", Object: m.Object, Incarnation: m.Incarnation, Segment: new(uint32(0)), Shard: new(uint8(1))}
		h.Backend, h.Data = m.Segments[0].Shards[1].Backend, of(m, 0, 1)
		f.original(h)
		h.Expect = "lost"
		return h
	}
	small, _ := f.base("one-segment")
	h := like(small)
	good := h.Data
	add := func(name, fault string, data []byte) {
		h.Name, h.Fault, h.Data = name, fault, data
		f.add(h)
	}
	add("first-bit", "its first bit is flipped", setByte(good, 0, good[0]^0x80))
	add("last-bit", "its last bit is flipped", flipAt(good, len(good)-1))
	add("short", "its last byte is missing", good[:len(good)-1])
	add("long", "a zero follows it", append(bytes.Clone(good), 0))
	add("empty", "it is empty", []byte{})
	add("zeros", "it is zeros", make([]byte, len(good)))
	add("shifted", "its first byte was taken to its end", append(bytes.Clone(good[1:]), good[0]))
	add("of-shard-0", "it is shard 0 of the same segment", of(small, 0, 0))
	add("of-parity", "it is the parity shard of the same segment", of(small, 0, 2))
	diary, _ := f.g.manifests(f.t, "superseded")
	h = like(diary[1])
	add("of-other-incarnation", "it is the same shard of the object's other incarnation", of(diary[0], 0, 1))
	big, _ := f.base("three-segments")
	h = like(big)
	add("of-next-segment", "it is the same shard of the next segment", of(big, 1, 1))
}
