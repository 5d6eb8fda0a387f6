package torrent

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"shardraid/annex"
)

const usage = `git-annex-remote-torrent gets annexed files out of torrents; git-annex runs it:

    git annex initremote torrent type=external externaltype=torrent encryption=none
    git annex addurl 'torrent:magnet:?xt=urn:btih:...'

git-annex-remote-torrent seed [-ratio R]
    gives the files that are here to others, until it is stopped
`

// Main runs the program with its arguments and returns the exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case len(args) == 1 && args[0] == metadataCommand:
		return answerMetadata(ctx, os.Stdin, os.Stdout, os.Stderr)
	case len(args) > 0 && args[0] == "seed":
		return seedMain(ctx, args[1:])
	case len(args) > 0:
		fmt.Fprint(os.Stderr, usage)
		return 2
	case annex.OnTerminal(os.Stdin):
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	r := New()
	defer r.Close()
	return annex.ServeStdio(ctx, "git-annex-remote-torrent", r)
}

func seedMain(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("git-annex-remote-torrent seed", flag.ContinueOnError)
	ratio := flags.Float64("ratio", -1, "be done with a torrent at this ratio of bytes given to its bytes here; 0: never (default: the setting seed)")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	if err := seed(ctx, *ratio, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "git-annex-remote-torrent:", err)
		return 1
	}
	return 0
}
