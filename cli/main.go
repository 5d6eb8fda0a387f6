package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build; where it is not, go install knows.
var version = "devel"

func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "devel" && info.Main.Version != "" {
		return info.Main.Version
	}
	return version
}

// Main runs the command line and returns the exit code: 0 done, 1 failed, 2
// not understood.
func Main(name string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed := false
	root := commands(name, &failed)
	root.SetArgs(args)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case failed:
		fmt.Fprintln(os.Stderr, "shardraid:", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "shardraid: %v\nsee: shardraid help\n", err)
	return 2
}

// commands returns the tree of commands. Failed is set when a command was
// understood, so that what it returns is its failure.
func commands(name string, failed *bool) *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:           name,
		Short:         "many cloud accounts as one reliable git-annex remote",
		Long:          "shardraid turns many cloud accounts into one reliable git-annex remote. To set one up:\n\n  git annex initremote NAME type=external externaltype=shardraid encryption=none layout=shardraid.yaml [recipients=FINGERPRINT | passphrase=yes]",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			*failed = true
		},
	}
	root.PersistentFlags().StringVar(&a.remote, "remote", "", "name of the git-annex remote (not needed where there is one only)")
	root.AddCommand(a.initCommand(), a.keyCommand(), a.layoutCommand(), a.listCommand(), a.getCommand(), a.explainCommand(), a.statusCommand(), a.scrubCommand(), a.repairCommand(), a.rebalanceCommand(), a.gcCommand(), a.urlCommand(), &cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "shardraid", versionText()) },
	})
	return root
}

// group is a command that only has others below it.
func group(name, short string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
}

// app is what the flags say.
type app struct {
	remote string
	json   bool
	repo   *repo // in which the remote was found; nil outside of one

	// outside of a repository
	layout string
	key    string
	vault  string
}

// note tells the person something beside the result.
func note(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}

// show writes lines of the result.
func show(cmd *cobra.Command, lines ...string) {
	for _, line := range lines {
		fmt.Fprintln(cmd.OutOrStdout(), line)
	}
}
