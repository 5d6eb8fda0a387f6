package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"shardraid/erasure"
	"shardraid/vault"
)

var (
	// ErrInvalid is returned for a record that does not hold what it should.
	// Like vault.ErrRecord it makes this copy a lost one.
	ErrInvalid = errors.New("record is not valid")
	// ErrNewer is returned for a manifest that needs a newer shardraid.
	ErrNewer = errors.New("written by a newer shardraid")
)

const (
	// MaxBody is the largest manifest, in bytes before encryption.
	MaxBody = 8 << 20
	// MaxInline is the largest inlined content, in bytes.
	MaxInline = 1 << 20
)

// Manifest says how to rebuild one incarnation of an object.
type Manifest struct {
	Object      vault.ObjectID
	Incarnation vault.Incarnation
	Data        int // k
	Parity      int // m
	Segments    []Segment
	Supersedes  []vault.Incarnation

	// The sealed part: owners only.
	Key     string // git-annex's key
	Size    int64  // of the content, in bytes
	Content []byte // inlined content, where there are no segments
}

// Segment is one segment of an object and where its shards are.
type Segment struct {
	Length int // in bytes before sealing, padding included
	Nonce  [12]byte
	TagKey [32]byte
	Shards []Shard // k+m
}

// Shard is one shard. Backend is "" where it is not stored yet; its tag is
// known all the same, for whoever rebuilds it.
type Shard struct {
	Backend string // id
	Copy    CopyID
	Tag     erasure.Tag
	Hash    string // "md5:…" as the backend reports it, or ""
}

// Inlined reports whether the content lies in the manifest itself.
func (m *Manifest) Inlined() bool { return len(m.Segments) == 0 }

// Backends returns the ids of the backends that hold shards, sorted.
func (m *Manifest) Backends() []string {
	var ids []string
	for _, seg := range m.Segments {
		for _, sh := range seg.Shards {
			if sh.Backend != "" {
				ids = append(ids, sh.Backend)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Offset returns where a segment begins in the content. The padding is at the
// end of the last one.
func (m *Manifest) Offset(segment int) int64 {
	var at int64
	for i := range segment {
		at += int64(m.Segments[i].Length)
	}
	return at
}

// ContentLength returns how many bytes of a segment are content.
func (m *Manifest) ContentLength(segment int) int {
	if segment == len(m.Segments)-1 {
		return int(m.Size - m.Offset(segment))
	}
	return m.Segments[segment].Length
}

// validate checks all that can be checked without asking anybody.
func (m *Manifest) validate() error {
	if m.Data < 1 || m.Parity < 1 || m.Data+m.Parity > erasure.MaxShards {
		return fmt.Errorf("%w: code %d+%d", ErrInvalid, m.Data, m.Parity)
	}
	if m.Size < 0 || m.Key == "" {
		return fmt.Errorf("%w: key or size missing", ErrInvalid)
	}
	if slices.Contains(m.Supersedes, m.Incarnation) {
		return fmt.Errorf("%w: supersedes itself", ErrInvalid)
	}
	if m.Inlined() {
		if int64(len(m.Content)) != m.Size || m.Size > MaxInline {
			return fmt.Errorf("%w: inlined content of %d bytes for a size of %d", ErrInvalid, len(m.Content), m.Size)
		}
		return nil
	}
	if len(m.Content) != 0 {
		return fmt.Errorf("%w: both segments and inlined content", ErrInvalid)
	}
	rest := m.Size
	for i := range m.Segments {
		if err := m.validateSegment(i, rest); err != nil {
			return err
		}
		rest -= int64(m.Segments[i].Length)
	}
	return nil
}

// validateSegment checks a segment that begins rest bytes before the
// content's end.
func (m *Manifest) validateSegment(i int, rest int64) error {
	seg := &m.Segments[i]
	if seg.Length < 1 || seg.Length > erasure.MaxSegment || rest < 1 {
		return fmt.Errorf("%w: segment %d has length %d with %d bytes of content left", ErrInvalid, i, seg.Length, rest)
	}
	if i < len(m.Segments)-1 {
		if int64(seg.Length) >= rest {
			return fmt.Errorf("%w: segment %d reaches beyond the content", ErrInvalid, i)
		}
	} else if rest > erasure.MaxSegment || erasure.Padded(int(rest)) != seg.Length {
		return fmt.Errorf("%w: last segment has length %d for %d bytes", ErrInvalid, seg.Length, rest)
	}
	if len(seg.Shards) != m.Data+m.Parity {
		return fmt.Errorf("%w: segment %d has %d shards", ErrInvalid, i, len(seg.Shards))
	}
	var ids []string
	for _, sh := range seg.Shards {
		if (sh.Backend == "") != (sh.Copy == CopyID{}) {
			return fmt.Errorf("%w: segment %d has a shard with half a place", ErrInvalid, i)
		}
		if sh.Backend == "" {
			continue
		}
		if !validBackendID(sh.Backend) || len(sh.Hash) > 200 || slices.Contains(ids, sh.Backend) {
			return fmt.Errorf("%w: segment %d has a bad or repeated backend", ErrInvalid, i)
		}
		ids = append(ids, sh.Backend)
	}
	if len(ids) < m.Data {
		return fmt.Errorf("%w: segment %d has %d shards stored, fewer than %d", ErrInvalid, i, len(ids), m.Data)
	}
	return nil
}

func validBackendID(id string) bool {
	return len(id) == 13 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// EstimateBody returns about how many bytes the manifest of an object of so
// many segments and shards takes, rather more than fewer.
func EstimateBody(segments int64, shards int) int64 {
	return 4<<10 + segments*int64(160+shards*200)
}
