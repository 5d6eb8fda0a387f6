package remote

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"shardraid/annex"
)

// memoryLimit makes the collector keep the process near its buffers.
const memoryLimit = 152 << 20

// Main serves git-annex on stdin and stdout and returns the exit code.
func Main() int {
	if annex.OnTerminal(os.Stdin) {
		fmt.Fprintln(os.Stderr, "git-annex runs this program; it is not for people. See: shardraid help")
		return 2
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := New()
	defer r.Close()
	return annex.ServeStdio(ctx, "git-annex-remote-shardraid", r)
}
