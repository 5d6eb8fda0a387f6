package annex

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// ServeStdio serves git-annex on stdin and stdout, on behalf of the program of that name, and returns
// its exit code. Whatever else writes to [os.Stdout] from now on gets to stderr.
func ServeStdio(ctx context.Context, name string, r Remote) int {
	signal.Ignore(syscall.SIGPIPE) // a git-annex that is gone is an end of input
	stdout := os.Stdout
	os.Stdout = os.Stderr // nothing but the protocol writes to the real one
	if err := Serve(ctx, os.Stdin, stdout, r); err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// OnTerminal tells a terminal, behind which is a person and not git-annex, from pipes, files and
// /dev/null.
func OnTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
