package remote

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"shardraid/annex"
)

// version is set by the build.
var version = "devel"

// memoryLimit makes the collector keep the process near its buffers.
const memoryLimit = 176 << 20

// Main runs the program that it was called as and returns its exit code: the
// special remote as git-annex-remote-shardraid, else the command line.
func Main(args []string) int {
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	if name != "git-annex-remote-shardraid" {
		return commandLine(args[1:])
	}
	if onTerminal(os.Stdin) {
		fmt.Fprintln(os.Stderr, "git-annex runs this program; it is not for people.\n\n"+usage)
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

const usage = `shardraid turns many cloud accounts into one reliable git-annex remote.

  git annex initremote NAME type=external externaltype=shardraid encryption=none layout=shardraid.yaml

  shardraid version    print the version
  shardraid help       print this text`

func commandLine(args []string) int {
	switch {
	case len(args) == 1 && args[0] == "version":
		fmt.Println("shardraid", version)
	case len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h":
		fmt.Println(usage)
	default:
		fmt.Fprintf(os.Stderr, "shardraid: unknown command %q\n\n%s\n", args[0], usage)
		return 2
	}
	return 0
}
