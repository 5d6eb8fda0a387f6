package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/object"
	"shardraid/vault"
)

// withoutGit adds the flags that find a remote by its layout.
func (a *app) withoutGit(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.layout, "layout", "", "find the remote by this layout file, without git")
	cmd.Flags().StringVar(&a.key, "key", "", "with --layout: recovery file, or a copy of the file in .git/annex/creds (default: the copies on the backends, opened by your GPG key or passphrase)")
	cmd.Flags().StringVar(&a.vault, "vault", "", "with --layout: fingerprint of the vault that it must be")
	return cmd
}

func (a *app) listCommand() *cobra.Command {
	cmd := a.withoutGit(&cobra.Command{
		Use: "list", Short: "list the keys of all files that are stored", Args: cobra.NoArgs,
		Long: "Prints one line for each file: key, size in bytes, where it lies; with a tab between them. Which name a file had is known to git alone.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []object.Listed
			err := a.onPool(cmd, func(pool *clone.Pool) error {
				return pool.List(cmd.Context(), a.job(cmd), func(l object.Listed) { all = append(all, l) })
			})
			slices.SortFunc(all, func(a, b object.Listed) int { return cmp.Compare(a.Key, b.Key) })
			lost := 0
			for _, l := range all {
				where := strings.Join(l.Placement.Backends, ",")
				if l.Trouble != "" {
					lost++
					where = "cannot be had now: " + l.Trouble
				}
				a.line(cmd, listed{l.Key, l.Size, l.Placement.Backends, l.Trouble}, fmt.Sprintf("%s\t%d\t%s", l.Key, l.Size, where))
			}
			if err == nil && lost > 0 {
				err = fmt.Errorf("%d of %d files cannot be had now", lost, len(all))
			}
			return err
		},
	})
	return a.withJSON(cmd)
}

// listed is what --json prints of one file.
type listed struct {
	Key      string   `json:"key"`
	Size     int64    `json:"size"`
	Backends []string `json:"backends"`
	Error    string   `json:"error"` // why it cannot be had now, "" if it can
}

func (a *app) getCommand() *cobra.Command {
	return a.withoutGit(&cobra.Command{
		Use: "get KEY [FILE]", Short: "bring one file back", Args: cobra.RangeArgs(1, 2),
		Long: "Writes the content of a key to FILE, by default a file that is named like the key. A file that is there already is overwritten, as far as it differs.",
		RunE: func(cmd *cobra.Command, args []string) error {
			file := fileName(args[0])
			if len(args) > 1 {
				file = args[1]
			}
			_, missing := os.Stat(file)
			err := a.onPool(cmd, func(pool *clone.Pool) error {
				err := pool.Get(cmd.Context(), args[0], file, a.job(cmd))
				if err == nil {
					return nil
				}
				if info, statErr := os.Stat(file); missing != nil && statErr == nil && info.Size() == 0 {
					os.Remove(file)
				}
				if errors.Is(err, object.ErrAbsent) && !isKey(args[0]) {
					return noKey(args[0])
				}
				return fmt.Errorf("get %s: %w", args[0], err)
			})
			if err != nil {
				return err
			}
			note(cmd, "wrote %s", file)
			return nil
		},
	})
}

// fileName is git-annex's own form of a key as the name of a file.
func fileName(key string) string {
	return strings.NewReplacer("&", "&a", "%", "&s", ":", "&c", "/", "%").Replace(key)
}

// keyOf is the other way round.
func keyOf(fileName string) string {
	return strings.NewReplacer("&a", "&", "&s", "%", "&c", ":", "%", "/").Replace(fileName)
}

// open opens the store of the repository's remote, or of the layout named.
func (a *app) open(cmd *cobra.Command) (*clone.Pool, error) {
	if a.layout == "" {
		if a.key != "" || a.vault != "" {
			return nil, fmt.Errorf("--key and --vault go with --layout")
		}
		r, err := a.findRepo(cmd.Context())
		if err != nil {
			return nil, err
		}
		a.repo = r
		set, v, err := r.opened(cmd)
		if err != nil {
			return nil, err
		}
		return r.dir.Connect(cmd.Context(), v, set.Layout)
	}
	found, err := a.discover(cmd)
	if err != nil {
		return nil, err
	}
	return found.Connect()
}

// discover finds the remote of the layout file.
func (a *app) discover(cmd *cobra.Command) (*clone.Found, error) {
	l, _, err := clone.ReadLayout(a.layout)
	if err != nil {
		return nil, err
	}
	trusted := ""
	if a.vault != "" {
		list, err := vault.ParseRecipients(a.vault)
		if err != nil {
			return nil, err
		}
		trusted = list[0]
	}
	found, err := clone.Discover(cmd.Context(), l, a.key, trusted)
	if err != nil {
		return nil, err
	}
	if found.Said != "" {
		note(cmd, "%s", found.Said)
	}
	for _, line := range found.Missing {
		note(cmd, "%s", line)
	}
	return found, nil
}

// job shows what the store has to say.
func (a *app) job(cmd *cobra.Command) *object.Job {
	var mu sync.Mutex
	say := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		note(cmd, "%s", text)
	}
	return &object.Job{
		Progress: func(int64) {},
		Info:     say,
		Damaged:  func(backend, what string) { say("backend " + backend + ": damaged " + what + "; using the others") },
	}
}

// isKey reports whether a text may be a key of git-annex, which have BACKEND,
// fields, and two dashes before the name.
func isKey(text string) bool { return strings.Contains(text, "--") }

func noKey(text string) error {
	return fmt.Errorf("%q is no key of git-annex: git annex lookupkey FILE tells the key of a file, shardraid list those that are stored", text)
}
