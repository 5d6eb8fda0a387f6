package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// measured is the special remote, and adds its peak of memory, in KiB, to the
// file that PEAKS names.
func measured() {
	cmd := exec.Command("git-annex-remote-shardraid")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	failed := cmd.Run()
	f, err := os.OpenFile(os.Getenv("PEAKS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if f.Close() != nil || failed != nil {
		os.Exit(1)
	}
}

// peak: peak MIB fails if a measured remote took more memory than that since
// the last call, or if there was none.
func peak(ts *testscript.TestScript, _ bool, args []string) {
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	top := 0
	for _, line := range strings.Fields(ts.ReadFile(ts.Getenv("PEAKS"))) {
		kib, err := strconv.Atoi(line)
		ts.Check(err)
		top = max(top, kib)
	}
	ts.Check(os.Remove(ts.Getenv("PEAKS")))
	ts.Logf("peak: %d MiB", top>>10)
	if top == 0 || top > most<<10 {
		ts.Fatalf("a remote took %d MiB, more than %d", top>>10, most)
	}
}
