package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/object"
)

func (a *app) scrubCommand() *cobra.Command {
	var o object.ScrubOptions
	var all, anew bool
	cmd := a.withoutGit(&cobra.Command{
		Use: "scrub [KEY...]", Short: "is everything that is stored whole?",
		Long: `Asks every backend what it has of all files, or of these keys, and changes nothing. Prints a line for each that is not whole, the most endangered first: key, what is wrong; with a tab between them. The exit code is 0 if all are whole.

It believes the sizes that backends list. With --hashes it also compares the hashes that many of them keep, which downloads nothing; with --sample it reads a share of the shards that have no hash, others each time; with --deep it reads every shard.

With one of these, in a repository, a scrub of everything that was stopped is gone on with by the next of the same depth, for two weeks: what was whole then is only looked at by size. --anew begins from the start.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Sample < 0 || o.Sample > 1 {
				return fmt.Errorf("--sample %v is no share: write 0 to 1, such as 0.05 for one shard in twenty", o.Sample)
			}
			return a.onPool(cmd, func(pool *clone.Pool) error {
				findings, err := a.scrub(cmd, pool, args, o, true, anew)
				if err != nil {
					return err
				}
				for _, f := range findings {
					if all || !isWhole(f) {
						a.showFinding(cmd, f)
					}
				}
				note(cmd, "%s%s", tally(findings), depth(findings, o))
				if len(notWhole(findings)) > 0 {
					return fmt.Errorf("not everything is whole: run %s when all backends answer that still exist", remedy(o))
				}
				return nil
			})
		},
	})
	cmd.Flags().BoolVar(&o.Deep, "deep", false, "read every shard: all that is stored is downloaded")
	cmd.Flags().BoolVar(&o.Hashes, "hashes", false, "compare the hashes that backends report: nothing is downloaded for that")
	cmd.Flags().Float64Var(&o.Sample, "sample", 0, "read this share (0 to 1) of the shards that no hash vouches for")
	cmd.Flags().BoolVar(&all, "all", false, "print those that are whole, too")
	cmd.Flags().BoolVar(&anew, "anew", false, "do not go on with a scrub that was stopped")
	return a.withJSON(cmd)
}

func (a *app) repairCommand() *cobra.Command {
	var o object.RepairOptions
	var hashes, dryRun bool
	cmd := a.withoutGit(&cobra.Command{
		Use: "repair [KEY...]", Short: "bring back what backends have lost",
		Long: `Looks at all files, or at these keys, and rebuilds the shards and records that are missing, the most endangered files first. What lies on a backend that only does not answer is left to it, unless it is named with --lost. It may be stopped and run again at any time, also while other clones store and remove.

Prints a line for each file that was not whole: key, what became of it; with a tab between them. The exit code is 0 if all are whole now.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onPool(cmd, func(pool *clone.Pool) error { return a.repair(cmd, pool, args, o, hashes, dryRun) })
		},
	})
	cmd.Flags().BoolVar(&o.Deep, "deep", false, "read every shard to find damage that does not show: all that is stored is downloaded")
	cmd.Flags().BoolVar(&hashes, "hashes", false, "find damage by the hashes that backends report")
	cmd.Flags().StringSliceVar(&o.Lost, "lost", nil, "backends that will not come back: rebuild elsewhere what they had")
	cmd.Flags().StringSliceVar(&o.Emptied, "emptied", nil, "backends that answer and have really lost much: refill them")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what is not whole")
	return a.withJSON(cmd)
}

func (a *app) repair(cmd *cobra.Command, pool *clone.Pool, keys []string, o object.RepairOptions, hashes, dryRun bool) error {
	if err := pool.Named(slices.Concat(o.Lost, o.Emptied)...); err != nil {
		return err
	}
	findings, err := a.scrub(cmd, pool, keys, object.ScrubOptions{Deep: o.Deep, Hashes: hashes}, false, false)
	if err != nil {
		return err
	}
	o.Deep = o.Deep || hashes // which shards of those that are not whole
	bad := notWhole(findings)
	if dryRun {
		for _, f := range bad {
			a.showFinding(cmd, f)
		}
		note(cmd, "%s", tally(findings))
		if len(bad) > 0 {
			return errors.New("not everything is whole: it would be repaired without --dry-run")
		}
		return nil
	}
	var todo []string
	for _, f := range bad {
		todo = append(todo, f.Key)
	}
	p := startProgress(cmd, "repaired", len(todo))
	var after []object.Finding
	err = pool.RepairAll(cmd.Context(), todo, o, a.job(cmd), func(f object.Finding) {
		pool.Keep()
		after = append(after, f)
		p.step(f.Health.Size)
		a.showFinding(cmd, f)
	})
	p.end()
	if err != nil {
		return fmt.Errorf("stopped after %d of %d files, nothing is lost by that, run it again: %w", len(after), len(todo), err)
	}
	note(cmd, "%d of %d files were whole; of the others: %s", len(findings)-len(bad), len(findings), tally(after))
	if len(notWhole(after)) > 0 {
		return errors.New("not everything is whole: run it again when the backends answer that still exist; name those that do not with --lost, and those that answer and have really lost what they had with --emptied")
	}
	return nil
}

// scrub looks at the objects of some keys, or of all; the most endangered come
// first. A scrub of all that was stopped is gone on with if that is wanted: what
// was whole then, and was not stored again, is only looked at by size.
func (a *app) scrub(cmd *cobra.Command, pool *clone.Pool, keys []string, o object.ScrubOptions, resume, anew bool) (findings []object.Finding, err error) {
	began, all := time.Now(), len(keys) == 0
	for _, key := range keys {
		if !isKey(key) {
			return nil, noKey(key)
		}
	}
	if all {
		if err := pool.List(cmd.Context(), a.job(cmd), func(l object.Listed) { keys = append(keys, l.Key) }); err != nil {
			return nil, err
		}
		pool.Remember() // what was counted, before others add to it
	}
	var stopped *clone.Scrubbing
	if kind := o.Kind(); all && resume && a.repo != nil && kind != "" {
		stopped = a.repo.dir.Scrub(kind, fmt.Sprintf("%+v", o), anew)
		defer func() { stopped.Close(err == nil) }()
	}
	p := startProgress(cmd, "looked at", len(keys))
	defer p.end()
	look := func(keys []string, o object.ScrubOptions, found func(f object.Finding) (done bool)) error {
		return pool.ScrubAll(cmd.Context(), keys, o, a.job(cmd), func(f object.Finding) {
			pool.Keep()
			if found(f) {
				findings = append(findings, f)
				p.step(f.Health.Size)
			}
		})
	}
	was, rest := stopped.Split(keys)
	if len(was) > 0 {
		began = stopped.Began
		note(cmd, "going on with the scrub of %s, which found %d of %d files whole", when(began), len(was), len(keys))
		err = look(was, object.ScrubOptions{}, func(f object.Finding) bool {
			same := stopped.Was(f)
			if !same {
				rest = append(rest, f.Key)
			}
			return same
		})
	}
	if err == nil {
		err = look(rest, o, func(f object.Finding) bool {
			stopped.Note(f)
			return true
		})
	}
	slices.SortFunc(findings, func(a, b object.Finding) int {
		return cmp.Or(byDanger(a.Health, b.Health), cmp.Compare(a.Key, b.Key))
	})
	switch {
	case err != nil:
		err = fmt.Errorf("stopped after %d of %d files: run it again: %w", len(findings), len(keys), err)
	case all && a.repo != nil && o.Deep:
		a.repo.dir.NoteScrub(began)
	case all && a.repo != nil:
		a.repo.dir.NoteScrub(time.Time{})
	}
	return findings, err
}

// depth says how many shards were more than listed, and what a sample is worth.
func depth(findings []object.Finding, o object.ScrubOptions) string {
	if !o.Hashes && o.Sample == 0 && !o.Deep {
		return ""
	}
	checked, shards := 0, 0
	for _, f := range findings {
		checked, shards = checked+f.Health.Checked, shards+f.Health.Shards
	}
	text := fmt.Sprintf("; %d of %d shards were compared by hash or read", checked, shards)
	if checked < shards && o.Sample == 0 && !o.Deep {
		text += " (of the others no hash is known: --sample or --deep reads them)"
	}
	if p := o.Sample; p > 0 && p < 1 && !o.Deep {
		text += fmt.Sprintf("; of those without a hash a sample: damage to %.0f of them would have shown with 95 %%", math.Ceil(math.Log(0.05)/math.Log(1-p)))
	}
	return text
}

// remedy is the repair that sees what such a scrub has seen.
func remedy(o object.ScrubOptions) string {
	switch {
	case o.Deep || o.Sample > 0:
		return "shardraid repair --deep, with these keys,"
	case o.Hashes:
		return "shardraid repair --hashes"
	}
	return "shardraid repair"
}

// onPool opens the store for what f does.
func (a *app) onPool(cmd *cobra.Command, f func(*clone.Pool) error) error {
	pool, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer pool.Close()
	return f(pool)
}

// byDanger puts those first that may lose the fewest backends.
func byDanger(a, b object.Health) int {
	return cmp.Or(cmp.Compare(a.Spare, b.Spare), cmp.Compare(a.Key, b.Key))
}

func isWhole(f object.Finding) bool { return f.Err == nil && f.Health.Whole() }

func notWhole(findings []object.Finding) []object.Finding {
	return slices.DeleteFunc(slices.Clone(findings), isWhole)
}

func describe(f object.Finding) string {
	if f.Err != nil {
		return f.Err.Error()
	}
	return f.Health.String()
}

// tally counts what was found.
func tally(findings []object.Finding) string {
	whole, lost, failed := 0, 0, 0
	for _, f := range findings {
		switch {
		case f.Err != nil:
			failed++
		case f.Health.Lost:
			lost++
		case f.Health.Whole():
			whole++
		}
	}
	return fmt.Sprintf("%d whole, %d not whole, %d lost, %d could not be looked at",
		whole, len(findings)-whole-lost-failed, lost, failed)
}

func (a *app) gcCommand() *cobra.Command {
	var o object.CollectOptions
	cmd := &cobra.Command{
		Use: "gc", Short: "delete what dead stores and cut off removals have left", Args: cobra.NoArgs,
		Long: `Deletes the files of which nothing is needed any more: what was removed, or was stored again, while a backend was away, and what a store that died has left. The last is deleted 48 hours after this clone saw it first: run it again then. Every backend that is not named with --lost must answer.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onPool(cmd, func(pool *clone.Pool) error {
				if err := pool.Named(o.Lost...); err != nil {
					return err
				}
				keys, err := annexKeys(cmd.Context())
				if err != nil {
					return err
				}
				o.Keys = slices.Values(keys)
				done, err := pool.Collect(cmd.Context(), o, a.job(cmd))
				a.showCollected(cmd, done, o.DryRun)
				if errors.Is(err, context.Canceled) {
					return fmt.Errorf("stopped, run it again: %w", err)
				}
				return err
			})
		},
	}
	cmd.Flags().StringSliceVar(&o.Lost, "lost", nil, "backends that will not come back")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only say how much would be deleted")
	return a.withJSON(cmd)
}

func (a *app) showCollected(cmd *cobra.Command, done object.Collected, dryRun bool) {
	if a.json {
		a.line(cmd, map[string]int{"files": done.Files, "young": done.Young, "unknown": done.Unknown, "failed": done.Failed}, "")
		return
	}
	deleted := "deleted"
	if dryRun {
		deleted = "would be deleted"
	}
	note(cmd, "%d files %s; %d unfinished stores or removals are too young to tell; %d directories are of files that this repository does not know", done.Files, deleted, done.Young, done.Unknown)
}
