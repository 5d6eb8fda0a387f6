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

// survey looks at a backend's root: is it the place that the layout means,
// and what is to be taken away?
func (s *Store) survey(ctx context.Context, b *member, c Claim) (g ground, err error) {
	entries, err := b.store.List(ctx, "")
	if err != nil {
		return g, err
	}
	sample := ""
	for _, e := range entries {
		if _, ok := manifest.ParseRootName(e.Name); !ok {
			sample = strings.TrimSuffix(e.Name, "/")
		}
	}
	if err := s.surveyLayouts(ctx, b, c, entries, &g); err != nil {
		return g, err
	}
	ours, foreign, err := s.surveyMarkers(ctx, b, c, entries, &g)
	if err != nil {
		return g, err
	}
	if !c.Known[b.ID] && !g.marked { // of a set-up that failed
		for _, e := range RootFiles(entries, manifest.RootVault) {
			g.old = append(g.old, e.Name)
		}
	}
	switch {
	case ours:
		return g, nil
	case c.Known[b.ID]:
		return g, errors.New("its marker is not there: not mounted, another account, or emptied: bring it back; if it has moved, copy its files there first; if it is lost, write state: off")
	case sample != "" && foreign:
		return g, fmt.Errorf("%s holds the files of another shardraid remote: name an empty folder instead, such as %s-2, or empty this one if nobody needs it", b.Remote, b.Remote)
	case sample != "":
		return g, fmt.Errorf("%s is not empty (it holds %q): name an empty folder instead, such as %s", b.Remote, sample, strings.TrimSuffix(b.Remote, "/")+"/shardraid")
	}
	return g, nil
}

// surveyMarkers says whether a place is marked as this backend's, under
// whatever layout, or as somebody else's.
func (s *Store) surveyMarkers(ctx context.Context, b *member, c Claim, entries []backends.Entry, g *ground) (ours, foreign bool, err error) {
	markers := RootFiles(entries, manifest.RootMarker)
	if len(markers) == maxRootFiles {
		return false, false, fmt.Errorf("it holds %d files or more that look like markers: somebody plays tricks: name another folder", maxRootFiles)
	}
	for _, e := range markers {
		id, hash, err := readMarker(ctx, s.vault, b.store, e.Name)
		switch {
		case err != nil:
			return ours, foreign, err
		case id == "":
			foreign = true
			if e.Name == b.marker {
				return ours, foreign, errMarker
			}
		case id != b.ID:
			return ours, foreign, fmt.Errorf("%s is the place of another backend of this remote (id %s): keep its name and remote together; names can be used again in a second apply; where that backend has left the layout, name another folder, or delete this one", b.Remote, id)
		case e.Name == b.marker && hash == s.layout.Hash:
			ours, g.marked = true, true
		case !c.follows(hash):
			return ours, foreign, errors.New("it is marked for a layout that this clone does not know: run git annex sync first, or join both with shardraid layout apply --join FILE")
		default:
			ours = true
			g.old = append(g.old, e.Name)
		}
	}
	return ours, foreign, nil
}

func (c Claim) follows(hash string) bool { return c.Follows != nil && c.Follows(hash) }

// surveyLayouts finds the copies of layout documents that ours follows. One of
// our vault that it does not follow stops the claim.
func (s *Store) surveyLayouts(ctx context.Context, b *member, c Claim, entries []backends.Entry, g *ground) error {
	for _, e := range RootFiles(entries, manifest.RootLayout) {
		l, err := b.readLayout(ctx, s.vault, e)
		switch {
		case err != nil:
			return err
		case l == nil || l.Hash == s.layout.Hash:
		case c.follows(l.Hash):
			g.old = append(g.old, e.Name)
		default:
			return fmt.Errorf("a layout of epoch %d that this clone does not know is in force there: run git annex sync first, or join both with shardraid layout apply --join FILE", l.Epoch)
		}
	}
	return nil
}

// lookAgain makes sure that a marked backend is still the place, that no other
// claim came in between, and that no other backend of the layout is the same
// place.
func (s *Store) lookAgain(ctx context.Context, i int, b *member, c Claim) error {
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
	var now ground
	if err := s.surveyLayouts(ctx, b, c, entries, &now); err != nil {
		return err
	}
	if _, _, err := s.surveyMarkers(ctx, b, c, entries, &now); err != nil {
		return err
	}
	return b.prove(ctx)
}

// formerMarkers returns the markers of a backend at a place that it has left:
// clones with the earlier layout would go on there. It refuses a move that
// left the objects behind.
func (s *Store) formerMarkers(ctx context.Context, f Former) (names []string, err error) {
	entries, err := f.Store.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("backend %s: its former place %s does not answer, and clones with the earlier layout might go on there: make it answer, or, if it is gone for good, add --gone %s (%w)", f.Name, f.Remote, f.Name, err)
	}
	for _, e := range RootFiles(entries, manifest.RootMarker) {
		id, _, err := readMarker(ctx, s.vault, f.Store, e.Name)
		if err != nil {
			return nil, fmt.Errorf("backend %s: its former place %s: %w", f.Name, f.Remote, err)
		}
		if id == f.ID {
			names = append(names, e.Name)
		}
	}
	i := s.index(f.ID)
	if i < 0 || s.pool[i].store == nil || !hasObjects(entries) {
		return names, nil
	}
	now, err := s.pool[i].store.List(ctx, "")
	if err == nil && !hasObjects(now) {
		err = fmt.Errorf("backend %s: its objects are still at its former place %s and not at %s: copy them first", f.Name, f.Remote, s.pool[i].Remote)
	}
	return names, err
}

func hasObjects(root []backends.Entry) bool {
	return slices.ContainsFunc(root, func(e backends.Entry) bool { return len(e.Name) == 3 && e.Name[2] == '/' })
}

// readLayout opens a copy of a layout document; nil if it is not of this vault.
func (b *member) readLayout(ctx context.Context, v *vault.Vault, e backends.Entry) (*layout.Layout, error) {
	if e.Size > vault.MaxRecord {
		return nil, nil
	}
	message, err := ReadRoot(ctx, b.store, e)
	if err != nil {
		return nil, err
	}
	body, err := manifest.OpenLayout(v, message)
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

// ReadRoot reads a file of a backend's root.
func ReadRoot(ctx context.Context, store backends.Store, e backends.Entry) ([]byte, error) {
	message := make([]byte, max(e.Size, 0))
	n, err := store.Get(ctx, e.Name, message)
	if err != nil {
		return nil, err
	}
	return message[:n], nil
}

// FindLayouts opens the layout documents of this vault in a backend's root.
func FindLayouts(ctx context.Context, v *vault.Vault, store backends.Store, root []backends.Entry) (bodies [][]byte) {
	for _, e := range RootFiles(root, manifest.RootLayout) {
		message, err := ReadRoot(ctx, store, e)
		if err != nil {
			continue
		}
		if body, err := manifest.OpenLayout(v, message); err == nil {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// readMarker returns of which backend and layout a file is the marker; "" if it
// is none of this vault.
func readMarker(ctx context.Context, v *vault.Vault, store backends.Store, name string) (id, hash string, err error) {
	message := make([]byte, maxMarker)
	n, err := store.Get(ctx, name, message)
	if errors.Is(err, backends.ErrTooLarge) || errors.Is(err, backends.ErrNotFound) { // gone just now
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	if id, hash, err = manifest.ReadMarker(v, message[:n]); err != nil {
		return "", "", nil
	}
	return id, hash, nil
}
