package clone

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"

	"shardraid/backends"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

// Found is a remote that was found without git.
type Found struct {
	Vault   *vault.Vault
	Card    *vault.Card
	Layout  *layout.Layout // with the remotes of the file that was given
	Missing []string       // why some of its backends are not used
	Said    string         // whose vault it is

	document *layout.Document
	markers  map[string]string
}

// root is what one backend of the file shows.
type root struct {
	layout.Backend
	store   *backends.Rclone
	entries []backends.Entry
	err     error
}

// Discover finds a remote with nothing but a layout file, rclone.conf and a
// key: the recovery file (or a copy of the key from a credential store) if
// one is named, else the wrapped copies on the backends. Trusted is a vault
// fingerprint that a person vouches for, or "".
func Discover(ctx context.Context, l *layout.Layout, keyFile, trusted string) (*Found, error) {
	if err := backends.Setup(); err != nil {
		return nil, err
	}
	roots := lookAround(ctx, l)
	defer func() {
		for _, r := range roots {
			r.store.Close()
		}
	}()
	f := &Found{}
	var err error
	if keyFile != "" {
		f.Vault, f.Card, err = ReadKeyFile(ctx, keyFile)
	} else {
		f.Vault, f.Card, f.Said, err = openCopies(ctx, roots, trusted)
	}
	if err != nil {
		return nil, err
	}
	if trusted != "" && f.Vault.Fingerprint() != trusted {
		return nil, distrust(ErrVault, "the vault found is %s, not %s", f.Vault.Fingerprint(), trusted)
	}
	if err := f.newest(ctx, roots); err != nil {
		return nil, err
	}
	f.match(ctx, roots)
	return f, nil
}

func lookAround(ctx context.Context, l *layout.Layout) []*root {
	roots := make([]*root, len(l.Backends))
	done := make(chan struct{})
	for i, b := range l.Backends {
		r := &root{Backend: b, store: OpenBackend(b)}
		roots[i] = r
		go func() {
			if section := b.Section(); section != "" {
				r.err = backends.CheckSections([]string{section}, nil)
			}
			if r.err == nil {
				r.entries, r.err = r.store.List(ctx, "")
			}
			done <- struct{}{}
		}()
	}
	for range roots {
		<-done
	}
	return roots
}

// ReadKeyFile reads a recovery file, asking for its passphrase, or a file of
// git-annex's credential store.
func ReadKeyFile(ctx context.Context, path string) (*vault.Vault, *vault.Card, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read key: %w", err)
	}
	if block, _ := pem.Decode(data); block != nil {
		passphrase, err := AskPassphrase(ctx, "recovery file "+path)
		if err != nil {
			return nil, nil, err
		}
		return vault.Import(data, passphrase)
	}
	secret, err := ReadCreds(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: neither a whole recovery file, as shardraid key export writes it, nor a file of .git/annex/creds (%w)", path, err)
	}
	return vault.ParseAlone(secret)
}

// openCopies opens the first wrapped copy that it can and that is to be
// trusted: a provider may offer a vault of his own, encrypted to the user.
// Those for GPG keys come first, so that no provider can make us ask for a
// passphrase that there is not.
func openCopies(ctx context.Context, roots []*root, trusted string) (v *vault.Vault, card *vault.Card, said string, err error) {
	var locked []vaultCopy
	why := fmt.Errorf("no backend has a copy of the vault (of a remote in mode local there is none: give --key FILE, a recovery file)%s", unreachable(roots))
	try := func(c vaultCopy, passphrase string) bool {
		v, card, err = vault.OpenCopy(ctx, c.message, passphrase)
		if err == nil {
			said, err = vouched(ctx, card, trusted)
		}
		if err != nil {
			why = fmt.Errorf("backend %s: %w", c.backend, err)
		}
		return err == nil
	}
	for _, c := range vaultCopies(ctx, roots) {
		if vault.NeedsPassphrase(c.message) {
			locked = append(locked, c)
		} else if try(c, "") {
			return v, card, said, nil
		}
	}
	if len(locked) > 0 {
		passphrase, err := AskPassphrase(ctx, "the remote")
		if err != nil {
			return nil, nil, "", fmt.Errorf("%w (%w)", err, why)
		}
		for _, c := range locked {
			if try(c, passphrase) {
				return v, card, said, nil
			}
		}
	}
	return nil, nil, "", why
}

type vaultCopy struct {
	backend string
	message []byte
}

func vaultCopies(ctx context.Context, roots []*root) (copies []vaultCopy) {
	for _, r := range roots {
		for _, e := range object.RootFiles(r.entries, manifest.RootVault) {
			if message, err := object.ReadRoot(ctx, r.store, e); err == nil {
				copies = append(copies, vaultCopy{r.Name, message})
			}
		}
	}
	return copies
}

func vouched(ctx context.Context, card *vault.Card, trusted string) (string, error) {
	if card.Fingerprint() == trusted {
		return "", nil
	}
	if trusted != "" {
		return "", distrust(ErrVault, "the vault there is %s, not %s", card.Fingerprint(), trusted)
	}
	said, err := firstUse(ctx, card)
	if err != nil {
		return "", fmt.Errorf("%w (outside of a repository: --vault %s)", err, card.Fingerprint())
	}
	return strings.TrimSuffix(said, ","), nil
}

func unreachable(roots []*root) (text string) {
	for _, r := range roots {
		if r.err != nil {
			text += "; " + r.Name + ": " + r.err.Error()
		}
	}
	return text
}

// newest takes the newest layout document that the backends show. Of a fork it
// takes one head and the backends of both.
func (f *Found) newest(ctx context.Context, roots []*root) error {
	var others []*layout.Layout
	for _, r := range roots {
		for _, body := range object.FindLayouts(ctx, f.Vault, r.store, r.entries) {
			d, l, err := layout.ParseDocument(body)
			if err != nil {
				return fmt.Errorf("backend %s: %w", r.Name, err)
			}
			switch {
			case f.Layout == nil || d.Follows(f.Layout.Hash):
				f.document, f.Layout = d, l
			case l.Hash != f.Layout.Hash && !f.document.Follows(l.Hash):
				others = append(others, l)
			}
		}
	}
	if f.Layout == nil {
		return fmt.Errorf("no backend has a layout of vault %s%s", f.Vault.Fingerprint(), unreachable(roots))
	}
	for _, l := range others {
		if l.Hash == f.Layout.Hash || f.document.Follows(l.Hash) {
			continue
		}
		f.Missing = append(f.Missing, fmt.Sprintf("the backends carry two layouts of which none follows the other, epoch %d (%.12s) and epoch %d (%.12s): both are used", f.Layout.Epoch, f.Layout.Hash, l.Epoch, l.Hash))
		f.Layout.LeastData = min(f.Layout.LeastData, l.LeastData)
		f.Layout.LeastParity = min(f.Layout.LeastParity, l.LeastParity)
		for _, b := range l.Backends {
			if !slices.ContainsFunc(f.Layout.Backends, func(own layout.Backend) bool { return own.ID == b.ID }) {
				f.Layout.Backends = append(f.Layout.Backends, b)
			}
		}
	}
	return nil
}

// match finds out by the markers which backend of the layout each place is,
// and switches the others off: names in the file may be others today.
func (f *Found) match(ctx context.Context, roots []*root) {
	f.markers = map[string]string{}
	at := map[string]*root{}
	for _, r := range roots {
		for _, e := range object.RootFiles(r.entries, manifest.RootMarker) {
			message, err := object.ReadRoot(ctx, r.store, e)
			if err != nil {
				continue
			}
			id, hash, err := manifest.ReadMarker(f.Vault, message)
			if err == nil && f.markers[id] != f.Layout.Hash {
				at[id], f.markers[id] = r, hash
			}
		}
	}
	for i := range f.Layout.Backends {
		b := &f.Layout.Backends[i]
		r := at[b.ID]
		if r == nil {
			b.State = layout.Off
			f.Missing = append(f.Missing, "backend "+b.Name+" was not found")
			continue
		}
		b.Remote, b.Limits, b.State = r.Remote, r.Limits, layout.Drain // reads only
	}
	for _, r := range roots {
		if r.err != nil {
			f.Missing = append(f.Missing, "backend "+r.Name+": "+r.err.Error())
		}
	}
}

// Settings returns what git had, signed anew.
func (f *Found) Settings() (*Settings, error) { return Sign(f.Vault, f.Card, f.document) }

// Connect returns the store of what was found, for reading.
func (f *Found) Connect() (*Pool, error) { return connect(f.Vault, f.Layout, nil, f.markers, nil) }
