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
	all.copies = len(s.pool)
	for i, b := range s.pool {
		switch {
		case b.store == nil:
			all.errs[i] = errGivenUp
		case all.errs[i] != nil:
			return fmt.Errorf("backend %s does not answer: %w", b.Name, all.errs[i])
		}
	}
	poor, example, pending := 0, "", ""
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
			pending = l.Key
		}
	})
	if err != nil {
		return err
	}
	if poor > 0 {
		return fmt.Errorf("%d files are not whole without it, such as %s", poor, example)
	}
	for i, b := range s.pool {
		for dir, files := range all.dirs[i] {
			// Shards alone are of stores that died: who has succeeded has left manifests on m+1.
			if !known[dir] && slices.ContainsFunc(files, func(f file) bool { return !f.verdict() && f.Kind != manifest.KindShard }) {
				pending = b.Name + ":" + dir
			}
		}
	}
	if pending != "" {
		return fmt.Errorf("a removal has not reached all files of %s: if gc leaves them, remove the key again with git annex drop --from", pending)
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
