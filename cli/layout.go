package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/layout"
)

func (a *app) layoutCommand() *cobra.Command {
	cmd := group("layout", "what the remote is made of")
	cmd.AddCommand(&cobra.Command{
		Use: "check FILE", Short: "is this layout valid, and what does it survive?", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := clone.ReadLayout(args[0])
			if err != nil {
				return err
			}
			show(cmd, l.Explain()...)
			for _, line := range clone.Missing(&clone.Settings{Layout: l, Document: &layout.Document{}}) {
				note(cmd, "%s", line)
			}
			return nil
		},
	}, &cobra.Command{
		Use: "show", Short: "print the layout in force", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.trusted(cmd)
			if err != nil {
				return err
			}
			note(cmd, "epoch %d, %s, signed by vault %s", set.Layout.Epoch, set.Layout.Hash, set.Card.Fingerprint())
			fmt.Fprint(cmd.OutOrStdout(), set.Document.YAML)
			return nil
		},
	}, &cobra.Command{
		Use: "diff FILE", Short: "what would applying this file change?", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := a.trusted(cmd)
			if err != nil {
				return err
			}
			l, _, err := clone.ReadLayout(args[0])
			if err != nil {
				return err
			}
			show(cmd, layout.Diff(set.Layout, l)...)
			return nil
		},
	}, a.applyCommand())
	return cmd
}

// trusted returns the settings of the repository's remote.
func (a *app) trusted(cmd *cobra.Command) (*clone.Settings, error) {
	r, err := a.findRepo(cmd.Context())
	if err != nil {
		return nil, err
	}
	return r.settings(cmd)
}
