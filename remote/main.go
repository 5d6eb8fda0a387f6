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
	if onTerminal(os.Stdin) {
		fmt.Fprintln(os.Stderr, "git-annex runs this program; it is not for people. See: shardraid help")
		return 2
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a git-annex that is gone is an end of input
	stdout := os.Stdout
	os.Stdout = os.Stderr // nothing but the protocol writes to the real one
	r := New()
	defer r.Close()
	if err := annex.Serve(ctx, os.Stdin, stdout, r); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "git-annex-remote-shardraid:", err)
		return 1
	}
	return 0
}

// onTerminal tells a terminal from pipes, files and /dev/null.
func onTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
