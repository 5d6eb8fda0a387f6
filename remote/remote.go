package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"shardraid/annex"
	"shardraid/clone"
	"shardraid/layout"
	"shardraid/object"
	"shardraid/vault"
)

// Remote is one shardraid remote as git-annex sees it.
type Remote struct {
	mu       sync.Mutex
	settings *clone.Settings // after Prepare
	state    *clone.Dir      // after Prepare
	creds    string          // after Prepare: the file that may hold the key
	pool     *clone.Pool     // after the first request that needs the vault
	openErr  error           // why the vault did not open
	openedAt time.Time

	listeners listeners
}

var _ annex.Remote = (*Remote)(nil)

// New returns a remote that knows nothing yet.
func New() *Remote { return &Remote{} }

// Close lets the backends go.
func (r *Remote) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pool != nil {
		r.pool.Close()
	}
}

// Prepare reads the settings and makes sure that they are to be trusted; no
// backend is touched.
func (r *Remote) Prepare(ctx context.Context, s *annex.Session) error {
	set, err := readSettings(s)
	if err != nil {
		return err
	}
	p, err := placeOf(s)
	if err != nil {
		return err
	}
	said, err := p.dir.Trust(ctx, set)
	if err != nil {
		return err
	}
	if said != "" {
		s.Info(said)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings, r.state, r.creds = set, p.dir, p.creds
	return nil
}

// Store stores the file's content under the key.
func (r *Remote) Store(ctx context.Context, s *annex.Session, key annex.Key, file string) error {
	defer r.listeners.add(s)()
	store, err := r.open(ctx)
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
	defer store.Keep()
	return store.Put(ctx, string(key), src, info.Size(), r.job(s, key))
}

// Retrieve writes the key's content to the file.
func (r *Remote) Retrieve(ctx context.Context, s *annex.Session, key annex.Key, file string) error {
	defer r.listeners.add(s)()
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.Get(ctx, string(key), file, r.job(s, key))
}

// Present tells whether the content could be rebuilt now.
func (r *Remote) Present(ctx context.Context, s *annex.Session, key annex.Key) (bool, error) {
	defer r.listeners.add(s)()
	store, err := r.open(ctx)
	if err != nil {
		return false, err
	}
	here, err := store.Check(ctx, string(key), r.job(s, key))
	if err == nil && !here {
		r.state.Forget(string(key))
	}
	return here, err
}

// Remove removes the key's content for good.
func (r *Remote) Remove(ctx context.Context, s *annex.Session, key annex.Key) error {
	defer r.listeners.add(s)()
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer store.Keep()
	if err := store.Remove(ctx, string(key), r.job(s, key)); err != nil {
		return err
	}
	r.state.Forget(string(key))
	return nil
}

// Whereis says where the content lay when this clone last saw it.
func (r *Remote) Whereis(_ context.Context, _ *annex.Session, key annex.Key) (string, bool) {
	if r.state == nil {
		return "", false
	}
	return r.state.Where(string(key))
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
	for _, b := range r.settings.Layout.Backends {
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
	l, card := r.settings.Layout, r.settings.Card
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
	key := ""
	switch card.Mode {
	case vault.Local:
		key = "in this clone's credential store only: back it up (shardraid key export)"
	case vault.Passphrase:
		key = "wrapped to a passphrase"
	case vault.Recipients:
		key = "made by GPG key " + card.Creator.Key + ", wrapped to GPG keys " + strings.Join(card.Recipients, ", ")
	}
	fields := []annex.Field{
		{Name: "shards", Value: fmt.Sprintf("%d data + %d parity: at most %d of the backends may be lost; %.2f bytes stored per byte", l.Data, l.Parity, l.Parity, float64(l.Data+l.Parity)/float64(l.Data))},
		{Name: "write quorum", Value: fmt.Sprintf("%d of %d", l.WriteQuorum, l.Data+l.Parity)},
		{Name: "backends", Value: fmt.Sprintf("%d: %s", len(l.Backends), strings.Join(names, ", "))},
		{Name: "vault", Value: card.Fingerprint() + ", " + key},
		{Name: "layout", Value: fmt.Sprintf("epoch %d, %.12s", l.Epoch, l.Hash)},
		{Name: "damage seen", Value: r.state.Damage()},
		{Name: "stored with shards missing", Value: pending(r.state.Journal())},
	}
	return fields, nil
}

func pending(j object.Journal) string {
	n, err := object.Pending(j)
	switch {
	case err != nil:
		return "not known: " + err.Error()
	case n == 0:
		return "none"
	}
	return fmt.Sprintf("%d objects; they are filled in during the next transfers", n)
}

// job lets the store speak to git-annex about one request.
func (r *Remote) job(s *annex.Session, key annex.Key) *object.Job {
	var mu sync.Mutex
	told := map[string]bool{}
	return &object.Job{
		Progress: s.Progress,
		Info:     s.Info,
		Debug:    s.Debug,
		Placed:   func(p object.Placement) { r.state.Remember(string(key), p) },
		Damaged: func(backend, what string) {
			mu.Lock()
			defer mu.Unlock()
			r.state.Damaged(backend, what)
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
func (r *Remote) open(ctx context.Context) (*clone.Pool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settings == nil {
		return nil, errors.New("not prepared")
	}
	if r.pool != nil {
		return r.pool, nil
	}
	if r.openErr != nil && time.Since(r.openedAt) < retryOpen {
		return nil, r.openErr
	}
	// Nobody is asked for a passphrase: this is the middle of a transfer.
	v, err := clone.OpenVault(ctx, r.settings.Card, r.creds, nil)
	if errors.Is(err, clone.ErrNoKey) {
		err = errors.New(noSecret(r.settings.Card, r.creds))
	}
	if err == nil {
		err = r.state.Proved(r.settings)
	}
	if err == nil {
		r.pool, err = r.state.Connect(ctx, v, r.settings.Layout)
	}
	if err == nil {
		clone.LogTo(r.listeners.say)
		r.pool.FillInBehind(&object.Job{Damaged: r.state.Damaged})
	}
	if ctx.Err() == nil {
		r.openErr, r.openedAt = err, time.Now()
	}
	if err != nil {
		return nil, err
	}
	return r.pool, nil
}
