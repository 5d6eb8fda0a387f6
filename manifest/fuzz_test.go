package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shardraid/erasure"
	"shardraid/vault"
)

// declared wants an error that callers know what to do with.
func declared(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNewer) && !errors.Is(err, vault.ErrRecord) {
		t.Fatalf("undeclared error: %v", err)
	}
}

// FuzzUnmarshal changes a manifest as who lacks the sealed key could: no
// change opens.
func FuzzUnmarshal(f *testing.F) {
	v := goldenVault(f)
	m := sample(v, 2)
	key := v.SealedKey(m.Incarnation)
	body, err := m.marshal(key, rand.NewChaCha8([32]byte{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(body[:bytes.IndexByte(body, '\n')+6])
	f.Add(bytes.Replace(body, []byte(`"features":[]`), []byte(`"features":["x"]`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := unmarshal(data, key)
		open, _, _ := bytes.Cut(data, []byte("\n"))
		var newer struct{ Features []string }
		if json.Unmarshal(open, &newer) == nil && len(newer.Features) > 0 && !errors.Is(err, ErrNewer) && len(data) > len(open)+12 {
			t.Errorf("needs %q: %v", newer.Features, err)
		}
		if err != nil {
			declared(t, err)
		} else if !bytes.Equal(data, body) || !reflect.DeepEqual(got, m) {
			t.Errorf("forged: %+v", got)
		}
	})
}

// FuzzOpenPart lets the fuzzer write what only a helper or a bug could: the
// open part, with a sealed part that fits. What is read is written and read
// back the same.
func FuzzOpenPart(f *testing.F) {
	v := goldenVault(f)
	for _, segments := range []int{0, 1, 3} {
		m := sample(v, segments)
		for _, change := range nearMisses {
			part := m.wire()
			if part.Segments = part.Segments[:segments:segments]; change != nil && segments == 0 {
				continue
			}
			if change != nil {
				change(&part, &part.Segments[0])
			}
			open, err := json.Marshal(part)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(open, m.Size)
		}
	}
	f.Fuzz(func(t *testing.T, open []byte, size int64) {
		var part openPart
		if err := strictJSON(open, &part); err != nil {
			declared(t, err)
			return
		}
		m, err := part.manifest()
		if err != nil {
			declared(t, err)
			return
		}
		m.Key, m.Size = "k", size
		if m.Inlined() {
			m.Content = make([]byte, min(max(size, 0), 100))
		}
		if err := m.validate(); err != nil {
			declared(t, err)
			return
		}
		checkManifest(t, m)
		for i, s := range part.Segments {
			if len(s.Nonce) != 12 || len(s.TagKey) != 32 || !bytes.Equal(s.Shards[0].Tag, m.Segments[i].Shards[0].Tag[:]) {
				t.Fatalf("segment %d is %+v, from %+v", i, m.Segments[i], s)
			}
		}
		body, err := m.marshal([32]byte{1}, rand.NewChaCha8([32]byte{}))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unmarshal(body, [32]byte{1}); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("reads back as %+v, %v, want %+v", got, err, m)
		}
	})
}

// nearMisses are manifests that lack one thing each.
var nearMisses = []func(*openPart, *wireSegment){
	nil,
	func(_ *openPart, s *wireSegment) { s.Nonce = s.Nonce[:11] },
	func(_ *openPart, s *wireSegment) { s.TagKey = append(s.TagKey, 0) },
	func(_ *openPart, s *wireSegment) { s.Shards[0].Tag = append(s.Shards[0].Tag, 0) },
	func(_ *openPart, s *wireSegment) { s.Shards[0].Backend = s.Shards[1].Backend },
	func(_ *openPart, s *wireSegment) { s.Shards[0].Backend = "" },
	func(_ *openPart, s *wireSegment) { s.Shards[0].Backend = "../aaaaaaaaaa" },
	func(_ *openPart, s *wireSegment) { s.Shards = s.Shards[:2] },
	func(_ *openPart, s *wireSegment) { s.Shards = append(s.Shards, s.Shards[0]) },
	func(_ *openPart, s *wireSegment) {
		s.Shards[0], s.Shards[1] = s.Shards[2], wireShard{Tag: s.Shards[2].Tag}
	},
	func(p *openPart, s *wireSegment) {
		*s, p.Parity = wireSegment{s.Length, s.Nonce, s.TagKey, s.Shards[:1]}, 0
	},
	func(p *openPart, s *wireSegment) {
		s.Shards[0], s.Shards[1] = wireShard{Tag: s.Shards[0].Tag}, wireShard{Tag: s.Shards[1].Tag}
	},
	func(p *openPart, s *wireSegment) { s.Length = 5096 },
	func(p *openPart, s *wireSegment) { s.Length = 0 },
	func(p *openPart, s *wireSegment) { p.Supersedes = append(p.Supersedes, p.Incarnation) },
	func(p *openPart, s *wireSegment) { p.Segments = nil },
}

// checkManifest holds what those count on who get a manifest's content.
func checkManifest(t *testing.T, m *Manifest) {
	t.Helper()
	if m.Data < 1 || m.Parity < 1 || m.Data+m.Parity > erasure.MaxShards || slices.Contains(m.Supersedes, m.Incarnation) {
		t.Fatalf("code %d+%d, supersedes %v", m.Data, m.Parity, m.Supersedes)
	}
	if m.Inlined() != (m.Content != nil) || m.Inlined() && (int64(len(m.Content)) != m.Size || m.Size > MaxInline) {
		t.Fatalf("%d bytes inlined of %d", len(m.Content), m.Size)
	}
	var sum int64
	for i, seg := range m.Segments {
		n := m.ContentLength(i)
		if n < 1 || n > seg.Length || seg.Length > erasure.MaxSegment {
			t.Fatalf("segment %d has %d bytes of content of %d", i, n, seg.Length)
		}
		sum += int64(n)
		stored := map[string]bool{}
		for _, sh := range seg.Shards {
			if sh.Backend != "" && (stored[sh.Backend] || !backendID.MatchString(sh.Backend)) {
				t.Fatalf("segment %d: backend %q", i, sh.Backend)
			}
			stored[sh.Backend] = true
		}
		if delete(stored, ""); len(stored) < m.Data || len(seg.Shards) != m.Data+m.Parity {
			t.Fatalf("segment %d has %d of %d shards stored", i, len(stored), len(seg.Shards))
		}
	}
	if len(m.Segments) > 0 && sum != m.Size {
		t.Fatalf("segments hold %d bytes of %d", sum, m.Size)
	}
}

var backendID = regexp.MustCompile(`^[a-z2-7]{13}$`)

// FuzzSealedPart lets the fuzzer write what an owner's program could.
func FuzzSealedPart(f *testing.F) {
	pad := func(text string) []byte {
		return append([]byte(text), make([]byte, erasure.Padded(len(text))-len(text))...)
	}
	f.Add(pad(`{"key":"aw==","size":5}`+"\nhello"), true)
	f.Add(pad(`{"key":"aw==","size":4096}`+"\n"), false)
	f.Add(pad(`{"key":"aw==","size":-1}`+"\n"), true)
	f.Fuzz(func(t *testing.T, plain []byte, inlined bool) {
		m := &Manifest{Segments: make([]Segment, 1)}
		if inlined {
			m.Segments = nil
		}
		if err := m.readSealed(plain); err != nil {
			declared(t, err)
			return
		}
		head, rest, _ := bytes.Cut(plain, []byte("\n"))
		if inlined && int64(len(m.Content)) != m.Size || !inlined && m.Content != nil {
			t.Fatalf("%d bytes of content, size %d", len(m.Content), m.Size)
		}
		if want := append(slices.Clone(m.Content), make([]byte, len(rest)-len(m.Content))...); !bytes.Equal(rest, want) {
			t.Fatalf("content %q of %q", m.Content, rest)
		}
		if want := erasure.Padded(len(head) + 1 + len(m.Content)); len(plain) != want {
			t.Fatalf("%d bytes, want %d", len(plain), want)
		}
	})
}

var (
	// The last characters have bits to spare, which are 0.
	goodName = regexp.MustCompile(`^[a-z2-7]{25}[aeimquy4]\.(?:[mvtd]|s\.[a-z2-7]{8})\.[a-z2-7]{12}[acegikmoqsuwy246]$`)
	goodRoot = regexp.MustCompile(`^[a-z2-7]{32}(\.marker|\.layout|\.vault)$`)
)

// FuzzParseName holds the parser against the grammar, both ways.
func FuzzParseName(f *testing.F) {
	names := goldenVault(f).Names("aaaaaaaaaaaaa")
	for _, kind := range []Kind{KindManifest, KindMove, KindTombstone, KindDoom, KindShard} {
		f.Add(Name{Kind: kind, Segment: 258, Shard: 3, Copy: CopyID{9}}.Format(names))
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := ParseName(names, text)
		if ok != goodName.MatchString(text) || ok && n.Format(names) != text {
			t.Errorf("%q reads as %+v, %v, which is %q", text, n, ok, n.Format(names))
		}
	})
}

// FuzzParseRootName does the same for the names in a backend's root.
func FuzzParseRootName(f *testing.F) {
	for _, kind := range []RootKind{RootMarker, RootLayout, RootVault} {
		f.Add(strings.Repeat("a7", 16) + string(kind))
	}
	f.Add(".vault.marker")
	f.Fuzz(func(t *testing.T, text string) {
		kind, ok := ParseRootName(text)
		m := goodRoot.FindStringSubmatch(text)
		if ok != (m != nil) || ok && string(kind) != m[1] {
			t.Errorf("%q reads as %q, %v", text, kind, ok)
		}
	})
}
