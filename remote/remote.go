package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"shardraid/annex"
	"shardraid/backends"
	"shardraid/layout"
	"shardraid/object"
	"shardraid/vault"
)

// Remote is one shardraid remote as git-annex sees it.
type Remote struct {
	mu       sync.Mutex
	settings *settings     // after Prepare
	state    *state        // after Prepare
	store    *object.Store // after the first request that needs the vault
	openErr  error         // why the vault did not open
	openedAt time.Time
	stores   []*backends.Rclone
}

// settings is what the remote's git-annex configuration says.
type settings struct {
	card   *vault.Card
	doc    *layout.Document
	layout *layout.Layout
}

var _ annex.Remote = (*Remote)(nil)

// New returns a remote that knows nothing yet.
func New() *Remote { return &Remote{} }

// Close lets the backends go.
func (r *Remote) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.stores {
		b.Close()
	}
}

// Prepare reads the settings; no backend is touched.
func (r *Remote) Prepare(ctx context.Context, s *annex.Session) error {
	set, err := readSettings(s)
	if err != nil {
		return err
	}
	uuid, err := s.UUID()
	if err != nil {
		return err
	}
	gitDir, err := s.GitDir()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings, r.state = set, newState(filepath.Join(gitDir, "annex", "shardraid", uuid))
	return nil
}

// Store stores the file's content under the key.
func (r *Remote) Store(ctx context.Context, s *annex.Session, key annex.Key, file string) error {
	store, err := r.open(ctx, s)
	if err != nil {
		return err
	}
	src, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	return store.Put(ctx, string(key), src, info.Size(), r.job(s, key))
}

// Retrieve writes the key's content to the file.
func (r *Remote) Retrieve(ctx context.Context, s *annex.Session, key annex.Key, file string) error {
	store, err := r.open(ctx, s)
	if err != nil {
		return err
	}
	return store.Get(ctx, string(key), file, r.job(s, key))
}

// Present tells whether the content could be rebuilt now.
func (r *Remote) Present(ctx context.Context, s *annex.Session, key annex.Key) (bool, error) {
	store, err := r.open(ctx, s)
	if err != nil {
		return false, err
	}
	here, err := store.Check(ctx, string(key), r.job(s, key))
	if err == nil && !here {
		r.state.forget(key)
	}
	return here, err
}

// Remove removes the key's content for good.
func (r *Remote) Remove(ctx context.Context, s *annex.Session, key annex.Key) error {
	store, err := r.open(ctx, s)
	if err != nil {
		return err
	}
	if err := store.Remove(ctx, string(key), r.job(s, key)); err != nil {
		return err
	}
	r.state.forget(key)
	return nil
}

// Whereis says where the content lay when this clone last saw it.
func (r *Remote) Whereis(_ context.Context, _ *annex.Session, key annex.Key) (string, bool) {
	if r.state == nil {
		return "", false
	}
	return r.state.where(key)
}

// Cost is git-annex's "expensive": several backends, extra bytes.
func (r *Remote) Cost() int { return 200 }

// Availability is local where all backends are local directories.
func (r *Remote) Availability() annex.Availability {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settings == nil {
		return annex.Global
	}
	for _, b := range r.settings.layout.Backends {
		if !b.Local() {
			return annex.Global
		}
	}
	return annex.Local
}

// Info describes the remote without asking any backend.
func (r *Remote) Info(_ context.Context, _ *annex.Session) ([]annex.Field, error) {
	if r.settings == nil {
		return nil, errors.New("not prepared")
	}
	l, card := r.settings.layout, r.settings.card
	var names []string
	for _, b := range l.Backends {
		text := b.Name
		if b.Domain != b.Name {
			text += " (" + b.Domain + ")"
		}
		if b.State != layout.Active {
			text += " [" + string(b.State) + "]"
		}
		names = append(names, text)
	}
	key := "in this clone's credential store only: back it up"
	if card.Mode() == vault.Recipients {
		key = "wrapped to GPG keys " + strings.Join(card.Recipients(), ", ")
	}
	fields := []annex.Field{
		{Name: "shards", Value: fmt.Sprintf("%d data + %d parity: any %d backends may be lost; %.2f bytes stored per byte", l.Data, l.Parity, l.Parity, float64(l.Data+l.Parity)/float64(l.Data))},
		{Name: "write quorum", Value: fmt.Sprintf("%d of %d", l.WriteQuorum, l.Data+l.Parity)},
		{Name: "backends", Value: fmt.Sprintf("%d: %s", len(l.Backends), strings.Join(names, ", "))},
		{Name: "vault", Value: card.Fingerprint() + ", " + key},
		{Name: "damage seen", Value: r.state.damage()},
	}
	return fields, nil
}

// job lets the store speak to git-annex about one request.
func (r *Remote) job(s *annex.Session, key annex.Key) *object.Job {
	var mu sync.Mutex
	told := map[string]bool{}
	return &object.Job{
		Progress: s.Progress,
		Info:     s.Info,
		Debug:    s.Debug,
		Placed:   func(p object.Placement) { r.state.remember(key, p) },
		Damaged: func(backend, what string) {
			mu.Lock()
			defer mu.Unlock()
			r.state.damaged(backend, what)
			if !told[backend] {
				told[backend] = true
				s.Info(fmt.Sprintf("backend %s: damaged %s; using the others", backend, what))
			}
		},
	}
}

// retryOpen is how long a vault that did not open is not tried again: one gpg
// call a process, not one a file.
const retryOpen = time.Minute

// open returns the store, opening the vault at the first call.
func (r *Remote) open(ctx context.Context, s *annex.Session) (*object.Store, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settings == nil {
		return nil, errors.New("not prepared")
	}
	if r.store != nil || r.openErr != nil && time.Since(r.openedAt) < retryOpen {
		return r.store, r.openErr
	}
	v, err := openVault(ctx, s, r.settings.card)
	if err == nil {
		r.store, err = r.newStore(v, r.settings.layout, r.state.journal())
	}
	if ctx.Err() == nil {
		r.openErr, r.openedAt = err, time.Now()
	}
	return r.store, err
}

// newStore connects a layout's backends; none is touched yet.
func (r *Remote) newStore(v *vault.Vault, l *layout.Layout, journal string) (*object.Store, error) {
	if err := backends.Setup(); err != nil {
		return nil, err
	}
	stores := map[string]backends.Store{}
	for _, b := range l.Backends {
		if b.State == layout.Off {
			continue
		}
		open := backends.Open(backends.Options{
			Name: b.Name, Remote: b.Remote,
			Upload: b.Limits.Upload, Download: b.Limits.Download, Requests: b.Limits.Requests,
		})
		stores[b.ID] = open
		r.stores = append(r.stores, open)
	}
	return object.New(object.Config{Vault: v, Layout: l, Stores: stores, Journal: journal})
}
