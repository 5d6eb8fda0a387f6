package object

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
)

// sampleSegment compares the hashes of a segment's shards with those of the
// records, as far as backends report any, and reads some of the others.
func (s *Store) sampleSegment(ctx context.Context, inc *incarnation, i int, o ScrubOptions, found *scrubbed, job *Job) error {
	var here []place
	for j := range inc.manifest.Segments[i].Shards {
		places := s.places(inc, i, j)
		here = append(here, s.held(inc, places)...)
	}
	results := fanOut(here, func(at place) error { return s.sampleShard(ctx, inc, at, o, job) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for n, err := range results {
		switch {
		case err == nil:
			found.checked++
		case errors.Is(err, errDamagedShard):
			found.checked++
			found.damaged[here[n]] = true
			job.damaged(s.pool[here[n].backend].Name, "shard")
		case !errors.Is(err, errors.ErrUnsupported):
			found.unread[here[n]] = true
		}
	}
	return nil
}

// sampleShard returns errDamagedShard for one that is not what was stored, and
// errors.ErrUnsupported for one that was neither compared nor read.
func (s *Store) sampleShard(ctx context.Context, inc *incarnation, at place, o ScrubOptions, job *Job) error {
	b := s.pool[at.backend]
	if want := inc.hashOf(b.ID, at); want != "" && o.Hashes {
		got, err := b.store.Hash(ctx, b.path(inc.manifest.Object, at.Name))
		kind, _, _ := strings.Cut(want, ":")
		switch {
		case err == nil && got == want:
			return nil
		case err == nil && strings.HasPrefix(got, kind+":"):
			return errDamagedShard
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
			job.debug("backend %s: hash of shard %d of segment %d: %v", b.Name, at.Shard, at.Segment, err)
			return err
		}
	}
	if !drawn(o.Sample) {
		return errors.ErrUnsupported
	}
	buf, err := s.budget.acquire(ctx, shardSize(inc.manifest, int(at.Segment)))
	if err != nil {
		return context.Cause(ctx)
	}
	defer s.budget.release(buf)
	return s.readShard(ctx, inc.manifest, at, buf)
}

// hashOf returns the hash that a backend has reported when a shard was stored
// there, "" if none.
func (inc *incarnation) hashOf(backendID string, at place) string {
	if sh := inc.manifest.Segments[at.Segment].Shards[at.Shard]; sh.Backend == backendID && sh.Copy == at.Copy {
		return sh.Hash
	}
	for _, move := range inc.moves[shardID{at.Segment, at.Shard}] {
		if move.Backend == backendID && move.Copy == at.Copy {
			return move.Hash
		}
	}
	return ""
}

// drawn is true with probability p. No provider may foresee which shards it
// had better keep.
func drawn(p float64) bool {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return float64(binary.BigEndian.Uint64(b[:])>>11)/(1<<53) < p
}
