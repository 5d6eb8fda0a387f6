package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// leech: aria2 DIR TORRENT gets all of a torrent with aria2.
func leech(ts *testscript.TestScript, _ bool, args []string) {
	all := append([]string{"60", program(ts, "aria2c"), "--seed-time=0", "--listen-port=" + strconv.Itoa(freePort(ts)), "-d", ts.MkAbs(args[0])}, aria2Alone...)
	ts.Check(ts.Exec("timeout", append(all, ts.MkAbs(args[1]))...))
}

// startOurs: ours DIR N [ARGUMENT…] has us seed what is in a repository, and
// waits until N torrents are ready.
func startOurs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	out := filepath.Join(ts.Getenv("WORK"), ".tmp", filepath.Base(dir)+"-seed")
	log, err := os.Create(out)
	ts.Check(err)
	cmd := exec.Command(filepath.Join(os.Getenv("SHARDRAID_BIN"), "git-annex-remote-torrent"), append([]string{"seed"}, args[2:]...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "PATH="+ts.Getenv("PATH"))
	ts.Check(cmd.Start())
	log.Close()
	theSwarm(ts).ours[dir] = cmd
	ts.Defer(func() { cmd.Process.Kill() })
	for range 200 {
		text := string(must(os.ReadFile(out)))
		if strings.Count(text, "seeding ") >= want {
			ts.Logf("%s", text)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("does not seed %d torrents:\n%s", want, must(os.ReadFile(out)))
}

// stopOurs: stopours DIR ends that, which must not take long.
func stopOurs(ts *testscript.TestScript, _ bool, args []string) {
	cmd := theSwarm(ts).ours[ts.MkAbs(args[0])]
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		ts.Logf("%v", cmd.ProcessState)
		if err != nil {
			ts.Fatalf("seed: %v", err)
		}
	case <-time.After(10 * time.Second):
		ts.Fatalf("seed does not end")
	}
}
