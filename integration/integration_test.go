package integration

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"git-annex-remote-plain": plain, "git-annex-remote-measured": measured})
}

// plain is the special remote for a git-annex that cannot do ASYNC: it passes
// everything through and takes that word out of the offer.
func plain() {
	cmd := exec.Command("git-annex-remote-shardraid")
	in, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b...) {
		if _, err := os.Stdin.Read(b); err != nil {
			break
		}
	}
	in.Write(bytes.Replace(line, []byte(" ASYNC"), nil, 1))
	io.Copy(in, os.Stdin)
	in.Close()
	if cmd.Wait() != nil {
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) { run(t, "testdata/*.txtar") }

// TestLong is git annex testremote at its default sizes: make testremote.
func TestLong(t *testing.T) {
	if os.Getenv("SHARDRAID_LONG") == "" {
		t.Log("NOT RUN: long; make testremote runs it")
		return
	}
	run(t, "testdata/long/*.txtar")
}

// needed returns where the binary to be tested is, and fails without the
// programs that every test needs.
func needed(t *testing.T) (bin string) {
	bin = os.Getenv("SHARDRAID_BIN")
	if bin == "" {
		t.Fatal("SHARDRAID_BIN is not set: run make integration")
	}
	for _, need := range []string{"git-annex", "gpg"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("%s is missing: run make deps", need)
		}
	}
	return bin
}

func run(t *testing.T, pattern string, more ...func(*testscript.Env)) {
	bin := needed(t)
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(env *testscript.Env) error { return setup(env, bin, more...) },
		Cmds: torrentCommands(serverCommands(map[string]func(*testscript.TestScript, bool, []string){
			"layout": writeLayout, "random": random, "damage": damage, "holders": holders, "peak": peak, "sftpd": sftpd, "gpgkey": gpgKey, "killremote": killRemote,
			"nothingshared": nothingShared, "nosecrets": noSecrets, "tmpfs": tmpfs, "fill": fill, "await": await, "serve": serve, "toxic": toxic,
		})),
	})
}

const gitConfig = "[user]\n\tname = test\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n[annex]\n\tretry = 0\n\tforward-retry = 0\n"

func setup(env *testscript.Env, bin string, more ...func(*testscript.Env)) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitConfig), 0o600); err != nil {
		return err
	}
	gnupg, err := os.MkdirTemp("/tmp", "gpg") // short: the agent's socket lies in it
	if err != nil {
		return err
	}
	env.Defer(func() {
		kill := exec.Command("gpgconf", "--kill", "all")
		kill.Env = append(os.Environ(), "GNUPGHOME="+gnupg)
		kill.Run()
		os.RemoveAll(gnupg)
		// annexed objects are read-only
		exec.Command("chmod", "-R", "u+w", env.WorkDir).Run()
	})
	env.Values[swarmKey{}] = newSwarm()
	env.Values[serversKey{}] = map[string]*server{}
	env.Values[realsKey{}] = map[string]*realServer{}
	for _, f := range more {
		f(env)
	}
	env.Setenv("HOME", home)
	env.Setenv("GNUPGHOME", gnupg)
	env.Setenv("RCLONE_CONFIG", filepath.Join(home, "rclone.conf"))
	newer, err := filepath.Abs("../.cache/git-annex/bin")
	if err != nil {
		return err
	}
	if _, err := os.Stat(newer); err != nil {
		return fmt.Errorf("a git-annex with git-remote-annex is missing: run make deps: %w", err)
	}
	env.Setenv("NEWER_ANNEX", newer)
	docs, err := filepath.Abs("../docs")
	if err != nil {
		return err
	}
	env.Setenv("RECOVER", filepath.Join(docs, "recover.py"))
	env.Setenv("VECTORS", filepath.Join(docs, "vectors", "remote"))
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	return nil
}

// writeLayout: layout FILE k m n [line…] writes a layout over n directories
// below $WORK/b; further arguments are lines at its top level.
func writeLayout(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[3])
	ts.Check(err)
	text := fmt.Sprintf("shardraid: 1\ndata: %s\nparity: %s\n%s\nbackends:\n", args[1], args[2], strings.Join(args[4:], "\n"))
	for i := 1; i <= n; i++ {
		text += fmt.Sprintf("  - {name: b%d, remote: %q}\n", i, ts.Getenv("WORK")+"/b/b"+strconv.Itoa(i))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// random: random FILE SIZE
func random(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	_, err = io.CopyN(f, rand.Reader, size)
	ts.Check(err)
}

// damage: damage DIR… flips a byte in the middle of every file.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		ts.Check(filepath.Walk(ts.MkAbs(dir), func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() || info.Size() == 0 {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(path, data, 0o644)
		}))
	}
}

// holders: holders DIR VARIABLE… sets the variables to the names of the first
// directories below DIR that hold shards: placement is not the test's.
func holders(ts *testscript.TestScript, _ bool, args []string) {
	dirs, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, dir := range dirs {
		if len(args) > 1 && holdsShards(ts, dir) {
			ts.Setenv(args[1], filepath.Base(dir))
			args = args[1:]
		}
	}
	if len(args) > 1 {
		ts.Fatalf("not so many hold shards: %v", args[1:])
	}
}

func holdsShards(ts *testscript.TestScript, dir string) (holds bool) {
	ts.Check(filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		holds = holds || strings.Contains(filepath.Base(path), ".s.")
		return err
	}))
	return holds
}

// gpgkey: gpgkey VARIABLE makes a key and sets the variable to its
// fingerprint.
func gpgKey(ts *testscript.TestScript, _ bool, args []string) {
	uid := args[0] + "@example.com"
	ts.Check(ts.Exec("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", uid, "default", "default", "never"))
	ts.Check(ts.Exec("gpg", "--batch", "--list-keys", "--with-colons", uid))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			ts.Setenv(args[0], fields[9])
			return
		}
	}
	ts.Fatalf("no key made")
}

// killremote: killremote DIR waits until the special remote that runs in DIR
// has stored a few shards, and kills it.
func killRemote(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	for range 200 {
		time.Sleep(50 * time.Millisecond)
		shards, err := filepath.Glob(ts.Getenv("WORK") + "/b/*/*/*/*.s.*")
		ts.Check(err)
		if len(shards) < 12 {
			continue
		}
		procs, err := filepath.Glob("/proc/[0-9]*")
		ts.Check(err)
		for _, proc := range procs {
			cwd, _ := os.Readlink(proc + "/cwd")
			line, _ := os.ReadFile(proc + "/cmdline")
			if cwd == dir && bytes.Contains(line, []byte("git-annex-remote-shardraid")) {
				pid, err := strconv.Atoi(filepath.Base(proc))
				ts.Check(err)
				ts.Check(syscall.Kill(pid, syscall.SIGKILL))
				return
			}
		}
	}
	ts.Fatalf("no remote at work in %s", dir)
}
