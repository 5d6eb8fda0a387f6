package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/layout"
	"shardraid/object"
)

func (a *app) rebalanceCommand() *cobra.Command {
	var dryRun bool
	cmd := a.withoutGit(&cobra.Command{
		Use: "rebalance", Short: "give new backends their share, and empty those with state: drain", Args: cobra.NoArgs,
		Long: `Copies shards from backends that have more than their share to those that have less, and deletes them there; nothing is coded again. A backend's share goes by what it has and what it says is free, or by its storage limit. All that lies on a backend with state: drain goes elsewhere. It may be stopped and run again at any time, also while other clones store and remove.

Prints a line for each file of which something was moved, or could not be: key, what; with a tab between them.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onPool(cmd, func(pool *clone.Pool) error {
				b, err := pool.Balance(cmd.Context(), a.job(cmd))
				if err != nil {
					return err
				}
				pool.Remember() // what was counted, before others add to it
				if !dryRun {
					return a.rebalance(cmd, pool, b)
				}
				if a.json {
					for _, s := range b.Shares {
						a.line(cmd, share{s.Name, string(s.State), s.Has, s.Share, errorText(s.Err)}, "")
					}
					return nil
				}
				printShares(cmd.OutOrStdout(), b)
				return nil
			})
		},
	})
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what every backend has, and its share")
	return a.withJSON(cmd)
}

func (a *app) rebalance(cmd *cobra.Command, pool *clone.Pool, b *object.Balance) error {
	var shards, failed int
	var bytes int64
	p := startProgress(cmd, "moved", len(b.Keys))
	err := b.MoveAll(cmd.Context(), a.job(cmd), func(m object.Moved) {
		p.step(m.Bytes)
		pool.Keep()
		shards, bytes = shards+m.Shards, bytes+m.Bytes
		text := fmt.Sprintf("%d shards moved, %s", m.Shards, size(&m.Bytes))
		if m.Err != nil {
			failed++
			text = m.Err.Error()
		}
		if m.Shards > 0 || m.Err != nil {
			a.line(cmd, moved{m.Key, m.Shards, m.Bytes, errorText(m.Err)}, m.Key+"\t"+text)
		}
	})
	p.end()
	if err != nil {
		return fmt.Errorf("stopped, nothing is lost by that, run it again: %w", err)
	}
	note(cmd, "%d shards moved, %s", shards, size(&bytes))
	if failed > 0 {
		return fmt.Errorf("%d of %d files are not where they should be: see above; damaged shards are mended by shardraid repair --deep KEY, then run this again", failed, len(b.Keys))
	}
	return drained(cmd, b)
}

// drained says what became of the backends that shall be emptied.
func drained(cmd *cobra.Command, b *object.Balance) error {
	var drained, silent []string
	for _, s := range b.Shares {
		switch {
		case s.Err != nil && s.State != layout.Off:
			silent = append(silent, s.Name+": "+s.Err.Error())
		case s.State == layout.Drain:
			drained = append(drained, s.Name)
		}
	}
	if b.Unknown > 0 {
		return fmt.Errorf("%d directories with shards on backends with state: drain are of no file that can be named now: run shardraid gc, and this again, before you give the backends up", b.Unknown)
	}
	if len(drained) > 0 {
		note(cmd, "nothing that is needed is left on %s: it may be given up now, with state: off", strings.Join(drained, ", "))
	}
	if len(silent) > 0 {
		return fmt.Errorf("these keep what they have, run it again when they answer: %s", strings.Join(silent, "; "))
	}
	return nil
}

func printShares(w io.Writer, b *object.Balance) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "backend\tstate\thas\tshare")
	for _, s := range b.Shares {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Name, s.State, size(&s.Has), size(&s.Share))
	}
	t.Flush()
	excess := b.Excess()
	fmt.Fprintf(w, "\n%s would be moved\n", size(&excess))
}

// moved is what --json prints of one file.
type moved struct {
	Key    string `json:"key"`
	Shards int    `json:"shards"`
	Bytes  int64  `json:"bytes"`
	Error  string `json:"error"` // "" if all is where it should be
}

// share is what --dry-run --json prints of a backend, in bytes of shards.
type share struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Has   int64  `json:"has"`
	Share int64  `json:"share"`
	Error string `json:"error"` // why it keeps what it has, "" if it need not
}
