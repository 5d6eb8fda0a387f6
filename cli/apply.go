package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

func (a *app) applyCommand() *cobra.Command {
	var join, dryRun bool
	cmd := &cobra.Command{
		Use: "apply [FILE]", Short: "put a layout in force", Args: cobra.MaximumNArgs(1),
		Long: `Signs the layout in FILE, puts it on every backend and into git. Every backend that is not off must answer. What is stored stays where it is; new files go by the new layout.

Other clones stop until git annex sync has brought them the new layout.

Without FILE the newest layout that this clone knows is put there again: after an apply that was cut off, and where git was put back to an older one.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.findRepo(cmd.Context())
			if err != nil {
				return err
			}
			p, err := newApply(cmd, r, join)
			if err != nil {
				return err
			}
			file := ""
			if len(args) > 0 {
				file = args[0]
			}
			return p.run(cmd, file, dryRun)
		},
	}
	cmd.Flags().BoolVar(&join, "join", false, "follow both heads of a fork, and layouts that only the backends have")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would change")
	return cmd
}

// apply puts a layout in force.
type apply struct {
	repo    *repo
	join    bool
	newest  *clone.Settings // card and layout that the new one follows
	heads   []layout.Head   // all that it follows
	attempt *clone.Settings // of an apply that was cut off, or nil
}

// newApply finds out what the new layout follows: what git has, what this
// clone has seen, or both where that is wanted.
func newApply(cmd *cobra.Command, r *repo, join bool) (*apply, error) {
	git, err := r.fromGit(cmd.Context())
	if err != nil {
		return nil, err
	}
	p := &apply{repo: r, join: join, newest: git, heads: []layout.Head{git.Head()}}
	_, err = r.dir.Trust(cmd.Context(), git)
	if err != nil && !errors.Is(err, clone.ErrOlder) && !(join && errors.Is(err, clone.ErrFork)) {
		return nil, err
	}
	if err != nil {
		known, loadErr := r.dir.Pinned()
		if loadErr != nil {
			return nil, loadErr
		}
		p.newest = known
		if errors.Is(err, clone.ErrFork) {
			p.heads = append(p.heads, known.Head())
		} else {
			p.heads = []layout.Head{known.Head()}
		}
	}
	if p.attempt, err = r.dir.Attempt(); err != nil {
		return nil, err
	}
	if p.attempt != nil && (p.attempt.Card.Fingerprint() != p.newest.Card.Fingerprint() || !p.attempt.Document.Follows(p.newest.Layout.Hash)) {
		p.attempt = nil // overtaken
	}
	return p, nil
}

func (p *apply) run(cmd *cobra.Command, file string, dryRun bool) error {
	ctx := cmd.Context()
	v, err := p.repo.open(ctx, p.newest)
	if err != nil {
		return err
	}
	target, err := p.target(ctx, v, file)
	if err != nil {
		return err
	}
	if changes := layout.Diff(p.newest.Layout, target.Layout); len(changes) > 0 {
		print(cmd, changes...)
	} else {
		print(cmd, "the layout itself is the one in force")
	}
	if dryRun {
		return nil
	}
	if err := p.repo.dir.Begin(target); err != nil {
		return err
	}
	if err := p.claim(ctx, v, target); err != nil {
		return fmt.Errorf("%w: nothing is in git yet; when that is mended run: shardraid layout apply", err)
	}
	if err := p.repo.publish(ctx, target); err != nil {
		return fmt.Errorf("the layout is in force on the backends, and not in git yet: run shardraid layout apply again: %w", err)
	}
	p.repo.dir.Finish()
	note(cmd, "layout of epoch %d is in force; other clones need git annex sync", target.Layout.Epoch)
	return nil
}

// target returns the settings to be put in force.
func (p *apply) target(ctx context.Context, v *vault.Vault, file string) (*clone.Settings, error) {
	if file == "" {
		switch {
		case p.attempt != nil:
			return p.attempt, nil
		case len(p.heads) > 1 || p.join:
			return nil, errors.New("which layout shall join them? name a FILE")
		}
		return p.newest, nil
	}
	l, text, err := clone.ReadLayout(file)
	if err != nil {
		return nil, err
	}
	if p.attempt != nil && p.attempt.Document.YAML == text && !p.join {
		return p.attempt, nil
	}
	heads := p.heads
	if p.attempt != nil {
		heads = append(heads, p.attempt.Head())
	}
	if p.join {
		if heads, err = p.onBackends(ctx, v, heads); err != nil {
			return nil, err
		}
	}
	if len(heads) == 1 && p.newest.Document.YAML == text {
		return p.newest, nil
	}
	types, err := clone.Types(l)
	if err != nil {
		return nil, err
	}
	doc, err := layout.Successor(text, heads, manifest.NewBackendID)
	if err != nil {
		return nil, err
	}
	doc.Types = types
	return clone.Sign(v, p.newest.Card, doc)
}

// onBackends adds the layouts that only the backends have: of another clone's
// apply that was cut off.
func (p *apply) onBackends(ctx context.Context, v *vault.Vault, heads []layout.Head) ([]layout.Head, error) {
	for _, h := range p.heads {
		pool, err := clone.Connect(v, h.Layout, "")
		if err != nil {
			return nil, err
		}
		bodies := pool.Layouts(ctx)
		pool.Close()
		for _, body := range bodies {
			d, l, err := layout.ParseDocument(body)
			if err != nil {
				return nil, err
			}
			known := false
			for _, h := range heads {
				known = known || h.Layout.Hash == l.Hash || h.Document.Follows(l.Hash)
			}
			if !known {
				heads = append(heads, layout.Head{Document: d, Layout: l})
			}
		}
	}
	return heads, nil
}

// claim puts the target on every backend.
func (p *apply) claim(ctx context.Context, v *vault.Vault, target *clone.Settings) error {
	known, fresh := map[string]bool{}, false
	for _, h := range p.heads {
		for _, b := range h.Layout.Backends {
			known[b.ID] = true
		}
	}
	for _, b := range target.Layout.Backends {
		fresh = fresh || !known[b.ID]
	}
	passphrase := ""
	if fresh && target.Card.Mode == vault.Passphrase {
		var err error
		if passphrase, err = clone.AskPassphrase("the remote, for the copy of its key on a new backend"); err != nil {
			return err
		}
		if _, err := vault.UnwrapPassphrase(target.Card, passphrase); err != nil {
			return err
		}
	}
	document, err := target.Document.Marshal()
	if err != nil {
		return err
	}
	pool, err := clone.Connect(v, target.Layout, "")
	if err != nil {
		return err
	}
	defer pool.Close()
	return pool.Claim(ctx, object.Claim{
		Known: known, Follows: target.Document.Follows, Document: document,
		Copy: func(ctx context.Context) ([]byte, error) { return vault.SealCopy(ctx, v, target.Card, passphrase) },
	})
}
