package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	v, err := s.look(ctx, s.vault.ObjectID(key), looking{prove: true, copies: len(s.pool)}, job)
	if err != nil {
		return err
	}
	if err := s.quorum(v, nil); err != nil {
		return err
	}
	for _, i := range ends {
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
		r := &relocation{store: s, job: job, v: v, inc: inc}
		if err := r.moveAll(ctx, ends); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, r.spreadCopies(ctx, ends[0]))
	}
	if !found && len(errs) == 0 {
		_, err := s.best(v)
		return err
	}
	return joinLine(errs)
}

// spreadCopies makes sure that the manifest stands on m+1 other backends. The
// copies on this one stay: two movers that each count on a copy which the other
// deletes would leave too few.
func (r *relocation) spreadCopies(ctx context.Context, from int) error {
	s := r.store
	rest := slices.DeleteFunc(slices.Clone(r.inc.valid), func(i int) bool { return i == from })
	_, err := s.spread(r.v, r.inc, rest, "its manifest", func(b *member) error {
		if b == s.pool[from] {
			return errors.New("it shall be emptied")
		}
		return s.putManifest(ctx, b, r.inc.manifest)
	})
	return err
}

// moveAll moves what an incarnation has on ends[0], to ends[1] where there is
// one.
func (r *relocation) moveAll(ctx context.Context, ends []int) error {
	var errs []error
	for i, seg := range r.inc.manifest.Segments {
		for j := range seg.Shards {
			places, _ := r.store.places(r.inc, i, j)
			for _, at := range places {
				if at.backend == ends[0] && r.store.hasSize(r.inc, at) {
					errs = append(errs, r.moveShard(ctx, i, source{shard: j, at: at}, ends[1:]), r.step(ctx))
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return joinLine(append(errs, r.flush(ctx)))
}

func (r *relocation) moveShard(ctx context.Context, i int, src source, to []int) error {
	s := r.store
	where := fmt.Sprintf("move shard %d of segment %d from %s", src.shard, i, s.pool[src.at.backend].Name)
	not := map[int]bool{src.at.backend: true}
	for k := range s.pool {
		not[k] = not[k] || len(to) > 0 && k != to[0]
	}
	target := s.target(r.v, r.inc, i, src.shard, not)
	if target < 0 {
		return fmt.Errorf("%s: no other backend may take it", where)
	}
	buf, err := s.budget.acquire(ctx, shardSize(r.inc.manifest, i))
	if err != nil {
		return context.Cause(ctx)
	}
	defer s.budget.release(buf)
	if err := s.readShard(ctx, r.inc.manifest, src.at, buf); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := r.put(ctx, i, src.shard, buf, target, src.at); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}
