package object

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"shardraid/manifest"
	"shardraid/vault"
)

// Listed is one object of the pool.
type Listed struct {
	Key       string
	Size      int64
	Placement Placement
	// Health goes by the listings: it counts copies of the manifest that are
	// there, and opens one.
	Health Health
	// Trouble says why the object could not be had now, "" if it could.
	Trouble string
}

// listing is what all backends have.
type listing struct {
	errs         []error             // by backend
	dirs         []map[string][]file // by backend and directory
	files, bytes []int64             // by backend
	copies       int                 // of each manifest that are opened; 0 is for 1
}

// List finds all objects by what lies on the backends, and calls found for
// each, in no order. It needs all but m backends, as every object has a
// manifest on m+1. It sees k shards of each segment in the listings; it reads
// none of them.
func (s *Store) List(ctx context.Context, job *Job, found func(Listed)) error {
	all, err := s.listPool(ctx)
	if err != nil {
		return err
	}
	if err := s.quorum(&view{errs: all.errs}, nil); err != nil {
		return err
	}
	return s.eachListed(ctx, all, job, found)
}

func (s *Store) listPool(ctx context.Context) (*listing, error) {
	n := len(s.pool)
	all := &listing{dirs: make([]map[string][]file, n), files: make([]int64, n), bytes: make([]int64, n)}
	all.errs = s.each(ctx, 0, func(ctx context.Context, i int, b *member) (err error) {
		if all.dirs[i], err = b.listAll(ctx); err == nil {
			all.files[i], all.bytes[i] = b.countAll(all.dirs[i])
		}
		return err
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return all, nil
}

// eachListed calls found for every object of a listing, one at a time. It looks
// at some at once.
func (s *Store) eachListed(ctx context.Context, all *listing, job *Job, found func(Listed)) error {
	var mu sync.Mutex
	known := make([]map[string]bool, len(s.pool)) // directories of objects that were seen, by backend
	for i := range known {
		known[i] = map[string]bool{}
	}
	for i, b := range s.pool {
		var dirs []string
		for dir := range all.dirs[i] {
			if !known[i][dir] {
				dirs = append(dirs, dir)
			}
		}
		err := many(ctx, dirs, func(l *Listed) {
			if l != nil {
				found(*l)
			}
		}, func(dir string) *Listed {
			id, ok := s.identify(ctx, b, dir, all.dirs[i][dir], job, manifest.KindManifest)
			if !ok {
				return nil
			}
			mu.Lock()
			for j, other := range s.pool {
				known[j][other.names.Dir(id)] = true
			}
			mu.Unlock()
			if l, ok := s.listed(ctx, id, all, job); ok {
				return &l
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// listAll returns the files of all objects on a backend, with proof.
func (b *member) listAll(ctx context.Context) (map[string][]file, error) {
	tops, err := b.store.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, top := range tops {
		if len(top.Name) != 3 || !strings.HasSuffix(top.Name, "/") {
			continue
		}
		subs, err := b.store.List(ctx, strings.TrimSuffix(top.Name, "/"))
		if err != nil {
			return nil, err
		}
		for _, sub := range subs {
			if name, ok := strings.CutSuffix(sub.Name, "/"); ok {
				dirs = append(dirs, top.Name+name)
			}
		}
	}
	lists := make([][]file, len(dirs))
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, dir := range dirs {
		g.Go(func() (err error) {
			lists[i], err = b.listDir(groupCtx, dir)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := map[string][]file{}
	for i, dir := range dirs {
		found[dir] = lists[i]
	}
	return found, b.prove(ctx)
}

// identify opens records of these kinds in a directory, whose name says nothing,
// until one tells whose it is. A directory without any, as far as this backend
// goes, is left to the others.
func (s *Store) identify(ctx context.Context, b *member, dir string, files []file, job *Job, kinds ...manifest.Kind) (id vault.ObjectID, ok bool) {
	for _, kind := range kinds {
		for _, f := range files {
			if f.Kind != kind || f.size > vault.MaxRecord {
				continue
			}
			message := make([]byte, max(f.size, 0))
			n, err := b.store.Get(ctx, dir+"/"+f.Format(b.names), message)
			if err == nil {
				id, err = manifest.ObjectOf(s.vault, f.Name, message[:n])
			}
			if err == nil && b.names.Dir(id) == dir {
				return id, true
			}
			job.debug("backend %s: %s: record %c of %s: %v", b.Name, dir, f.Kind, f.Incarnation, err)
		}
	}
	return id, false
}

// listed judges one object from the listings; ok is false for one that was
// removed.
func (s *Store) listed(ctx context.Context, id vault.ObjectID, all *listing, job *Job) (l Listed, ok bool) {
	v := &view{id: id, errs: slices.Clone(all.errs), files: make([][]file, len(s.pool)), incs: map[vault.Incarnation]*incarnation{}}
	for i, b := range s.pool {
		if all.errs[i] != nil {
			v.silent++
			continue
		}
		v.files[i] = all.dirs[i][b.names.Dir(id)]
		for _, f := range v.files[i] {
			v.sort(i, f)
		}
	}
	v.bound()
	s.openRecords(ctx, v, max(1, all.copies), job)
	for _, inc := range s.candidates(v) {
		l = Listed{Key: inc.manifest.Key, Size: inc.manifest.Size, Placement: s.placement(inc), Health: s.health(v, inc, nil, nil, inc.listedCopies())}
		st, err := s.judge(v, inc)
		if st < readable {
			l.Trouble = fmt.Sprint(err)
			ok = true
			continue
		}
		return l, true
	}
	return l, ok
}

// listedCopies counts the backends that have a copy of the manifest which has
// not proved to be damaged.
func (inc *incarnation) listedCopies() int {
	var have []int
	for _, at := range inc.copies {
		if !slices.Contains(inc.broken, at.backend) {
			have = addBackend(have, at.backend)
		}
	}
	return len(have)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
