package erasure

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/reedsolomon"
)

const (
	// MaxShards is the largest k+m: one byte numbers the shards.
	MaxShards = 255
	// SealSize is how many bytes sealing adds to a segment: the GCM tag.
	SealSize = 16
	// MaxSegment is the largest segment, in bytes before sealing.
	MaxSegment = 32 << 20
)

var (
	// ErrTooFewShards is returned where fewer than k shards are at hand.
	ErrTooFewShards = errors.New("too few shards")
	// ErrSeal is returned where the rebuilt segment is not what was sealed.
	ErrSeal = errors.New("segment does not authenticate")
)

// Tag is the GMAC of one shard (docs/format.md, section 7).
type Tag [16]byte

// Secrets are what one segment is sealed and its shards are tagged with.
type Secrets struct {
	Content [32]byte // seals the segment; of the incarnation
	Tag     [32]byte // tags its shards; of this segment alone
	Nonce   [12]byte // of this segment; random, never used twice
}

// Position is where a segment belongs. It is bound into the seal, so that
// segments cannot be swapped, repeated or cut off.
type Position struct {
	Incarnation [16]byte
	Index       uint32
	Last        bool
}

func (p Position) associatedData() []byte {
	ad := binary.BigEndian.AppendUint32(p.Incarnation[:len(p.Incarnation):len(p.Incarnation)], p.Index)
	if p.Last {
		return append(ad, 1)
	}
	return append(ad, 0)
}

// Code codes segments into data+parity shards. It is safe for concurrent use.
type Code struct {
	data, parity int
	rs           reedsolomon.Encoder
}

// New returns the code of data+parity shards (docs/format.md, section 6).
func New(data, parity int) (*Code, error) {
	if data < 1 || parity < 1 || data+parity > MaxShards {
		return nil, fmt.Errorf("erasure code %d+%d: data and parity must be at least 1 and their sum at most %d", data, parity, MaxShards)
	}
	// One goroutine a call: segments are coded in parallel, not parts of them.
	rs, err := reedsolomon.New(data, parity, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("erasure code %d+%d: %w", data, parity, err)
	}
	return &Code{data: data, parity: parity, rs: rs}, nil
}

// Data returns k.
func (c *Code) Data() int { return c.data }

// Shards returns k+m.
func (c *Code) Shards() int { return c.data + c.parity }

// ShardSize returns the size in bytes of each shard of a segment of length
// bytes, of which data shards are needed.
func ShardSize(length, data int) int { return (length + SealSize + data - 1) / data }

// ShardSize returns the size in bytes of each shard of a segment of length
// bytes.
func (c *Code) ShardSize(length int) int { return ShardSize(length, c.data) }

// BufferSize returns the size in bytes of the buffer that Encode and Decode
// work in for a segment of length bytes: all k+m shards, one after another.
func (c *Code) BufferSize(length int) int { return c.Shards() * c.ShardSize(length) }

// Split returns the k+m shards of a segment of length bytes as parts of buf,
// which has at least BufferSize(length) bytes.
func (c *Code) Split(buf []byte, length int) [][]byte {
	size := c.ShardSize(length)
	shards := make([][]byte, c.Shards())
	for i := range shards {
		shards[i] = buf[i*size : (i+1)*size : (i+1)*size]
	}
	return shards
}

// Encode seals the segment in buf[:length] in place, codes it and tags it.
// The shards are parts of buf, which must have BufferSize(length) bytes.
func (c *Code) Encode(buf []byte, length int, s *Secrets, p Position) (shards [][]byte, tags []Tag, err error) {
	aead, err := newGCM(&s.Content)
	if err != nil {
		return nil, nil, err
	}
	sealed := aead.Seal(buf[:0], s.Nonce[:], buf[:length], p.associatedData())
	shards = c.Split(buf, length)
	clear(buf[len(sealed) : c.data*len(shards[0])])
	if err := c.rs.Encode(shards); err != nil {
		return nil, nil, fmt.Errorf("encode segment %d: %w", p.Index, err)
	}
	tagger, err := NewTagger(&s.Tag)
	if err != nil {
		return nil, nil, err
	}
	tags = make([]Tag, len(shards))
	for i, shard := range shards {
		tags[i] = tagger.Tag(i, shard)
	}
	return shards, tags, nil
}

// Decode brings the segment of length bytes back from its shards and returns
// it as a part of buf. buf has BufferSize(length) bytes; shard i lies at its
// place of Split where have[i] is true, and any k of them are enough. The
// shards' tags must have been checked. buf is used up, whatever the result.
func (c *Code) Decode(buf []byte, length int, have []bool, s *Secrets, p Position) ([]byte, error) {
	if err := c.Rebuild(buf, length, have, c.data); err != nil {
		return nil, err
	}
	aead, err := newGCM(&s.Content)
	if err != nil {
		return nil, err
	}
	segment, err := aead.Open(buf[:0], s.Nonce[:], buf[:length+SealSize], p.associatedData())
	if err != nil {
		return nil, fmt.Errorf("decode segment %d: %w", p.Index, ErrSeal)
	}
	return segment, nil
}

// Rebuild fills in the missing ones of the first n shards (k for the data
// shards alone) from the shards at hand. It needs no key.
func (c *Code) Rebuild(buf []byte, length int, have []bool, n int) error {
	shards := c.Split(buf, length)
	missing := make([]bool, len(shards))
	for i := range shards {
		if !have[i] {
			missing[i] = i < n
			shards[i] = shards[i][:0] // rebuilt in its place
		}
	}
	err := c.rs.ReconstructSome(shards, missing)
	if errors.Is(err, reedsolomon.ErrTooFewShards) || errors.Is(err, reedsolomon.ErrShardNoData) {
		return ErrTooFewShards
	}
	if err != nil {
		return fmt.Errorf("rebuild shards: %w", err)
	}
	return nil
}

// Tagger makes the tags of one segment's shards.
type Tagger struct{ aead cipher.AEAD }

// NewTagger returns the tagger of a segment's tag key.
func NewTagger(key *[32]byte) (*Tagger, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return &Tagger{aead}, nil
}

// Tag returns the tag of shard number index: GMAC with the index as nonce.
func (t *Tagger) Tag(index int, shard []byte) Tag {
	var nonce [12]byte
	binary.BigEndian.PutUint32(nonce[8:], uint32(index))
	var tag Tag
	t.aead.Seal(tag[:0], nonce[:], nil, shard)
	return tag
}

// Check reports whether shard number index has this tag.
func (t *Tagger) Check(index int, shard []byte, tag Tag) bool {
	got := t.Tag(index, shard)
	return subtle.ConstantTimeCompare(got[:], tag[:]) == 1
}

func newGCM(key *[32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
