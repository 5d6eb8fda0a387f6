package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"shardraid/backends"
	"shardraid/clone"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

func (a *app) applyCommand() *cobra.Command {
	var join, dryRun bool
	var gone []string
	cmd := &cobra.Command{
		Use: "apply [FILE]", Short: "put a layout in force", Args: cobra.MaximumNArgs(1),
		Long: `Signs the layout in FILE, puts it on every backend and into git. Every backend that is not off must answer. What is stored stays where it is; new files go by the new layout.

A backend that is off may be left out when nothing relies on it any more, which is looked up first: after repair --lost and gc --lost.

Other clones stop until git annex sync has brought them the new layout.

Without FILE the newest layout that this clone knows is put there again: after an apply that was cut off, and where git was put back to an older one.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.findRepo(cmd.Context())
			if err != nil {
				return err
			}
			p, err := newApply(cmd, r, join, gone)
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
	cmd.Flags().StringSliceVar(&gone, "gone", nil, "backends whose former place, before their remote was changed, is gone for good")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would change")
	return cmd
}

// apply puts a layout in force.
type apply struct {
	repo    *repo
	join    bool
	gone    []string
	newest  *clone.Settings // card and layout that the new one follows
	heads   []layout.Head   // all that it follows
	attempt *clone.Settings // of an apply that was cut off, or nil
}

// newApply finds out what the new layout follows: what git has, what this
// clone has seen, or both where that is wanted.
func newApply(cmd *cobra.Command, r *repo, join bool, gone []string) (*apply, error) {
	git, err := r.fromGit(cmd.Context())
	if err != nil {
		return nil, err
	}
	p := &apply{repo: r, join: join, gone: gone}
	if p.newest, p.heads, err = r.dir.Newest(cmd.Context(), git, join); err != nil {
		return nil, err
	}
	if p.attempt, err = r.dir.Attempt(); err != nil {
		return nil, err
	}
	if p.attempt != nil && (p.attempt.Card.Fingerprint() != p.newest.Card.Fingerprint() || !p.attempt.Document.Follows(p.newest.Layout.Hash)) {
		p.attempt = nil // overtaken
	}
	if p.attempt != nil {
		p.attempt.Card = p.newest.Card // which may have changed since
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
		show(cmd, changes...)
	} else {
		show(cmd, "the layout itself is the one in force")
	}
	if target != p.attempt { // which was asked about before it began
		if err := p.mayLeave(cmd, v, target); err != nil {
			return err
		}
	}
	if dryRun {
		return nil
	}
	if err := p.repo.dir.Begin(target); err != nil {
		return err
	}
	if err := p.claim(ctx, v, target); err != nil {
		if !errors.Is(err, object.ErrHalfClaimed) {
			p.repo.dir.Finish() // everything is as before
			return err
		}
		return fmt.Errorf("%w: nothing is in git yet; when that is mended run: shardraid layout apply", err)
	}
	if err := p.repo.publish(ctx, target); err != nil {
		return fmt.Errorf("the layout is in force on the backends, and not in git yet: run shardraid layout apply again: %w", err)
	}
	p.repo.dir.Finish()
	note(cmd, "layout of epoch %d is in force; other clones need git annex sync", target.Layout.Epoch)
	return nil
}

// mayLeave makes sure that nothing relies on the backends that the target has
// no more.
func (p *apply) mayLeave(cmd *cobra.Command, v *vault.Vault, target *clone.Settings) error {
	for _, h := range p.heads {
		leaving := layout.Leaving(target.Layout, []layout.Head{h})
		if len(leaving) == 0 {
			continue
		}
		pool, err := clone.Connect(v, h.Layout, nil)
		if err != nil {
			return err
		}
		err = pool.WithoutOff(cmd.Context(), &object.Job{})
		pool.Close()
		if err != nil {
			var off []string // what one leaves behind must not rely on another
			for _, b := range h.Layout.Backends {
				if b.State == layout.Off {
					off = append(off, b.Name)
				}
			}
			return fmt.Errorf("%[1]s cannot leave the layout yet: run shardraid repair --lost %[2]s and shardraid gc --lost %[2]s, then try again: %[3]w", strings.Join(leaving, ", "), strings.Join(off, ","), err)
		}
	}
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
	switch {
	case p.join:
		if err := p.addFromBackends(ctx, v); err != nil {
			return nil, err
		}
	case p.attempt != nil && p.attempt.Document.YAML == text:
		return p.attempt, nil
	case p.attempt != nil:
		return nil, errors.New("an apply of another layout was cut off: complete it first, by shardraid layout apply without a FILE")
	case p.newest.Document.YAML == text:
		return p.newest, nil
	}
	types, err := clone.Types(l)
	if err != nil {
		return nil, err
	}
	doc, err := layout.Successor(text, p.heads, manifest.NewBackendID)
	if err != nil {
		return nil, err
	}
	doc.Types = types
	return clone.Sign(v, p.newest.Card, doc)
}

// addFromBackends adds the heads that only the backends have: of an apply that
// was cut off in another clone, or in this one.
func (p *apply) addFromBackends(ctx context.Context, v *vault.Vault) error {
	if p.attempt != nil {
		p.heads = append(p.heads, p.attempt.Head())
	}
	for _, h := range p.heads {
		pool, err := clone.Connect(v, h.Layout, nil)
		if err != nil {
			return err
		}
		bodies := pool.Layouts(ctx)
		pool.Close()
		for _, body := range bodies {
			d, l, err := layout.ParseDocument(body)
			if err != nil {
				return err
			}
			known := false
			for _, h := range p.heads {
				known = known || h.Layout.Hash == l.Hash || h.Document.Follows(l.Hash)
			}
			if !known {
				p.heads = append(p.heads, layout.Head{Document: d, Layout: l})
			}
		}
	}
	return nil
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
	if fresh {
		var err error
		if passphrase, err = passphraseOf(ctx, target.Card); err != nil {
			return err
		}
	}
	former, end := p.formerPlaces(target.Layout)
	defer end()
	return p.repo.dir.Claim(ctx, v, target, passphrase, object.Claim{Known: known, Former: former})
}

// formerPlaces connects the places that backends had under the layouts before
// and have no more, without those that are gone for good.
func (p *apply) formerPlaces(now *layout.Layout) (former []object.Former, end func()) {
	var connected []*backends.Rclone
	end = func() {
		for _, b := range connected {
			b.Close()
		}
	}
	for _, h := range p.heads {
		for _, old := range h.Layout.Backends {
			if old.State == layout.Off || slices.Contains(p.gone, old.Name) || now.HasPlace(old) {
				continue
			}
			open := clone.OpenBackend(old)
			connected = append(connected, open)
			former = append(former, object.Former{Name: old.Name, Remote: old.Remote, ID: old.ID, Store: open})
		}
	}
	return former, end
}
