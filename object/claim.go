package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"shardraid/backends"
	"shardraid/manifest"
)

// Claim writes the marker of every backend: from then on this pool is this
// vault's. It first makes sure that each one answers and is empty, and
// afterwards that no two are the same place. Only a person setting the remote
// up calls it. Where it fails, the markers it wrote are taken away again.
func (s *Store) Claim(ctx context.Context) (err error) {
	missing := make([]bool, len(s.pool))
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) (err error) {
		missing[i], err = b.probe(ctx)
		return err
	})
	if err := s.setupError(errs); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.unclaim(context.WithoutCancel(ctx), missing)
		}
	}()
	errs = s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		if !missing[i] {
			return nil
		}
		message, err := manifest.SealMarker(s.vault, b.ID)
		if err != nil {
			return err
		}
		if _, err := b.store.Put(ctx, b.marker, message); err != nil {
			return fmt.Errorf("write marker: %w", err)
		}
		return b.prove(ctx)
	})
	if err := s.setupError(errs); err != nil {
		return err
	}
	return s.setupError(s.each(ctx, 0, s.alone))
}

// probe reports whether the backend needs a marker. It must be empty, apart
// from markers: these are left over from a set-up that failed.
func (b *member) probe(ctx context.Context) (missing bool, err error) {
	entries, err := b.store.List(ctx, "")
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name == b.marker {
			return false, b.prove(ctx)
		}
	}
	for _, e := range entries {
		if manifest.IsMarkerName(e.Name) {
			continue
		}
		sample := strings.TrimSuffix(e.Name, "/")
		if slices.ContainsFunc(entries, func(e backends.Entry) bool { return manifest.IsMarkerName(e.Name) }) {
			return false, fmt.Errorf("%s holds the files of another shardraid remote: name an empty folder instead, such as %s-2, or empty this one if nobody needs it", b.Remote, b.Remote)
		}
		return false, fmt.Errorf("%s is not empty (it holds %q): name an empty folder instead, such as %s", b.Remote, sample, strings.TrimSuffix(b.Remote, "/")+"/shardraid")
	}
	return true, nil
}

// alone makes sure that no other backend of the layout is the same place.
func (s *Store) alone(ctx context.Context, i int, b *member) error {
	entries, err := b.store.List(ctx, "")
	if err != nil {
		return err
	}
	for _, e := range entries {
		for j, other := range s.pool {
			if j != i && e.Name == other.marker {
				return fmt.Errorf("it is the same place as backend %s: every backend needs a place of its own", other.Name)
			}
		}
	}
	return nil
}

func (s *Store) unclaim(ctx context.Context, written []bool) {
	s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		if !written[i] {
			return nil
		}
		return b.store.Remove(ctx, b.marker)
	})
}

// setupError names the backends that are not ready. One that the layout
// switches off need not be.
func (s *Store) setupError(errs []error) error {
	e := &QuorumError{Need: len(errs), What: "backends are ready"}
	for i, err := range errs {
		if err == nil || errors.Is(err, errOff) {
			e.Have++
		} else {
			e.Causes = append(e.Causes, Cause{s.pool[i].Name, err})
		}
	}
	if len(e.Causes) == 0 {
		return nil
	}
	return e
}
