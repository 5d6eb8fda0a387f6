package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"shardraid/erasure"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// RepairOptions say what a repair may do.
type RepairOptions struct {
	// Lost are the names of backends that a person has given up: what they
	// held is rebuilt elsewhere. They count among the silent ones.
	Lost []string
	// Emptied are the names of backends that have really lost much of what they
	// held, as a person says: else one that lacks too much is taken for ill.
	Emptied []string
	// Deep reads every shard, to find damage that listings do not show.
	Deep bool
}

// Repair brings an object back to all of its shards and records. It rebuilds
// what an answering backend does not have or has damaged, never what lies on
// one that is merely down. When it returns nil nothing is missing but what
// such backends have.
func (s *Store) Repair(ctx context.Context, key string, o RepairOptions, job *Job) (Health, error) {
	return s.repair(ctx, s.vault.ObjectID(key), o, job)
}

func (s *Store) repair(ctx context.Context, id vault.ObjectID, o RepairOptions, job *Job) (Health, error) {
	lost, err := s.named(o.Lost)
	if err != nil {
		return Health{}, err
	}
	emptied, err := s.named(o.Emptied)
	if err != nil {
		return Health{}, err
	}
	s.askRooms(ctx)
	v, err := s.look(ctx, id, looking{prove: true, copies: len(s.pool), without: lost, emptied: emptied}, job)
	if err != nil {
		return Health{}, err
	}
	if err := s.quorum(v, nil); err != nil {
		return Health{}, err
	}
	why := ErrAbsent
	for _, inc := range s.candidates(v) {
		st, err := s.judge(v, inc)
		if st >= readable && !inc.inDoubt() {
			return s.repairIncarnation(ctx, v, inc, lost, emptied, o.Deep, job)
		}
		if err != nil && why == ErrAbsent {
			why = err
		}
	}
	if why == ErrAbsent {
		_, why = s.best(v)
	}
	return Health{}, why
}

// Named returns an error unless there are backends of these names.
func (s *Store) Named(names ...string) error {
	_, err := s.named(names)
	return err
}

// named returns the indexes of backends by their names.
func (s *Store) named(names []string) (indexes []int, err error) {
	for _, name := range names {
		i := slices.IndexFunc(s.pool, func(b *member) bool { return b.Name == name })
		if i < 0 {
			var all []string
			for _, b := range s.pool {
				all = append(all, b.Name)
			}
			return nil, fmt.Errorf("no backend is called %s in the layout, which has %s", name, strings.Join(all, ", "))
		}
		indexes = addBackend(indexes, i)
	}
	return indexes, nil
}

func (s *Store) repairIncarnation(ctx context.Context, v *view, inc *incarnation, lost, emptied []int, deep bool, job *Job) (Health, error) {
	if err := s.restoreCopies(ctx, v, inc, job); err != nil {
		return s.health(v, inc, nil, nil, len(inc.valid)), err
	}
	r := &relocation{store: s, job: job, v: v, inc: inc, lost: lost, emptied: emptied}
	damaged := map[place]bool{}
	var errs []error
	for i := range inc.manifest.Segments {
		if missing := s.missing(v, inc, i); len(missing) > 0 || deep {
			errs = append(errs, r.repairSegment(ctx, i, missing, deep, damaged), r.step(ctx))
		}
		if errors.Is(joinLine(errs), errInterfered) {
			return s.health(v, inc, damaged, nil, len(inc.valid)), errInterfered
		}
		if ctx.Err() != nil {
			return s.health(v, inc, damaged, nil, len(inc.valid)), context.Cause(ctx)
		}
		job.progress(inc.manifest.Offset(i))
	}
	errs = append(errs, r.flush(ctx))
	errs = append(errs, s.restoreMoves(ctx, v, inc, nil))
	if err := joinLine(errs); err != nil {
		return s.health(v, inc, damaged, nil, len(inc.valid)), err
	}
	s.dropBroken(ctx, v, inc, job)
	return s.health(v, inc, damaged, nil, len(inc.valid)), nil
}

// missing returns the shards of a segment that have no backend of their own:
// each that should have it answers and has not, is given up, or is all that
// another shard has.
func (s *Store) missing(v *view, inc *incarnation, segment int) (shards []int) {
	has := s.matched(inc, segment, func(at place) bool { return s.hasSize(inc, at) || s.silent(v, at.backend) })
	for j, at := range has {
		if at < 0 {
			shards = append(shards, j)
		}
	}
	return shards
}

// repairSegment brings the missing shards of a segment back, and those that
// prove to be damaged.
func (r *relocation) repairSegment(ctx context.Context, i int, missing []int, deep bool, damaged map[place]bool) error {
	s, m := r.store, r.inc.manifest
	f, release, err := s.openFetch(ctx, r.v, r.inc, i, r.job)
	if err != nil {
		return err
	}
	defer release()
	missing = r.adoptStrays(ctx, f, missing)
	if len(missing) == 0 && !deep {
		return nil
	}
	read := f.readAll
	if !deep {
		read = func(ctx context.Context) error { return f.read(ctx, m.Data) }
	}
	if err := read(ctx); err != nil && (f.count() < m.Data || ctx.Err() != nil) {
		return err
	}
	instead := map[int][]place{} // damaged copies, by shard
	for _, src := range f.spoiled {
		damaged[src.at] = true
		instead[src.shard] = append(instead[src.shard], src.at)
		if !f.have[src.shard] && !slices.Contains(missing, src.shard) {
			missing = append(missing, src.shard)
		}
	}
	if deep {
		for _, src := range f.unread {
			return fmt.Errorf("segment %d: shard %d on %s is there and cannot be read: try again, or give the backend up", i, src.shard, s.pool[src.at.backend].Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := f.rebuild(ctx, missing); err != nil {
		return err
	}
	shards := f.code.Split(f.buf, m.Segments[i].Length)
	var errs []error
	for _, j := range missing {
		if err := r.place(ctx, i, j, shards[j], instead[j]); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, at := range instead[j] {
			delete(damaged, at)
		}
	}
	return joinLine(errs)
}

// adoptStrays names good copies of missing shards that no record names, and
// returns the shards that are still missing.
func (r *relocation) adoptStrays(ctx context.Context, f *fetch, missing []int) []int {
	return slices.DeleteFunc(slices.Clone(missing), func(j int) bool {
		for _, at := range r.store.strays(r.inc, f.id, j) {
			crowded, perDomain := r.store.around(r.inc, f.id, j)
			if crowded[at.backend] || perDomain[r.store.pool[at.backend].Domain] >= r.store.parity {
				continue
			}
			if f.readShard(ctx, source{shard: j, at: at}) == nil {
				f.have[j] = true
				r.adopt(at)
				return true
			}
		}
		return false
	})
}

// place stores a rebuilt shard on the first backend that takes it.
func (r *relocation) place(ctx context.Context, segment, shard int, data []byte, instead []place) error {
	not := map[int]bool{}
	e := &QuorumError{Need: 1, What: fmt.Sprintf("backends take shard %d of segment %d", shard, segment)}
	for {
		to := r.store.target(r.v, r.inc, segment, shard, not)
		for range 2 { // first our own moves are completed, then those of others
			if to < 0 && r.makeRoom(ctx, segment, shard) {
				to = r.store.target(r.v, r.inc, segment, shard, not)
			}
		}
		if to < 0 {
			_, full := r.store.takers(r.v, r.inc, segment, shard, not)
			e.Causes = append(e.Causes, full...)
			return e
		}
		err := r.put(ctx, segment, shard, data, to, instead...)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		not[to] = true
		e.Causes = append(e.Causes, Cause{r.store.pool[to].Name, err})
	}
}

// makeRoom gives a backend back that has a second copy of another shard: a move
// was cut off between its record and the deletion. It is made anew, for a copy
// is deleted only by who has put another one.
func (r *relocation) makeRoom(ctx context.Context, segment, shard int) bool {
	if len(r.done) > 0 { // it may be one of ours
		return r.flush(ctx) == nil
	}
	for j := range r.inc.manifest.Segments[segment].Shards {
		places := r.store.places(r.inc, segment, j)
		places = r.store.held(r.inc, places)
		last := len(places) - 1
		if j == shard || last < 1 || places[0].backend == places[last].backend || r.store.pool[places[last].backend].State != layout.Active {
			continue
		}
		keep := places[last].backend // where it was moved to
		data := make([]byte, shardSize(r.inc.manifest, segment))
		if r.store.readShard(ctx, r.inc.manifest, places[0], data) != nil || r.put(ctx, segment, j, data, keep, places...) != nil {
			continue
		}
		return r.flush(ctx) == nil
	}
	return false
}

// rebuild fills the missing shards in from those in buf, and makes sure that
// they are the ones that the manifest means.
func (f *fetch) rebuild(ctx context.Context, missing []int) error {
	if err := f.store.cpu.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer f.store.cpu.Release(1)
	seg := &f.inc.manifest.Segments[f.id]
	if err := f.code.Rebuild(f.buf, seg.Length, f.have, f.code.Shards()); err != nil {
		return fmt.Errorf("segment %d: %w", f.id, err)
	}
	tagger, err := erasure.NewTagger(&seg.TagKey)
	if err != nil {
		return err
	}
	shards := f.code.Split(f.buf, seg.Length)
	for _, j := range missing {
		if !tagger.Check(j, shards[j], seg.Shards[j].Tag) {
			return fmt.Errorf("segment %d: shard %d, rebuilt, is not the one that was stored: a shard on one of %s is false", f.id, j, f.holders())
		}
	}
	return nil
}

// poorMoves returns the moves that say alone where a shard is and stand on fewer
// than m+1 backends that are not leaving, by who has them.
func (s *Store) poorMoves(v *view, inc *incarnation, leaving []int) map[string][]told {
	poor := map[string][]told{}
	for _, moves := range inc.moves {
		for _, move := range moves {
			at := place{s.index(move.Backend), manifest.Name{Incarnation: inc.id, Kind: manifest.KindShard, Segment: move.Segment, Shard: move.Shard, Copy: move.Copy}}
			move.holders = slices.DeleteFunc(slices.Clone(move.holders), func(i int) bool { return slices.Contains(leaving, i) })
			if at.backend >= 0 && len(move.holders) <= s.parity && (s.silent(v, at.backend) || s.hasSize(inc, at)) {
				holders := fmt.Sprint(slices.Sorted(slices.Values(move.holders)))
				poor[holders] = append(poor[holders], move)
			}
		}
	}
	return poor
}

// restoreMoves puts records back that are the only ones to say where a shard
// is, until m+1 backends have them that are not leaving.
func (s *Store) restoreMoves(ctx context.Context, v *view, inc *incarnation, leaving []int) error {
	poor := s.poorMoves(v, inc, leaving)
	var errs []error
	for _, holders := range sortedKeys(poor) {
		for batch := range slices.Chunk(poor[holders], maxBatch) {
			var moves []manifest.Move
			for _, move := range batch {
				moves = append(moves, move.Move)
			}
			holders, err := s.putMoves(ctx, v, inc, moves, batch[0].holders, leaving)
			for _, move := range moves {
				inc.learn(move, holders...)
			}
			errs = append(errs, err)
		}
	}
	return joinLine(errs)
}

// dropBroken deletes damaged copies of a manifest that has enough good ones:
// they would stand in the way of a proof of absence.
func (s *Store) dropBroken(ctx context.Context, v *view, inc *incarnation, job *Job) {
	s.deleteAll(ctx, v, slices.DeleteFunc(slices.Clone(inc.copies), func(at place) bool {
		return !slices.Contains(inc.broken, at.backend) || slices.Contains(inc.valid, at.backend)
	}), job)
}
