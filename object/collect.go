package object

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"shardraid/manifest"
	"shardraid/vault"
)

// CollectOptions say what a collection knows and may do.
type CollectOptions struct {
	// Keys are all keys that may have been stored. The files of a store that
	// died name no object: only who knows the key can tell whose they are.
	Keys iter.Seq[string]
	// Lost are the names of backends that a person has given up. All others
	// must answer.
	Lost []string
	// Grace is how long files without a manifest are left alone after this
	// clone first saw them; 0 means 48 h, and that is the least that is safe
	// beside other clones.
	Grace time.Duration
	// DryRun only counts what would be deleted; what would be condemned first
	// is counted, too.
	DryRun bool
}

// Collected is what a collection has done and left.
type Collected struct {
	Files   int // deleted
	Young   int // incarnations without a manifest that may yet be completed
	Unknown int // directories of objects that nobody here knows
	Failed  int // objects that could not be dealt with
}

const (
	defaultGrace = 48 * time.Hour
	// deleteWithin is how long after its doom markers a collector deletes: a
	// marker may be taken back by others when that time is long over.
	deleteWithin = time.Hour
)

// collection is one run of the collector.
type collection struct {
	store *Store
	job   *Job
	lost  []int
	grace time.Duration
	dry   bool
	seen  *seen
	since time.Time // what is being deleted was looked at, or doomed, then
	Collected
}

// Collect deletes what dead stores and cut off removals have left. It touches
// no incarnation that has a manifest and was not removed or superseded.
func (s *Store) Collect(ctx context.Context, o CollectOptions, job *Job) (done Collected, err error) {
	c := &collection{store: s, job: job, grace: o.Grace, dry: o.DryRun}
	if c.grace == 0 {
		c.grace = defaultGrace
	}
	if c.lost, err = s.named(o.Lost); err != nil {
		return c.Collected, err
	}
	if len(c.lost) > s.silence {
		return c.Collected, fmt.Errorf("collect: %d backends are given up, and records may lie on %d alone: at most %d may be", len(c.lost), s.silence+1, s.silence)
	}
	if c.seen, err = s.openSeen(); err != nil {
		return c.Collected, err
	}
	defer func() { err = joinLine([]error{err, c.seen.close()}) }()
	dirs, err := c.listAll(ctx)
	if err != nil {
		return c.Collected, err
	}
	var errs []error
	for _, id := range c.identify(ctx, dirs, o.Keys) {
		if c.idle(id, dirs) {
			continue
		}
		if err := c.object(ctx, id); err != nil {
			c.Failed++
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return c.Collected, context.Cause(ctx)
		}
	}
	return c.Collected, joinLine(errs)
}

// listAll lists every backend, with proof; all that are not given up must
// answer.
func (c *collection) listAll(ctx context.Context) ([]map[string][]file, error) {
	s := c.store
	dirs := make([]map[string][]file, len(s.pool))
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) (err error) {
		if slices.Contains(c.lost, i) {
			return nil
		}
		dirs[i], err = b.listAll(ctx)
		return err
	})
	return dirs, c.all(errs)
}

// all returns an error unless every backend that is not given up has answered.
func (c *collection) all(errs []error) error {
	e := &QuorumError{Need: len(errs), What: "backends answer (a collection needs all that are not given up)"}
	for i, err := range errs {
		if err != nil && !slices.Contains(c.lost, i) {
			e.Causes = append(e.Causes, Cause{c.store.pool[i].Name, err})
		}
	}
	e.Have = e.Need - len(e.Causes)
	if len(e.Causes) > 0 {
		return e
	}
	return nil
}

// identify returns the objects whose directories were listed, as far as their
// records, or the keys, say which these are.
func (c *collection) identify(ctx context.Context, dirs []map[string][]file, keys iter.Seq[string]) (ids []vault.ObjectID) {
	s := c.store
	known := make([]map[string]bool, len(s.pool))
	for i := range known {
		known[i] = map[string]bool{}
	}
	add := func(id vault.ObjectID) {
		here := false
		for i, b := range s.pool {
			dir := b.names.Dir(id)
			if _, ok := dirs[i][dir]; ok && !known[i][dir] {
				known[i][dir], here = true, true
			}
		}
		if here {
			ids = append(ids, id)
		}
	}
	if keys != nil {
		for key := range keys {
			add(s.vault.ObjectID(key))
		}
	}
	for i, b := range s.pool {
		for _, dir := range sortedKeys(dirs[i]) {
			if known[i][dir] {
				continue
			}
			if id, ok := s.identify(ctx, b, dir, dirs[i][dir], c.job, manifest.KindManifest, manifest.KindTombstone, manifest.KindDoom, manifest.KindMove); ok {
				add(id)
			}
		}
	}
	for i := range s.pool {
		for dir, files := range dirs[i] {
			if !known[i][dir] && len(files) > 0 {
				c.Unknown++
			}
		}
	}
	return ids
}

// idle reports whether the listing alone shows that there is nothing to do: one
// incarnation, with more manifests than may be torn, no shard twice, and no
// verdict on it.
func (c *collection) idle(id vault.ObjectID, dirs []map[string][]file) bool {
	var only vault.Incarnation
	var manifests []int
	shards := map[shardID]bool{}
	for i, b := range c.store.pool {
		for _, f := range dirs[i][b.names.Dir(id)] {
			if only.IsZero() {
				only = f.Incarnation
			}
			if f.Incarnation != only || f.verdict() {
				return false
			}
			at := shardID{f.Segment, f.Shard}
			switch {
			case f.Kind == manifest.KindManifest:
				manifests = addBackend(manifests, i)
			case f.Kind == manifest.KindShard && shards[at]:
				return false
			case f.Kind == manifest.KindShard:
				shards[at] = true
			}
		}
	}
	return len(manifests) > c.store.silence || only.IsZero()
}

// object collects what one object has left.
func (c *collection) object(ctx context.Context, id vault.ObjectID) error {
	c.since = time.Now()
	v, err := c.look(ctx, id)
	if err != nil {
		return err
	}
	var errs []error
	buried := c.store.finished(v, len(c.lost))
	for _, inc := range buried {
		before := len(inc.shards) + len(inc.copies) + len(inc.moveAt)
		if c.dry {
			c.Files += before
			continue
		}
		if err := c.store.bury(ctx, v, inc, c.job); err != nil {
			errs = append(errs, err)
			continue
		}
		c.Files += before
	}
	for _, inc := range v.sorted() {
		if slices.Contains(buried, inc) {
			continue
		}
		if err := c.incarnation(ctx, v, inc); err != nil {
			errs = append(errs, err)
		}
	}
	return joinLine(errs)
}

// look asks every backend about an object; all that are not given up must
// answer.
func (c *collection) look(ctx context.Context, id vault.ObjectID) (*view, error) {
	v, err := c.store.look(ctx, id, looking{prove: true, copies: c.store.parity + 1, without: c.lost}, c.job)
	if err != nil {
		return nil, err
	}
	return v, c.all(v.errs)
}

// finished returns the incarnations of which nothing is needed any more, older
// ones first: those that were removed, with what they supersede, and those that
// a present one supersedes.
func (s *Store) finished(v *view, lost int) (list []*incarnation) {
	over := map[vault.Incarnation]bool{}
	for _, inc := range v.incs {
		st, _ := s.judge(v, inc)
		removed := len(inc.tombs) > s.silence // with fewer it is in doubt, and may have been stored since
		if removed {
			over[inc.id] = true
		}
		if inc.manifest != nil && (removed || st == present) {
			for _, old := range inc.manifest.Supersedes {
				over[old] = true
			}
		}
	}
	for _, inc := range s.condemned(v) {
		if over[inc.id] && inc.newer == nil && (len(inc.tombs) < len(s.pool)-lost || len(inc.shards)+len(inc.copies)+len(inc.moveAt) > 0) {
			list = append(list, inc)
		}
	}
	return list
}

// incarnation deals with one that was not removed.
func (c *collection) incarnation(ctx context.Context, v *view, inc *incarnation) error {
	switch {
	case len(inc.tombAt) > 0: // it was buried, or what is there does not open
		return nil
	case len(inc.copies) > 0 && !c.torn(inc):
		if len(inc.doomAt) > 0 {
			return c.delete(ctx, v, c.old(inc, inc.doomAt))
		}
		return c.tidy(ctx, v, inc)
	case c.seen.age(seenID{Incarnation: inc.id}) < c.grace:
		c.Young++
		return nil
	case len(inc.shards)+len(inc.moveAt)+len(inc.copies) == 0: // doom markers alone
		return c.delete(ctx, v, c.old(inc, inc.doomAt))
	}
	return c.condemn(ctx, v, inc)
}

// old returns those of an incarnation's files that were first seen longer ago
// than the grace time. Of doom markers: their collector died, or saw a
// manifest, and his time to delete is over.
func (c *collection) old(inc *incarnation, files []place) (old []place) {
	for _, at := range files {
		if c.seen.age(seenID{inc.id, at.Copy}) >= c.grace {
			old = append(old, at)
		} else {
			c.Young++
		}
	}
	return old
}

// torn reports whether an incarnation was never completed although there are
// copies of its manifest: they are damaged, and so few that none may be whole
// elsewhere. A writer puts m copies before the others.
func (c *collection) torn(inc *incarnation) bool {
	return inc.manifest == nil && inc.newer == nil && len(inc.unread) == 0 && len(inc.broken)+len(c.lost) <= c.store.silence
}

// tidy deletes copies of shards that no record names, where another one is
// there that some record does: a put whose answer was lost, a mover who died.
// Movers name what they have put within a day, or leave it.
func (c *collection) tidy(ctx context.Context, v *view, inc *incarnation) error {
	if inc.manifest == nil || inc.movesUnread {
		return nil
	}
	var files []place
	for _, at := range inc.shardFiles() {
		if int(at.Segment) >= len(inc.manifest.Segments) || int(at.Shard) >= len(inc.manifest.Segments[at.Segment].Shards) {
			continue // of nobody: no record can name it, and it tells nothing
		}
		places := c.store.places(inc, int(at.Segment), int(at.Shard))
		named := len(c.store.held(inc, places)) > 0
		if slices.Contains(places, at) || !named && c.store.hasSize(inc, at) {
			continue
		}
		files = append(files, at)
	}
	files = slices.DeleteFunc(c.old(inc, files), func(at place) bool {
		return c.store.hasSize(inc, at) && !c.hasGood(ctx, inc, at)
	})
	return c.delete(ctx, v, files)
}

// hasGood reads the shard of a stray where records say it is, and reports
// whether one of these is what was stored.
func (c *collection) hasGood(ctx context.Context, inc *incarnation, stray place) bool {
	s := c.store
	buf, err := s.budget.acquire(ctx, shardSize(inc.manifest, int(stray.Segment)))
	if err != nil {
		return false
	}
	defer s.budget.release(buf)
	places := s.places(inc, int(stray.Segment), int(stray.Shard))
	return slices.ContainsFunc(s.held(inc, places), func(at place) bool {
		return s.readShard(ctx, inc.manifest, at, buf) == nil
	})
}

// condemn marks an incarnation without a manifest as doomed on every backend,
// looks again, and deletes it. Its writer sees a marker before he succeeds.
func (c *collection) condemn(ctx context.Context, v *view, inc *incarnation) error {
	if c.dry {
		c.Files += len(inc.shards) + len(inc.moveAt) + len(inc.copies)
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deleteWithin, errors.New("the collection of an object took over an hour: run it again"))
	defer cancel()
	c.since = time.Now()
	own, err := c.doom(ctx, v, inc)
	if err == nil {
		var again *view
		if again, err = c.look(ctx, v.id); err == nil {
			now := again.incs[inc.id]
			if now != nil && len(now.tombAt) == 0 && (len(now.copies) == 0 || c.torn(now)) {
				files := slices.Concat(now.shardFiles(), now.moveAt, now.copies)
				return c.delete(ctx, again, files)
			}
		}
	}
	c.store.deleteAll(context.WithoutCancel(ctx), v, own, c.job)
	return err
}

// doom puts a doom marker on every backend that is not given up, and returns
// those that it has put.
func (c *collection) doom(ctx context.Context, v *view, inc *incarnation) (own []place, err error) {
	s := c.store
	put := make([]place, len(s.pool))
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		if slices.Contains(c.lost, i) {
			return nil
		}
		message, err := manifest.SealDoom(s.vault, v.id, inc.id)
		if err != nil {
			return err
		}
		put[i].backend = i
		put[i].Name, err = b.putRecord(ctx, v.id, inc.id, manifest.KindDoom, message)
		return err
	})
	own = slices.DeleteFunc(put, func(at place) bool { return at.Kind != manifest.KindDoom })
	for _, at := range own {
		c.seen.age(seenID{inc.id, at.Copy})
	}
	if err := c.all(errs); err != nil {
		return own, fmt.Errorf("put doom markers: %w", err)
	}
	return own, nil
}

// delete deletes files of which a look within the last hour has said that they
// may go.
func (c *collection) delete(ctx context.Context, v *view, files []place) error {
	if c.dry {
		c.Files += len(files)
		return nil
	}
	failed := 0
	for batch := range slices.Chunk(files, 32) {
		if longerThan(deleteWithin, c.since) {
			return errors.New("it took over an hour since it was looked at: run the collection again")
		}
		left := c.store.deleteAll(ctx, v, batch, c.job)
		c.Files += len(batch) - len(left)
		failed += len(left)
	}
	if failed > 0 {
		return fmt.Errorf("%d files could not be deleted", failed)
	}
	return nil
}

// longerThan reports whether more time has passed, by the clock on the wall or
// by that of the machine, which stands still while it sleeps.
func longerThan(limit time.Duration, since time.Time) bool {
	wall := time.Since(since.Round(0))
	return wall > limit || wall < 0 || time.Since(since) > limit
}
