package object

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"shardraid/backends"
)

// Check reports whether the object could be rebuilt now. True means: k shards
// of every segment were seen, and the manifest is on m+1 backends. False means
// proved absent, twice. Everything else is an error that names the backends.
func (s *Store) Check(ctx context.Context, key string, job *Job) (bool, error) {
	for range 2 {
		here, err := s.checkOnce(ctx, key, job)
		if here || err != nil {
			return here, err
		}
	}
	return false, nil
}

func (s *Store) checkOnce(ctx context.Context, key string, job *Job) (bool, error) {
	id := s.vault.ObjectID(key)
	v, err := s.look(ctx, id, looking{prove: true, copies: s.parity + 1, patience: s.patience}, job)
	if err != nil {
		return false, err
	}
	if err := s.quorum(v, nil); err != nil {
		return false, err
	}
	best, why := absent, error(nil)
	for _, inc := range s.candidates(v) {
		st, err := s.judge(v, inc)
		if st == absent {
			st, err = s.unlisted(ctx, v, inc)
		}
		if st == readable && !inc.inDoubt() {
			if err = s.restoreCopies(ctx, v, inc, job); err == nil {
				st = present
			}
		}
		if st == present {
			job.placed(s.placement(inc))
			return true, nil
		}
		if st > best {
			best, why = st, err
		}
	}
	for _, inc := range v.incs { // those with no manifest that opened
		if st, err := s.judge(v, inc); st > best {
			best, why = st, err
		}
	}
	if best != absent {
		return false, why
	}
	return false, s.quorum(v, v.broken(s.diedHere(id)))
}

// unlisted looks by name for the shards without which an incarnation is lost.
// Listings lag, even on many backends at once, and what can be read is not
// absent.
func (s *Store) unlisted(ctx context.Context, v *view, inc *incarnation) (state, error) {
	for i := range inc.manifest.Segments {
		seen, hidden, _ := s.countShards(v, inc, i)
		need := inc.manifest.Data - seen - hidden
		if need <= 0 {
			continue
		}
		var at []place
		for j := range inc.manifest.Segments[i].Shards {
			places := s.places(inc, i, j)
			at = append(at, places...)
		}
		at = slices.DeleteFunc(at, func(at place) bool {
			_, listed := inc.shards[at]
			return listed || v.errs[at.backend] != nil || s.gone(ctx, v, at)
		})
		if len(at) < need {
			return absent, nil
		}
		return unknown, fmt.Errorf("backend %s does not list a shard that it may have: try again later", s.pool[at[0].backend].Name)
	}
	return absent, nil
}

// gone reports whether there is nothing of that name.
func (s *Store) gone(ctx context.Context, v *view, at place) bool {
	b := s.pool[at.backend]
	_, err := b.store.Get(ctx, b.path(v.id, at.Name), nil)
	return errors.Is(err, backends.ErrNotFound)
}

// restoreCopies puts copies of a manifest back until m+1 backends have one.
func (s *Store) restoreCopies(ctx context.Context, v *view, inc *incarnation, job *Job) error {
	have, err := s.spread(v, inc, inc.valid, "its manifest", func(b *member) error {
		err := s.putManifest(ctx, b, inc.manifest)
		if err == nil {
			job.debug("backend %s: put a copy of manifest %s back", b.Name, inc.id)
		}
		return err
	})
	inc.valid = have
	return err
}

// spread puts copies of a record on backends that have none until m+1 have
// one, and returns all that have. At most m of them may share a domain.
func (s *Store) spread(v *view, inc *incarnation, have []int, what string, put func(b *member) error) ([]int, error) {
	have = slices.Clone(have)
	perDomain := map[string]int{}
	for _, i := range have {
		perDomain[s.pool[i].Domain]++
	}
	var last error
	for _, i := range s.copyOrder(v, inc.manifest.Backends()) {
		if len(have) > s.parity {
			break
		}
		b := s.pool[i]
		if slices.Contains(have, i) || perDomain[b.Domain] >= s.parity {
			continue
		}
		if err := put(b); err != nil {
			last = err
			continue
		}
		have = append(have, i)
		perDomain[b.Domain]++
	}
	if len(have) > s.parity {
		return have, nil
	}
	if last == nil {
		last = errors.New("no other backend may take a copy")
	}
	return have, fmt.Errorf("%s is on %d of at least %d backends: %w", what, len(have), s.parity+1, last)
}
