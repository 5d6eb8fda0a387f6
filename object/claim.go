package object

import (
	"context"
	"errors"
	"fmt"

	"shardraid/backends"
	"shardraid/manifest"
)

// Claim is what a person who sets the remote up, or applies a layout, puts on
// every backend beside its marker.
type Claim struct {
	// Known are the ids of the backends of earlier layouts: they must show
	// one of their markers. Others must be empty places.
	Known map[string]bool
	// Follows reports whether the layout descends from the one with this hash.
	Follows func(hash string) bool
	// Former are the places that backends have left since.
	Former []Former
	// Document is the body of the layout document.
	Document []byte
	// Copy makes the copy of the vault for one new backend, nil where there
	// shall be none. Known ones keep what they have.
	Copy func(ctx context.Context) ([]byte, error)
}

// Former is a place that a backend had under an earlier layout.
type Former struct {
	Name, Remote, ID string
	Store            backends.Store
}

// ErrHalfClaimed is returned where earlier layouts have begun to end: only the
// same claim, made again, completes it. After any other error everything is
// as before.
var ErrHalfClaimed = errors.New("the layout is in force on some backends only")

// ground is what a claim found at a backend's place, and what it put there.
type ground struct {
	marked bool     // the layout is in force here already
	old    []string // root files to be taken away at the end
	added  []string
}

// Claim puts the pool under the store's layout: from then on its markers are
// there, and those of earlier layouts are not, so that clones with an earlier
// one stop. It first makes sure that every backend answers and is what the
// layout means. When all are marked it looks again: of two that claim at once
// at least one sees the other, and takes back what it wrote. Then it ends the
// earlier layouts, also at places that backends have left.
func (s *Store) Claim(ctx context.Context, c Claim) (err error) {
	found := make([]ground, len(s.pool))
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) (err error) {
		found[i], err = s.survey(ctx, b, c)
		return err
	})
	if err := s.setupError(errs); err != nil {
		return err
	}
	left := make([][]string, len(c.Former))
	for i, f := range c.Former {
		if left[i], err = s.formerMarkers(ctx, f); err != nil {
			return err
		}
	}
	errs = s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		if found[i].marked {
			return nil
		}
		return s.mark(ctx, b, c, &found[i])
	})
	if err = s.setupError(errs); err == nil {
		err = s.setupError(s.each(ctx, 0, func(ctx context.Context, i int, b *member) error { return s.lookAgain(ctx, i, b, c) }))
	}
	if err != nil {
		s.unclaim(context.WithoutCancel(ctx), found)
		return err
	}
	err = s.setupError(s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		return removeAll(ctx, b.store, found[i].old)
	}))
	for i, f := range c.Former {
		if formerErr := removeAll(ctx, f.Store, left[i]); formerErr != nil {
			err = errors.Join(err, fmt.Errorf("backend %s at its former place %s: %w", f.Name, f.Remote, formerErr))
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHalfClaimed, err)
	}
	return nil
}

// mark puts the copies of layout and vault on a backend, and last its marker.
func (s *Store) mark(ctx context.Context, b *member, c Claim, g *ground) error {
	put := func(name string, message []byte) error {
		g.added = append(g.added, name)
		_, err := b.store.Put(ctx, name, message)
		return err
	}
	if c.Document != nil {
		message, err := manifest.SealLayout(s.vault, c.Document)
		if err != nil {
			return err
		}
		if err := put(manifest.NewRootName(manifest.RootLayout), message); err != nil {
			return fmt.Errorf("write layout: %w", err)
		}
	}
	if c.Copy != nil && !c.Known[b.ID] {
		message, err := c.Copy(ctx)
		if err != nil {
			return err
		}
		if message != nil {
			if err := put(manifest.NewRootName(manifest.RootVault), message); err != nil {
				return fmt.Errorf("write vault: %w", err)
			}
		}
	}
	message, err := manifest.SealMarker(s.vault, b.ID, s.layout.Hash)
	if err != nil {
		return err
	}
	if err := put(b.marker, message); err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	return b.prove(ctx)
}

func (s *Store) unclaim(ctx context.Context, found []ground) {
	s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		return removeAll(ctx, b.store, found[i].added)
	})
}

func removeAll(ctx context.Context, store backends.Store, names []string) error {
	for i := len(names) - 1; i >= 0; i-- { // a marker goes before what it vouches for
		if err := store.Remove(ctx, names[i]); err != nil && !errors.Is(err, backends.ErrNotFound) {
			return err
		}
	}
	return nil
}

// ReplaceCopies puts a new copy of the vault on every backend and takes the
// earlier ones away. Those that do not answer keep what they have: the error
// names them.
func (s *Store) ReplaceCopies(ctx context.Context, copy func(ctx context.Context) ([]byte, error)) error {
	return s.setupError(s.each(ctx, 0, func(ctx context.Context, _ int, b *member) error {
		if err := b.prove(ctx); err != nil {
			return err
		}
		entries, err := b.store.List(ctx, "")
		if err != nil {
			return err
		}
		message, err := copy(ctx)
		if err != nil {
			return err
		}
		if _, err := b.store.Put(ctx, manifest.NewRootName(manifest.RootVault), message); err != nil {
			return fmt.Errorf("write vault: %w", err)
		}
		var old []string
		for _, e := range entries {
			if kind, ok := manifest.ParseRootName(e.Name); ok && kind == manifest.RootVault {
				old = append(old, e.Name)
			}
		}
		return removeAll(ctx, b.store, old)
	}))
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
