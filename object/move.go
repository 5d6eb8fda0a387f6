package object

import (
	"context"
	"fmt"
)

// Move takes an object's shards from one backend to another, by name, or where
// to is "" to whichever the layout prefers. Shards are copied, not rebuilt; the
// old ones go when the new ones are known. Shards that are damaged, or not
// there, are left to Repair.
func (s *Store) Move(ctx context.Context, key, from, to string, job *Job) error {
	ends, err := s.named([]string{from})
	if err == nil && to != "" {
		ends, err = s.named([]string{from, to})
	}
	if err != nil {
		return err
	}
	v, err := s.look(ctx, s.vault.ObjectID(key), looking{prove: true, copies: s.parity + 1}, job)
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
		if st, _ := s.judge(v, inc); st < readable || inc.inDoubt() {
			continue
		}
		found = true
		r := &relocation{store: s, job: job, v: v, inc: inc}
		errs = append(errs, r.moveAll(ctx, ends))
	}
	if !found {
		_, err := s.best(v)
		return err
	}
	return joinLine(errs)
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
					errs = append(errs, r.moveShard(ctx, i, source{j, at}, ends[1:]), r.step(ctx))
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
