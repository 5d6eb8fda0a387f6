package integration

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lab is a place for git-annex repositories that share one special remote,
// for tests that scripts are too slow or too simple for. It is kept if the
// test fails.
type lab struct {
	t   *testing.T
	dir string
}

func newLab(t *testing.T) *lab {
	bin := needed(t)
	dir, err := os.MkdirTemp("", strings.ToLower(t.Name())+"-")
	check(t, err)
	l := &lab{t: t, dir: dir}
	check(t, os.Mkdir(l.path("home"), 0o700))
	check(t, os.WriteFile(l.path("home/.gitconfig"), []byte(gitConfig), 0o600))
	t.Setenv("HOME", l.path("home"))
	t.Setenv("RCLONE_CONFIG", l.path("home/rclone.conf"))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Cleanup(func() {
		if t.Failed() || os.Getenv("KEEP") != "" {
			t.Logf("kept: %s", dir)
			return
		}
		// annexed objects are read-only
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
		check(t, os.RemoveAll(dir))
	})
	return l
}

func (l *lab) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

// command is one that runs in a directory of the lab.
func (l *lab) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = l.path(dir)
	return cmd
}

// run runs a command that must succeed, and returns what it prints.
func (l *lab) run(dir, name string, args ...string) string {
	l.t.Helper()
	out, err := l.command(dir, name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s in %s: %v\n%s", name, strings.Join(args, " "), dir, err, out)
	}
	return string(out)
}

// repo makes a git-annex repository.
func (l *lab) repo(name string) {
	l.run(".", "git", "init", "-q", name)
	l.run(name, "git", "annex", "init", "-q", name)
}

// clone makes another one, which knows the remote and has its key, and which
// reaches the content of the first through the remote alone.
func (l *lab) clone(from, name string) {
	l.run(".", "git", "clone", "-q", from, name)
	l.run(name, "git", "config", "remote.origin.annex-ignore", "true")
	l.run(name, "git", "annex", "init", "-q", name)
	l.run(name, "git", "annex", "enableremote", "raid")
	l.run(".", "cp", "-r", from+"/.git/annex/creds", name+"/.git/annex/")
}

// remote makes the special remote raid, with a key of its own, of a layout.
func (l *lab) remote(repo, text string) {
	check(l.t, os.WriteFile(l.path(repo, "l.yaml"), []byte(text), 0o644))
	l.run(repo, "git", "annex", "initremote", "raid", "type=external", "externaltype=shardraid", "encryption=none", "layout=l.yaml")
}

// file makes a file of random content.
func (l *lab) file(r *rand.Rand, size int, parts ...string) {
	data := make([]byte, size)
	for i := 0; i < size; i += 8 {
		v := r.Uint64()
		for j := i; j < min(i+8, size); j++ {
			data[j], v = byte(v), v>>8
		}
	}
	path := l.path(parts...)
	check(l.t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(l.t, os.WriteFile(path, data, 0o644))
}

// local writes n local backends b1, b2, … of a layout, with more settings.
func (l *lab) local(n int, more string) string {
	text := "backends:\n"
	for i := 1; i <= n; i++ {
		text += fmt.Sprintf("  - {name: b%d, remote: %q%s}\n", i, l.path("b", fmt.Sprint("b", i)), more)
	}
	return text
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
