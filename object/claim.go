package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"shardraid/backends"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// Claim is what a person who sets the remote up, or applies a layout, puts on
// every backend beside its marker.
type Claim struct {
	// Known are the ids of the backends of earlier layouts: they must show
	// one of their markers. Others must be empty places.
	Known map[string]bool
	// Follows reports whether the layout descends from the one with this hash.
	Follows func(hash string) bool
	// Document is the body of the layout document.
	Document []byte
	// Copy makes the copy of the vault for one new backend, nil where there
	// shall be none. Known ones keep what they have.
	Copy func(ctx context.Context) ([]byte, error)
}

// ground is what a claim found at a backend's place, and what it put there.
type ground struct {
	marked bool     // the layout is in force here already
	old    []string // root files to be taken away at the end
	added  []string
}

// Claim puts the pool under the store's layout: from then on its markers are
// there, and those of earlier layouts are not, so that clones with an earlier
// one stop. It first makes sure that every backend answers and is what the
// layout means, and before the end that no two are the same place. Where that
// fails, what was written is taken away again; once old markers are being
// removed, only another call of the same claim completes it.
func (s *Store) Claim(ctx context.Context, c Claim) (err error) {
	found := make([]ground, len(s.pool))
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) (err error) {
		found[i], err = s.survey(ctx, b, c)
		return err
	})
	if err := s.setupError(errs); err != nil {
		return err
	}
	errs = s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		if found[i].marked {
			return nil
		}
		return s.mark(ctx, b, c, &found[i])
	})
	if err = s.setupError(errs); err == nil {
		err = s.setupError(s.each(ctx, 0, s.alone))
	}
	if err != nil {
		s.unclaim(context.WithoutCancel(ctx), found)
		return err
	}
	return s.setupError(s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		return b.removeAll(ctx, found[i].old)
	}))
}

// survey looks at a backend's root: is it the place that the layout means,
// and what is to be taken away?
func (s *Store) survey(ctx context.Context, b *member, c Claim) (g ground, err error) {
	entries, err := b.store.List(ctx, "")
	if err != nil {
		return g, err
	}
	ours, foreign, sample, rootFiles := false, false, "", 0
	for _, e := range entries {
		kind, ok := manifest.ParseRootName(e.Name)
		if ok {
			rootFiles++
		}
		if rootFiles > 3*maxRootFiles {
			return g, fmt.Errorf("it holds more than %d files that look like markers: somebody plays tricks: name another folder", 3*maxRootFiles)
		}
		switch {
		case !ok:
			sample = e.Name
		case e.Name == b.marker:
			if err := b.prove(ctx); err != nil {
				return g, err
			}
			g.marked, ours = true, true
		case kind == manifest.RootMarker:
			mine, err := b.isMarker(ctx, s.vault, e.Name)
			if err != nil {
				return g, err
			}
			if foreign = !mine; mine {
				ours = true
				g.old = append(g.old, e.Name)
			}
		case kind == manifest.RootLayout:
			old, err := s.surveyLayout(ctx, b, e, c)
			if err != nil {
				return g, err
			}
			if old {
				g.old = append(g.old, e.Name)
			}
		case kind == manifest.RootVault && !c.Known[b.ID]:
			g.old = append(g.old, e.Name)
		}
	}
	if g.marked { // what the same claim put there before it was cut off
		g.old = withoutKind(g.old, manifest.RootVault)
	}
	switch {
	case ours:
		return g, nil
	case c.Known[b.ID]:
		return g, fmt.Errorf("its marker is not there: not mounted, another account, or emptied: bring it back, or write state: off")
	case sample != "" && foreign:
		return g, fmt.Errorf("%s holds the files of another shardraid remote: name an empty folder instead, such as %s-2, or empty this one if nobody needs it", b.Remote, b.Remote)
	case sample != "":
		return g, fmt.Errorf("%s is not empty (it holds %q): name an empty folder instead, such as %s", b.Remote, strings.TrimSuffix(sample, "/"), strings.TrimSuffix(b.Remote, "/")+"/shardraid")
	}
	return g, nil
}

// surveyLayout reports whether a copy of a layout document is one that ours
// follows. One of our vault that it does not follow stops the claim.
func (s *Store) surveyLayout(ctx context.Context, b *member, e backends.Entry, c Claim) (old bool, err error) {
	l, err := b.readLayout(ctx, s.vault, e)
	switch {
	case err != nil:
		return false, err
	case l == nil || l.Hash == s.layout.Hash:
		return false, nil
	case c.Follows != nil && c.Follows(l.Hash):
		return true, nil
	}
	return false, fmt.Errorf("a layout of epoch %d that this clone does not know is in force there: run git annex sync first, or join both with shardraid layout apply --join", l.Epoch)
}

// readLayout opens a copy of a layout document; nil if it is not of this vault.
func (b *member) readLayout(ctx context.Context, v *vault.Vault, e backends.Entry) (*layout.Layout, error) {
	if e.Size > vault.MaxRecord {
		return nil, nil
	}
	message := make([]byte, max(e.Size, 0))
	n, err := b.store.Get(ctx, e.Name, message)
	if err != nil {
		return nil, err
	}
	body, err := manifest.OpenLayout(v, message[:n])
	if err != nil {
		return nil, nil // damaged, or of another vault
	}
	_, l, err := layout.ParseDocument(body)
	return l, err
}

// Layouts returns the bodies of all layout documents of this vault that lie on
// the backends that answer.
func (s *Store) Layouts(ctx context.Context) (bodies [][]byte) {
	found := make([][][]byte, len(s.pool))
	s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		entries, err := b.store.List(ctx, "")
		if err != nil {
			return err
		}
		found[i] = FindLayouts(ctx, s.vault, b.store, entries)
		return nil
	})
	return slices.Concat(found...)
}

// maxRootFiles bounds what a provider can make us read by inventing files.
const maxRootFiles = 64

// RootFiles returns the files of one kind in a backend's root, not absurdly
// many.
func RootFiles(root []backends.Entry, kind manifest.RootKind) (files []backends.Entry) {
	for _, e := range root {
		if k, ok := manifest.ParseRootName(e.Name); ok && k == kind && e.Size <= vault.MaxRecord && len(files) < maxRootFiles {
			files = append(files, e)
		}
	}
	return files
}

// FindLayouts opens the layout documents of this vault in a backend's root.
func FindLayouts(ctx context.Context, v *vault.Vault, store backends.Store, root []backends.Entry) (bodies [][]byte) {
	for _, e := range RootFiles(root, manifest.RootLayout) {
		message := make([]byte, max(e.Size, 0))
		n, err := store.Get(ctx, e.Name, message)
		if err != nil {
			continue
		}
		if body, err := manifest.OpenLayout(v, message[:n]); err == nil {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// isMarker reports whether a file is a marker of this vault and backend,
// under whatever layout.
func (b *member) isMarker(ctx context.Context, v *vault.Vault, name string) (bool, error) {
	message := make([]byte, maxMarker)
	n, err := b.store.Get(ctx, name, message)
	if errors.Is(err, backends.ErrTooLarge) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = manifest.OpenMarker(v, b.ID, message[:n])
	return err == nil, nil
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

func (s *Store) unclaim(ctx context.Context, found []ground) {
	s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		return b.removeAll(ctx, found[i].added)
	})
}

func (b *member) removeAll(ctx context.Context, names []string) error {
	for i := len(names) - 1; i >= 0; i-- { // a marker goes before what it vouches for
		if err := b.store.Remove(ctx, names[i]); err != nil && !errors.Is(err, backends.ErrNotFound) {
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
		return b.removeAll(ctx, old)
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

func withoutKind(names []string, kind manifest.RootKind) (rest []string) {
	for _, name := range names {
		if k, _ := manifest.ParseRootName(name); k != kind {
			rest = append(rest, name)
		}
	}
	return rest
}
