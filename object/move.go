package object

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"shardraid/vault"
)

// Move takes an object's shards from one backend to another, by name, or where
// to is "" to whichever the layout prefers. They are copied, not rebuilt; the
// old ones go when the new ones are known. When it returns nil no shard is left
// there, and the manifest is on m+1 other backends. What is damaged or cannot be
// judged is left to Repair, with an error.
func (s *Store) Move(ctx context.Context, key, from, to string, job *Job) error {
	ends, err := s.named([]string{from})
	if err == nil && to != "" {
		ends, err = s.named([]string{from, to})
	}
	if err == nil && from == to {
		err = fmt.Errorf("move from %s to itself", from)
	}
	if err != nil {
		return err
	}
	not := map[int]bool{}
	for i := range s.pool {
		not[i] = i == ends[0] || len(ends) > 1 && i != ends[1]
	}
	choose := func(r *relocation, segment int, src source) (int, error) {
		if src.at.backend != ends[0] {
			return -1, nil
		}
		target := s.target(r.v, r.inc, segment, src.shard, not)
		if target < 0 {
			return -1, errNoTaker
		}
		return target, nil
	}
	return s.moveObject(ctx, s.vault.ObjectID(key), ends, ends[:1], moving{choose: choose}, job)
}

// moving says what is moved.
type moving struct {
	// choose says to which backend a shard goes from where it is, -1 if it stays.
	choose func(r *relocation, segment int, src source) (to int, err error)
	// done is told of each that was put there, or could not be; nil for nobody.
	done func(r *relocation, segment int, src source, to int, err error)
}

var (
	errNoTaker = errors.New("no other active backend answers, has room, and has no shard of the segment or too many in its domain: add a backend, or make room")
	errLeaving = errors.New("it shall be emptied")
)

// moveObject moves shards of an object. The needed backends must answer; on
// those that shall be emptied nothing is left that the object needs.
func (s *Store) moveObject(ctx context.Context, id vault.ObjectID, needed, emptied []int, how moving, job *Job) error {
	s.askRooms(ctx)
	v, err := s.look(ctx, id, looking{prove: true, copies: len(s.pool)}, job)
	if err != nil {
		return err
	}
	if err := s.quorum(v, nil); err != nil {
		return err
	}
	for _, i := range needed {
		if v.errs[i] != nil {
			return fmt.Errorf("backend %s does not answer: %w", s.pool[i].Name, v.errs[i])
		}
	}
	var errs []error
	found := false
	for _, inc := range s.candidates(v) {
		st, why := s.judge(v, inc)
		if st < readable || inc.inDoubt() {
			errs = append(errs, fmt.Errorf("incarnation %s stays where it is: %w", inc.id, why))
			continue
		}
		found = true
		r := &relocation{store: s, job: job, v: v, inc: inc, leaving: emptied}
		if err := r.moveAll(ctx, how); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, r.spreadCopies(ctx), s.restoreMoves(ctx, v, inc, emptied))
	}
	if !found && len(errs) == 0 {
		_, err := s.best(v)
		return err
	}
	return joinLine(errs)
}

// spreadCopies makes sure that the manifest stands on m+1 backends that shall
// not be emptied. The copies on those stay: two movers that each count on a copy
// which the other deletes would leave too few.
func (r *relocation) spreadCopies(ctx context.Context) error {
	if len(r.leaving) == 0 {
		return nil
	}
	s := r.store
	leaving := func(i int) bool { return slices.Contains(r.leaving, i) }
	rest := slices.DeleteFunc(slices.Clone(r.inc.valid), leaving)
	_, err := s.spread(r.v, r.inc, rest, "its manifest", func(b *member) error {
		if leaving(s.index(b.ID)) {
			return errLeaving
		}
		return s.putManifest(ctx, b, r.inc.manifest)
	})
	return err
}

// moveAll moves what choose says of an incarnation; first what is on backends
// that shall be emptied, since what else is moved may take its place.
func (r *relocation) moveAll(ctx context.Context, how moving) error {
	var errs []error
	for _, first := range []bool{true, false} {
		errs = append(errs, r.eachShard(ctx, func(ctx context.Context, i, j int, held []place) error {
			for _, at := range held {
				if slices.Contains(r.leaving, at.backend) == first {
					return r.moveShard(ctx, i, source{shard: j, at: at}, held, how)
				}
			}
			return nil
		}))
	}
	return joinLine(errs)
}

// eachShard calls f with each shard and the places where it is.
func (r *relocation) eachShard(ctx context.Context, f func(ctx context.Context, i, j int, held []place) error) error {
	var errs []error
	for i, seg := range r.inc.manifest.Segments {
		for j := range seg.Shards {
			places := r.store.places(r.inc, i, j)
			errs = append(errs, f(ctx, i, j, r.store.held(r.inc, places)), r.step(ctx))
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return joinLine(append(errs, r.flush(ctx)))
}

func (r *relocation) moveShard(ctx context.Context, i int, src source, held []place, how moving) error {
	to, err := how.choose(r, i, src)
	for range 2 { // first our own moves are completed, then those of others
		if errors.Is(err, errNoTaker) && r.makeRoom(ctx, i, src.shard) {
			to, err = how.choose(r, i, src)
		}
	}
	if err != nil {
		return fmt.Errorf("move shard %d of segment %d from %s: %w", src.shard, i, r.store.pool[src.at.backend].Name, err)
	}
	if to < 0 {
		return nil
	}
	err = r.copyShard(ctx, i, src, to, held)
	if how.done != nil {
		how.done(r, i, src, to, err)
	}
	return err
}

// copyShard puts a shard on a backend, to replace the copies that are held. Who
// deletes a copy puts a later one first: so the latest stays, whoever moves.
func (r *relocation) copyShard(ctx context.Context, i int, src source, to int, held []place) error {
	s := r.store
	where := fmt.Sprintf("move shard %d of segment %d from %s", src.shard, i, s.pool[src.at.backend].Name)
	buf, err := s.budget.acquire(ctx, shardSize(r.inc.manifest, i))
	if err != nil {
		return context.Cause(ctx)
	}
	defer s.budget.release(buf)
	if err := s.readShard(ctx, r.inc.manifest, src.at, buf); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := r.put(ctx, i, src.shard, buf, to, held...); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}
