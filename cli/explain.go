package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/layout"
	"shardraid/object"
)

func (a *app) explainCommand() *cobra.Command {
	cmd := a.withoutGit(&cobra.Command{
		Use: "explain KEY", Short: "where is a file, what brings it back, and what are the odds?", Args: cobra.ExactArgs(1),
		Long: "Shows what every backend has of the file with this key, of which backends a restore needs how many, and how likely the file is lost if accounts die before anything is replaced. It goes by what backends list and reads the copies of the manifest. git annex lookupkey FILE tells the key of a file.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !isKey(args[0]) {
				return noKey(args[0])
			}
			return a.onPool(cmd, func(pool *clone.Pool) error {
				e, err := pool.Explain(cmd.Context(), args[0], a.job(cmd))
				if err != nil {
					return fmt.Errorf("explain %s: %w", args[0], err)
				}
				if err := a.result(cmd, explained(e), func(w io.Writer) { printExplanation(w, e) }); err != nil {
					return err
				}
				if e.Health.Lost || e.Health.Spare < 0 {
					return errors.New("it cannot be had now")
				}
				return nil
			})
		},
	})
	return a.withJSON(cmd)
}

func printExplanation(w io.Writer, e *object.Explanation) {
	fmt.Fprintf(w, "%s\n%s", e.Health.Key, size(&e.Health.Size))
	if e.Segments == 0 {
		fmt.Fprint(w, ", kept whole in each copy of the manifest")
	} else {
		fmt.Fprintf(w, " in %d segments, each of %d+%d shards", e.Segments, e.Data, e.Parity)
	}
	fmt.Fprintf(w, ": %s\n\n", e.Health)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "backend\tdomain\tshards\tbytes\tmanifest\t")
	for _, h := range e.Holders {
		manifest, trouble := "-", ""
		if h.Manifest {
			manifest = "yes"
		}
		if h.Err != nil {
			trouble = h.Err.Error()
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", h.Name, h.Domain, h.Shards, size(&h.Bytes), manifest, trouble)
	}
	t.Flush()
	fmt.Fprintln(w)
	for _, g := range e.Groups {
		of := ""
		if len(e.Groups) > 1 {
			of = fmt.Sprintf(" (%d segments)", g.Segments)
		}
		fmt.Fprintf(w, "to bring it back%s: any %d of %s\n", of, e.Need(), strings.Join(g.Backends, ", "))
	}
	fmt.Fprintln(w, "odds to lose it before anything is replaced:")
	for _, death := range []string{"each account", "each domain"} {
		var cells []string
		for _, p := range layout.LossOdds {
			cells = append(cells, fmt.Sprintf("%.0f %%: %.1e", p*100, odds(e, death == "each domain", p)))
		}
		fmt.Fprintf(w, "  %s dies with probability %s\n", death, strings.Join(cells, ", "))
	}
}

// odds are those to lose the object: too many shards of a group, or all copies of
// the manifest. They are added up, which is never too little.
func odds(e *object.Explanation, domains bool, p float64) (sum float64) {
	apart := true // the manifest is lost when no group is
	for _, g := range e.Groups {
		sum += lossOf(g, e.Need(), domains, p)
		elsewhere := slices.ContainsFunc(e.Manifest.Backends, func(name string) bool { return !slices.Contains(g.Backends, name) })
		if !elsewhere && len(e.Manifest.Backends) > len(g.Backends)-e.Need() {
			apart = false
		}
	}
	if apart {
		sum += lossOf(e.Manifest, 1, domains, p)
	}
	return min(sum, 1)
}

// lossOf returns the odds that fewer than need of a group are left.
func lossOf(g object.Group, need int, domains bool, p float64) float64 {
	together := map[string]int{}
	for i, name := range g.Backends {
		if domains {
			name = g.Domains[i]
		}
		together[name]++
	}
	return layout.Loss(slices.Collect(maps.Values(together)), len(g.Backends)-need, p)
}

// explanation is what --json prints; sizes are in bytes.
type explanation struct {
	finding
	Data     int                `json:"data"`
	Parity   int                `json:"parity"`
	Segments int                `json:"segments"` // 0 where the content is in the manifest
	Backends []holder           `json:"backends"`
	Groups   []groupLine        `json:"groups"`
	Need     int                `json:"need"` // backends of each group
	Odds     map[string]float64 `json:"odds"` // to lose it, by the probability that an account dies
}

type holder struct {
	Name     string `json:"name"`
	Domain   string `json:"domain"`
	Error    string `json:"error"` // "" if it answers
	Shards   int    `json:"shards"`
	Bytes    int64  `json:"bytes"`
	Manifest bool   `json:"manifest"`
}

type groupLine struct {
	Backends []string `json:"backends"`
	Segments int      `json:"segments"`
}

func explained(e *object.Explanation) explanation {
	x := explanation{
		finding: found(object.Finding{Key: e.Health.Key, Health: e.Health}),
		Data:    e.Data, Parity: e.Parity, Segments: e.Segments, Need: e.Need(), Odds: map[string]float64{},
	}
	for _, h := range e.Holders {
		x.Backends = append(x.Backends, holder{h.Name, h.Domain, errorText(h.Err), h.Shards, h.Bytes, h.Manifest})
	}
	for _, g := range e.Groups {
		x.Groups = append(x.Groups, groupLine{g.Backends, g.Segments})
	}
	for _, p := range layout.LossOdds {
		x.Odds[fmt.Sprintf("%.2f", p)] = odds(e, false, p)
	}
	return x
}
