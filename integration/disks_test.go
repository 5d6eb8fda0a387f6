package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// ownMounts says that this process may mount, and that nobody else sees it.
const ownMounts = "SHARDRAID_OWN_MOUNTS"

// TestFullDisks runs the scripts that need small file systems, in a mount
// namespace of their own, so that nothing stays mounted whatever happens.
func TestFullDisks(t *testing.T) {
	if os.Getenv(ownMounts) != "" {
		run(t, "testdata/full/*.txtar")
		return
	}
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-Urm" // root of a user namespace may mount as well
	}
	if out, err := exec.Command("unshare", flags, "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("nothing can be mounted here: unshare %s: %v\n%s", flags, err, out)
		}
		t.Skipf("NOT RUN: nothing can be mounted here: unshare %s: %v\n%s", flags, err, out)
	}
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command("unshare", flags, self, "-test.run=^TestFullDisks$", "-test.v="+strconv.FormatBool(testing.Verbose()))
	cmd.Env = append(os.Environ(), ownMounts+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

// tmpfs: tmpfs DIR SIZE mounts an empty file system of a size.
func tmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill: fill DIR… leaves no room in file systems; rm DIR/filler makes it again.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		f, err := os.OpenFile(filepath.Join(ts.MkAbs(dir), "filler"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		ts.Check(err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			ts.Fatalf("%v", err)
		}
		ts.Check(f.Close())
	}
}

// await: await BYTES GLOB waits until the files have that many bytes in all.
func await(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	for range 2400 {
		files, err := filepath.Glob(ts.MkAbs(args[1]))
		ts.Check(err)
		var have int64
		for _, file := range files {
			if info, err := os.Stat(file); err == nil {
				have += info.Size()
			}
		}
		if have >= want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not come to %d bytes", args[1], want)
}
