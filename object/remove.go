package object

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"shardraid/backends"
	"shardraid/manifest"
	"shardraid/vault"
)

// Remove removes the object for good. It succeeds if nothing is there, and if
// tombstones stand and fewer than k shards can be left anywhere.
func (s *Store) Remove(ctx context.Context, key string, job *Job) error {
	v, err := s.look(ctx, s.vault.ObjectID(key), looking{prove: true, copies: 1}, job)
	if err != nil {
		return err
	}
	if err := s.quorum(v, v.broken(s.diedHere(v.id))); err != nil {
		return err
	}
	var errs []error
	for _, inc := range s.condemned(v) {
		if inc.newer != nil && inc.manifest == nil {
			errs = append(errs, inc.newer)
			continue
		}
		if err := s.bury(ctx, v, inc, job); err != nil {
			errs = append(errs, err)
		}
	}
	return joinLine(errs)
}

// condemned returns the incarnations that a removal must bury, older ones
// first: an old one must not come back when its successor is gone.
func (s *Store) condemned(v *view) []*incarnation {
	var list []*incarnation
	for _, inc := range v.sorted() {
		if len(inc.copies)+len(inc.tombAt) > 0 {
			list = append(list, inc)
		}
	}
	for _, inc := range slices.Clone(list) {
		if inc.manifest == nil {
			continue
		}
		for _, old := range inc.manifest.Supersedes {
			if v.incs[old] == nil { // not seen, yet it may lie where we cannot look
				v.incs[old] = &incarnation{id: old, shards: map[place]int64{}}
				list = append(list, v.incs[old])
			}
		}
	}
	age := map[vault.Incarnation]int{}
	for _, inc := range list {
		if inc.manifest != nil {
			for _, old := range inc.manifest.Supersedes {
				age[old]++
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *incarnation) int { return age[b.id] - age[a.id] })
	return list
}

// buryAll buries what a store has superseded. What it cannot do now is left
// for the collector: readers prefer the new incarnation anyhow.
func (s *Store) buryAll(ctx context.Context, v *view, ids []vault.Incarnation, job *Job) {
	for _, inc := range s.condemned(v) {
		if slices.Contains(ids, inc.id) {
			if err := s.bury(ctx, v, inc, job); err != nil {
				job.debug("superseded incarnation %s stays for now: %v", inc.id, err)
			}
		}
	}
}

// bury writes the tombstones of an incarnation and deletes what it had.
func (s *Store) bury(ctx context.Context, v *view, inc *incarnation, job *Job) error {
	if err := s.putTombstones(ctx, v, inc); err != nil {
		return err
	}
	left := s.deleteAll(ctx, v, inc.shardFiles(), job)
	if unread := s.deleteAll(ctx, v, slices.Concat(inc.copies, inc.moveAt), job); len(unread) > 0 {
		job.debug("incarnation %s: %d records stay under their tombstones", inc.id, len(unread))
	}
	return s.shardsRemain(v, inc, left)
}

// shardFiles returns where files with shards lie, sorted.
func (inc *incarnation) shardFiles() []place {
	return slices.SortedFunc(maps.Keys(inc.shards), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.backend, b.backend), cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Shard, b.Shard), bytes.Compare(a.Copy[:], b.Copy[:]))
	})
}

// putTombstones puts a tombstone on every backend that answers and has none,
// on all but at most m of the pool.
func (s *Store) putTombstones(ctx context.Context, v *view, inc *incarnation) error {
	e := &QuorumError{Need: max(len(s.pool)-s.silence, s.parity+1), What: "tombstones stand; try again when more backends answer"}
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		if slices.Contains(inc.tombs, i) {
			return nil
		}
		if v.errs[i] != nil {
			return v.errs[i]
		}
		message, err := manifest.SealTombstone(s.vault, v.id, inc.id)
		if err != nil {
			return err
		}
		_, err = b.putRecord(ctx, v.id, inc.id, manifest.KindTombstone, message)
		return err
	})
	for i, err := range errs {
		if err == nil {
			e.Have++
		} else {
			e.Causes = append(e.Causes, Cause{s.pool[i].Name, err})
		}
	}
	if e.Have < e.Need {
		return e
	}
	return nil
}

// deleteAll deletes files and returns those that may still be there.
func (s *Store) deleteAll(ctx context.Context, v *view, places []place, job *Job) (left []place) {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(32)
	for _, at := range places {
		g.Go(func() error {
			b := s.pool[at.backend]
			err := b.store.Remove(ctx, b.path(v.id, at.Name))
			if err != nil && !errors.Is(err, backends.ErrNotFound) {
				job.debug("backend %s: %v", b.Name, err)
				mu.Lock()
				left = append(left, at)
				mu.Unlock()
			} else if err == nil {
				b.count(-v.size(at))
			}
			return nil
		})
	}
	g.Wait() // nobody returns an error
	return left
}

// size is that of a file as it was listed, 0 where it was not.
func (v *view) size(at place) int64 {
	for _, f := range v.files[at.backend] {
		if f.Name == at.Name {
			return max(f.size, 0)
		}
	}
	return 0
}

// shardsRemain returns an error if k shards of some segment may be left:
// where a deletion failed, and where a backend is silent.
func (s *Store) shardsRemain(v *view, inc *incarnation, left []place) error {
	if inc.manifest != nil && inc.manifest.Inlined() {
		return nil // the tombstones alone decide
	}
	perSegment := map[uint32]int{}
	most := 0
	for _, at := range left {
		perSegment[at.Segment]++
		most = max(most, perSegment[at.Segment])
	}
	k := s.layout.LeastData
	if inc.manifest != nil {
		k = inc.manifest.Data
	}
	if v.silent+most < k {
		return nil // a silent backend holds one shard of a segment at most
	}
	if inc.manifest != nil {
		for i := range inc.manifest.Segments {
			if err := s.segmentRemains(v, inc, i, perSegment[uint32(i)]); err != nil {
				return err
			}
		}
		return nil
	}
	return s.shortOf(v, v.silent+most, k, "shards may be left and could bring it back; try again when these backends answer")
}

func (s *Store) segmentRemains(v *view, inc *incarnation, segment, left int) error {
	_, _, missing := s.countShards(v, inc, segment)
	hidden := 0 // also what is seen elsewhere, for that was deleted just now
	for j := range inc.manifest.Segments[segment].Shards {
		places := s.places(inc, segment, j)
		if slices.ContainsFunc(places, func(at place) bool { return v.errs[at.backend] != nil }) {
			hidden++
		}
	}
	if hidden+left < inc.manifest.Data {
		return nil
	}
	return &QuorumError{Have: hidden + left, Need: inc.manifest.Data, What: fmt.Sprintf("shards of segment %d may be left and could bring it back; try again when these backends answer", segment), Causes: missing}
}

// joinLine joins errors on one line.
func joinLine(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	return fmt.Errorf("%w (and %d more like it)", errs[0], len(errs)-1)
}
