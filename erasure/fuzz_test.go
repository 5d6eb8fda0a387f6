package erasure

import (
	"bytes"
	"errors"
	"sync"
	"testing"
)

// FuzzRoundTrip loses and damages shards: a segment comes back whole or not
// at all, and what is rebuilt is what was lost.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("content"), uint8(3), uint8(2), uint16(5), uint16(9))
	f.Fuzz(func(t *testing.T, segment []byte, k, m uint8, lost, flip uint16) {
		if len(segment) == 0 {
			return
		}
		c, stored, tags := fuzzCode(t, segment, k, m)
		buf := bytes.Clone(stored)
		tagger, _ := NewTagger(&testSecrets().Tag)
		shards := c.Split(buf, len(segment))
		damaged := shards[int(flip)%len(shards)]
		damaged[int(flip)%len(damaged)] ^= 1
		have, good := make([]bool, len(shards)), 0
		for i, shard := range shards {
			have[i] = lost>>i&1 == 0 && tagger.Check(i, shard, tags[i])
			if have[i] {
				good++
			} else {
				clear(shard)
			}
		}
		err := c.Rebuild(buf, len(segment), have, c.Shards())
		if (err == nil) != (good >= c.Data()) || err == nil && !bytes.Equal(buf, stored) {
			t.Fatalf("%d of %d good: rebuild: %v", good, c.Data(), err)
		}
		got, err := c.Decode(buf, len(segment), have, testSecrets(), Position{})
		if (err == nil) != (good >= c.Data()) || err == nil && !bytes.Equal(got, segment) || err != nil && !errors.Is(err, ErrTooFewShards) {
			t.Fatalf("%d of %d good: %v", good, c.Data(), err)
		}
	})
}

// smallCodes are made once: to invert matrices is slow.
var smallCodes = sync.OnceValue(func() (codes [8][8]*Code) {
	for k := range codes {
		for m := range codes[k] {
			c, err := New(k+1, m+1)
			if err != nil {
				panic(err)
			}
			codes[k][m] = c
		}
	}
	return codes
})

// fuzzCode returns a small code and a segment in it.
func fuzzCode(t *testing.T, segment []byte, k, m uint8) (*Code, []byte, []Tag) {
	c := smallCodes()[k%8][m%8]
	stored, tags := encode(t, c, segment, Position{})
	return c, stored, tags
}

// FuzzDamagedShards damages any shards in any way and passes them off as good,
// at any position: no tag fits what changed, and no wrong byte comes out.
func FuzzDamagedShards(f *testing.F) {
	f.Add([]byte("content"), uint8(3), uint8(2), uint16(0), []byte{0, 0, 0, 0, 0, 0, 1}, byte(0))
	f.Add([]byte("content"), uint8(3), uint8(2), uint16(3), []byte{}, byte(1))
	f.Add([]byte("content"), uint8(1), uint8(1), uint16(1), []byte{}, byte(130))
	f.Fuzz(func(t *testing.T, segment []byte, k, m uint8, lost uint16, damage []byte, at byte) {
		if len(segment) == 0 {
			return
		}
		c, stored, tags := fuzzCode(t, segment, k, m)
		buf := bytes.Clone(stored)
		for i := range min(len(damage), len(buf)) {
			buf[i] ^= damage[i]
		}
		tagger, _ := NewTagger(&testSecrets().Tag)
		before, shards := c.Split(stored, len(segment)), c.Split(buf, len(segment))
		have, bad := make([]bool, len(shards)), at != 0
		for i, shard := range shards {
			have[i] = lost>>i&1 == 0
			same := bytes.Equal(shard, before[i])
			if tagger.Check(i, shard, tags[i]) != same {
				t.Fatalf("shard %d: its tag fits, unlike its bytes, or the other way round", i)
			}
			if next := (i + 1) % len(shards); tagger.Check(next, shard, tags[i]) {
				t.Fatalf("shard %d passes for shard %d", i, next)
			}
			bad = bad || have[i] && !same
		}
		p := Position{Index: uint32(at & 0x7f), Last: at&0x80 != 0}
		got, err := c.Decode(buf, len(segment), have, testSecrets(), p)
		switch {
		case err == nil && (at != 0 || !bytes.Equal(got, segment)):
			t.Fatalf("wrong bytes: %q", got)
		case err != nil && (!bad && !errors.Is(err, ErrTooFewShards) || got != nil || !errors.Is(err, ErrTooFewShards) && !errors.Is(err, ErrSeal)):
			t.Fatalf("%q, %v", got, err)
		}
	})
}
