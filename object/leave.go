package object

import (
	"context"
	"fmt"
	"slices"

	"shardraid/manifest"
	"shardraid/vault"
)

// WithoutOff returns an error unless everything is whole, and every removal is
// complete, on the backends that are not off alone: then nothing relies on those
// that are, and the layout may do without them. Whatever was begun since they
// are off does not rely on them either.
func (s *Store) WithoutOff(ctx context.Context, job *Job) error {
	all, err := s.listPool(ctx)
	if err != nil {
		return err
	}
	for i, b := range s.pool {
		if b.store != nil && all.errs[i] != nil {
			return fmt.Errorf("backend %s does not answer: %w", b.Name, all.errs[i])
		}
	}
	poor, example, pending := 0, "", 0
	known := map[string]bool{}
	err = s.eachListed(ctx, all, job, func(l Listed) {
		id := s.vault.ObjectID(l.Key)
		var files []file
		for i, b := range s.pool {
			dir := b.names.Dir(id)
			known[dir] = true
			files = append(files, all.dirs[i][dir]...)
		}
		if !l.Health.Whole() {
			poor++
			example = fmt.Sprintf("%s: %s", l.Key, l.Health)
		}
		if condemned(files) {
			pending++
		}
	})
	if err != nil {
		return err
	}
	if poor > 0 {
		return fmt.Errorf("%d files are not whole without it, such as %s", poor, example)
	}
	for i := range s.pool {
		for dir, files := range all.dirs[i] {
			if !known[dir] && slices.ContainsFunc(files, func(f file) bool { return !f.verdict() }) {
				pending++
			}
		}
	}
	if pending > 0 {
		return fmt.Errorf("%d directories hold what a removal has not reached, or a store that died has left (gc deletes the latter after 48 hours)", pending)
	}
	return nil
}

// verdict reports whether a file says that an incarnation is or shall be gone.
func (f file) verdict() bool {
	return f.Kind == manifest.KindTombstone || f.Kind == manifest.KindDoom
}

// condemned reports whether there are files of an incarnation that has a verdict.
func condemned(files []file) bool {
	verdicts := map[vault.Incarnation]bool{}
	for _, f := range files {
		verdicts[f.Incarnation] = verdicts[f.Incarnation] || f.verdict()
	}
	return slices.ContainsFunc(files, func(f file) bool { return verdicts[f.Incarnation] && !f.verdict() })
}
