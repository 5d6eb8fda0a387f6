package erasure

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	r.Read(b)
	return b
}

func testSecrets() *Secrets {
	var s Secrets
	copy(s.Content[:], randomBytes(1, 32))
	copy(s.Tag[:], randomBytes(2, 32))
	copy(s.Nonce[:], randomBytes(3, 12))
	return &s
}

// encode returns the buffer, the shards and the tags of a segment.
func encode(t testing.TB, c *Code, segment []byte, p Position) ([]byte, []Tag) {
	t.Helper()
	buf := make([]byte, c.BufferSize(len(segment)))
	copy(buf, segment)
	_, tags, err := c.Encode(buf, len(segment), testSecrets(), p)
	if err != nil {
		t.Fatal(err)
	}
	return buf, tags
}

// Every subset of lost shards, for every code up to 8 shards: k shards bring
// the segment back, fewer give an error.
func TestEverySubsetOfLostShards(t *testing.T) {
	for n := 2; n <= 8; n++ {
		for k := 1; k < n; k++ {
			c := mustNew(t, k, n-k)
			for _, length := range []int{1, k, 61, 1024} {
				segment := randomBytes(uint64(length), length)
				p := Position{Index: 3, Last: true}
				stored, _ := encode(t, c, segment, p)
				for subset := range 1 << n {
					checkSubset(t, c, stored, segment, subset, p)
				}
			}
		}
	}
}

func checkSubset(t *testing.T, c *Code, stored, segment []byte, subset int, p Position) {
	t.Helper()
	have := make([]bool, c.Shards())
	buf := append([]byte(nil), stored...)
	for i, shard := range c.Split(buf, len(segment)) {
		have[i] = subset>>i&1 == 1
		if !have[i] {
			clear(shard)
		}
	}
	got, err := c.Decode(buf, len(segment), have, testSecrets(), p)
	if bits.OnesCount(uint(subset)) < c.Data() {
		if !errors.Is(err, ErrTooFewShards) {
			t.Fatalf("%d+%d subset %b: got %v, want too few shards", c.data, c.parity, subset, err)
		}
		return
	}
	if err != nil || !bytes.Equal(got, segment) {
		t.Fatalf("%d+%d subset %b: not rebuilt: %v", c.data, c.parity, subset, err)
	}
}

func TestRebuildGivesTheSameParity(t *testing.T) {
	c := mustNew(t, 3, 3)
	stored, _ := encode(t, c, randomBytes(9, 1000), Position{})
	buf := append([]byte(nil), stored...)
	have := []bool{true, false, true, false, true, false}
	for i, shard := range c.Split(buf, 1000) {
		if !have[i] {
			clear(shard)
		}
	}
	if err := c.Rebuild(buf, 1000, have, c.Shards()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf, stored) {
		t.Error("rebuilt shards differ")
	}
}

func TestEveryBitFlipIsFound(t *testing.T) {
	c := mustNew(t, 2, 1)
	stored, tags := encode(t, c, randomBytes(4, 200), Position{})
	tagger, err := NewTagger(&testSecrets().Tag)
	if err != nil {
		t.Fatal(err)
	}
	for i, shard := range c.Split(stored, 200) {
		if !tagger.Check(i, shard, tags[i]) {
			t.Fatalf("shard %d: good tag refused", i)
		}
		for bit := range len(shard) * 8 {
			shard[bit/8] ^= 1 << (bit % 8)
			if tagger.Check(i, shard, tags[i]) {
				t.Fatalf("shard %d bit %d: flip not found", i, bit)
			}
			shard[bit/8] ^= 1 << (bit % 8)
		}
		for j := range tags {
			if j != i && tagger.Check(j, shard, tags[j]) {
				t.Fatalf("shard %d passes as shard %d", i, j)
			}
		}
		for cut := range len(shard) {
			if tagger.Check(i, shard[:cut], tags[i]) {
				t.Fatalf("shard %d cut to %d passes", i, cut)
			}
		}
	}
}

func TestSealBindsItsPosition(t *testing.T) {
	c := mustNew(t, 2, 1)
	right := Position{Incarnation: [16]byte{1}, Index: 5, Last: true}
	stored, _ := encode(t, c, randomBytes(5, 100), right)
	all := []bool{true, true, true}
	for name, wrong := range map[string]Position{
		"incarnation": {Incarnation: [16]byte{2}, Index: 5, Last: true},
		"index":       {Incarnation: [16]byte{1}, Index: 6, Last: true},
		"last":        {Incarnation: [16]byte{1}, Index: 5},
	} {
		if _, err := c.Decode(append([]byte(nil), stored...), 100, all, testSecrets(), wrong); !errors.Is(err, ErrSeal) {
			t.Errorf("wrong %s: got %v, want ErrSeal", name, err)
		}
	}
	if _, err := c.Decode(stored, 100, all, testSecrets(), right); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesBadCodes(t *testing.T) {
	for _, bad := range [][2]int{{0, 1}, {1, 0}, {-1, 2}, {200, 56}} {
		if _, err := New(bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	if _, err := New(200, 55); err != nil {
		t.Error(err)
	}
}

func TestPadded(t *testing.T) {
	last := 0
	for n := 0; n < 1<<20; n += 1 + n/97 {
		p := Padded(n)
		if p < n || p < last || Padded(p) != p || n > 1<<10 && p > n+n/8 {
			t.Fatalf("Padded(%d) = %d", n, p)
		}
		last = p
		if f := PaddedFloor(max(n, 1024)); Padded(f) != f || f > max(n, 1024) || n > 1024 && Padded(f+1) <= n {
			t.Fatalf("PaddedFloor(%d) = %d", n, f)
		}
	}
	for n, want := range map[int]int{0: 1024, 1024: 1024, 1025: 1088, 9000: 9216, 1 << 25: 1 << 25, 1<<25 - 1: 1 << 25} {
		if got := Padded(n); got != want {
			t.Errorf("Padded(%d) = %d, want %d", n, got, want)
		}
	}
}

type goldenCase struct {
	Data, Parity, Length int
	Incarnation          []byte
	Index                uint32
	Last                 bool
	Content, Tag, Nonce  []byte
	Segment              []byte
	Shards, Tags         [][]byte
}

// The golden vectors pin sealing, coding and tagging: docs/format.md, section 15.
func TestGoldenShards(t *testing.T) {
	const file = "testdata/shards.json"
	var cases []goldenCase
	for n := 2; n <= 16; n++ {
		for k := 1; k < n; k++ {
			cases = append(cases, golden(t, k, n-k, 10*n+k))
		}
	}
	got, err := json.MarshalIndent(cases, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("shards differ from the golden ones: stored objects would become unreadable")
	}
}

func golden(t *testing.T, k, m, length int) goldenCase {
	c := mustNew(t, k, m)
	p := Position{Index: uint32(k), Last: m%2 == 0}
	copy(p.Incarnation[:], randomBytes(uint64(length), 16))
	segment := randomBytes(7, length)
	buf, tags := encode(t, c, segment, p)
	s := testSecrets()
	g := goldenCase{
		Data: k, Parity: m, Length: length, Incarnation: p.Incarnation[:], Index: p.Index, Last: p.Last,
		Content: s.Content[:], Tag: s.Tag[:], Nonce: s.Nonce[:], Segment: segment,
	}
	for i, shard := range c.Split(buf, length) {
		g.Shards = append(g.Shards, shard)
		g.Tags = append(g.Tags, tags[i][:])
	}
	return g
}
