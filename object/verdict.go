package object

import (
	"errors"
	"fmt"
	"slices"

	"shardraid/erasure"
	"shardraid/manifest"
)

// state is what can be said of an incarnation, or of an object.
type state int

const (
	absent   state = iota // removed, or provably not rebuildable
	unknown               // neither proved
	readable              // could be rebuilt, but must not be called present
	present               // could be rebuilt now, and its manifest is safe
)

// judge says what a look proved about an incarnation (docs/format.md,
// section 11). It is only as good as the look: without proofs, absent is
// "not seen".
func (s *Store) judge(v *view, inc *incarnation) (state, error) {
	if len(inc.tombs) > s.silence { // no more than that can be hidden
		return absent, nil
	}
	if inc.manifest == nil {
		if inc.newer != nil {
			return unknown, inc.newer
		}
		if len(inc.unread) > 0 {
			return unknown, fmt.Errorf("the manifest on %s cannot be read", s.list(inc.unread))
		}
		return absent, nil // every copy seen is damaged: they count as lost
	}
	if lost, err := s.shardsLeft(v, inc); err != nil {
		if lost {
			return absent, err
		}
		return unknown, err
	}
	switch {
	case len(inc.tombs) > 0:
		return readable, errors.New("a removal was begun and not finished: git annex drop finishes it")
	case len(inc.doubt) > 0:
		return readable, fmt.Errorf("a record of its removal on %s cannot be read", s.list(inc.doubt))
	case len(inc.dooms) > 0:
		return readable, errors.New("it is being collected")
	case len(inc.valid) <= s.parity:
		return readable, fmt.Errorf("its manifest is on %d of at least %d backends", len(inc.valid), s.parity+1)
	}
	return present, nil
}

// inDoubt reports whether any verdict on an incarnation was seen, or may be
// there: it is not to be taken over, nor worked on.
func (inc *incarnation) inDoubt() bool {
	return len(inc.tombs)+len(inc.dooms)+len(inc.doubt) > 0
}

// shardsLeft returns nil if every segment has k shards that were seen, else
// why not; lost is true if it could not be had even if every silent backend
// came back.
func (s *Store) shardsLeft(v *view, inc *incarnation) (lost bool, err error) {
	for i := range inc.manifest.Segments {
		seen, hidden, missing := s.countShards(v, inc, i)
		if seen >= inc.manifest.Data {
			continue
		}
		e := &QuorumError{Have: seen, Need: inc.manifest.Data, What: fmt.Sprintf("shards of segment %d were seen", i), Causes: missing}
		if seen+hidden < inc.manifest.Data {
			return true, e
		}
		err = e
	}
	return false, err
}

var (
	errNoShard  = errors.New("its shard is not there or has a wrong size")
	errTwoSizes = errors.New("it has two shards of one name: delete both there, and repair")
)

// countShards counts the shards of a segment: seen in a listing with their
// exact size at a place that a record names; hidden, which may be where we
// cannot look.
func (s *Store) countShards(v *view, inc *incarnation, segment int) (seen, hidden int, missing []Cause) {
	for i := range inc.manifest.Segments[segment].Shards {
		places := s.places(inc, segment, i)
		here, maybe := false, false
		var cause *Cause
		for _, at := range places {
			switch {
			case inc.shards[at] == twoSizes:
				maybe = true
				cause = &Cause{s.pool[at.backend].Name, errTwoSizes}
			case v.errs[at.backend] != nil:
				maybe = true
				cause = &Cause{s.pool[at.backend].Name, v.errs[at.backend]}
			case s.hasSize(inc, at):
				here = true
			case cause == nil:
				cause = &Cause{s.pool[at.backend].Name, errNoShard}
			}
		}
		if here {
			seen++
			continue
		}
		if maybe || len(s.strays(inc, segment, i)) > 0 {
			hidden++
		}
		if cause != nil {
			missing = append(missing, *cause)
		}
	}
	return seen, hidden, missing
}

// strays returns where a shard lies in a copy of the right size that no record
// need name. It reads the whole listing: ask only for a shard that is not where
// it should be.
func (s *Store) strays(inc *incarnation, segment, shard int) (list []place) {
	for at := range inc.shards {
		if at.Segment == uint32(segment) && at.Shard == uint8(shard) && s.hasSize(inc, at) {
			list = append(list, at)
		}
	}
	slices.SortFunc(list, func(a, b place) int { return a.backend - b.backend })
	return list
}

// places returns where the records say that a shard is. A backend that the
// layout does not have has left it, when nothing relied on it any more.
func (s *Store) places(inc *incarnation, segment, shard int) (places []place) {
	add := func(backendID string, c manifest.CopyID) {
		if backendID == "" {
			return
		}
		i := s.index(backendID)
		at := place{i, manifest.Name{Incarnation: inc.id, Kind: manifest.KindShard, Segment: uint32(segment), Shard: uint8(shard), Copy: c}}
		if i >= 0 && !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	sh := &inc.manifest.Segments[segment].Shards[shard]
	add(sh.Backend, sh.Copy)
	for _, move := range inc.moves[shardID{uint32(segment), uint8(shard)}] {
		add(move.Backend, move.Copy)
	}
	return places
}

// held returns those of a shard's places where it is listed with its size.
func (s *Store) held(inc *incarnation, places []place) []place {
	return slices.DeleteFunc(slices.Clone(places), func(at place) bool { return !s.hasSize(inc, at) })
}

func (s *Store) hasSize(inc *incarnation, at place) bool {
	size, ok := inc.shards[at]
	return ok && size == int64(shardSize(inc.manifest, int(at.Segment)))
}

// shardSize returns the size in bytes of each shard of a segment.
func shardSize(m *manifest.Manifest, segment int) int {
	if segment >= len(m.Segments) {
		return -1
	}
	return erasure.ShardSize(m.Segments[segment].Length, m.Data)
}

// candidates returns the incarnations that a reader may take, best first:
// live ones that no live one supersedes, then the others.
func (s *Store) candidates(v *view) []*incarnation {
	var list []*incarnation
	superseded := map[*incarnation]bool{}
	rank := map[*incarnation]int{}
	for _, inc := range v.sorted() {
		st, _ := s.judge(v, inc)
		if inc.manifest == nil || st == absent && len(inc.tombs) > s.silence {
			continue
		}
		list = append(list, inc)
		if st >= readable && len(inc.tombs) == 0 {
			for _, old := range inc.manifest.Supersedes {
				if o := v.incs[old]; o != nil {
					superseded[o] = true
				}
			}
		} else {
			rank[inc] += 2
		}
	}
	for inc := range superseded {
		rank[inc]++
	}
	slices.SortStableFunc(list, func(a, b *incarnation) int { return rank[a] - rank[b] })
	return list
}

// broken returns the backends whose copies of this object's records are
// damaged. To a proof of absence they count as silent. own is an incarnation
// of ours that never succeeded: its damage is that of our own death.
func (v *view) broken(own func(*incarnation) bool) (broken []int) {
	for _, inc := range v.incs {
		if own != nil && own(inc) {
			continue
		}
		for _, i := range inc.broken {
			broken = addBackend(broken, i)
		}
	}
	return broken
}

func (s *Store) list(indexes []int) string {
	text := ""
	for i, at := range indexes {
		if i > 0 {
			text += ", "
		}
		text += s.pool[at].Name
	}
	return text
}
