package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// pacerMinSleep is the pause that rclone makes between the calls of one
// WebDAV remote. Its default, 10 ms, would be what is measured.
const pacerMinSleep = "10us"

// rig is a home directory, servers behind links, and an rclone.conf that
// names them link1, link2, ...
type rig struct {
	b     *bench
	dir   string
	gnupg string
	links []*link
	env   []string
}

// newRig starts a server for each speed. More are lines for rclone.conf.
func (b *bench) newRig(speeds []speed, more ...string) (*rig, error) {
	dir, err := os.MkdirTemp(b.dir, "rig")
	if err != nil {
		return nil, err
	}
	r := &rig{b: b, dir: dir}
	if err := r.fill(speeds, more); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) fill(speeds []speed, more []string) (err error) {
	home := filepath.Join(r.dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	if r.gnupg, err = os.MkdirTemp("/tmp", "gpg"); err != nil { // short: the agent's socket lies in it
		return err
	}
	var conf strings.Builder
	for i, s := range speeds {
		l, err := newLink(fmt.Sprintf("link%d", i+1), filepath.Join(r.dir, "servers", fmt.Sprint(i+1)), s)
		if err != nil {
			return err
		}
		r.links = append(r.links, l)
		vendor := "other"
		if s.hashes {
			vendor = "fastmail"
		}
		fmt.Fprintf(&conf, "[%s]\ntype = webdav\nurl = http://%s\nvendor = %s\npacer_min_sleep = %s\n\n", l.name, l.addr, vendor, pacerMinSleep)
	}
	conf.WriteString(strings.Join(more, "\n") + "\n")
	rcloneConf := filepath.Join(home, "rclone.conf")
	if err := os.WriteFile(rcloneConf, []byte(conf.String()), 0o600); err != nil {
		return err
	}
	gitConfig := "[user]\n\tname = bench\n\temail = bench@example.com\n[init]\n\tdefaultBranch = main\n[annex]\n\tretry = 0\n\tforward-retry = 0\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitConfig), 0o600); err != nil {
		return err
	}
	path := strings.Join([]string{r.b.tools, r.b.bin, os.Getenv("PATH")}, string(os.PathListSeparator))
	r.env = append(os.Environ(), "HOME="+home, "GNUPGHOME="+r.gnupg, "RCLONE_CONFIG="+rcloneConf, "PATH="+path)
	return nil
}

// close stops the servers and removes the rig.
func (r *rig) close() error {
	for _, l := range r.links {
		l.kill()
	}
	if r.gnupg != "" {
		kill := exec.Command("gpgconf", "--kill", "all")
		kill.Env = r.env
		_ = kill.Run() // there may be none
		defer os.RemoveAll(r.gnupg)
	}
	return removeAll(r.dir)
}

// run runs a program in the rig and fails with what it has said.
func (r *rig) run(dir, program string, args ...string) error {
	path := filepath.Join(r.b.tools, program)
	if _, err := os.Stat(path); err != nil {
		path = program
	}
	cmd := exec.CommandContext(r.b.ctx, path, args...)
	cmd.Dir, cmd.Env = dir, r.env
	gently(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, text[max(0, len(text)-500):])
	}
	return nil
}

// gently has a program end by itself when the bench is interrupted.
func gently(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
}

// bytes returns how many have gone up and down all links.
func (r *rig) bytes() (up, down int64) {
	for _, l := range r.links {
		u, d := l.bytes()
		up, down = up+u, down+d
	}
	return up, down
}

// calls returns how many requests all servers have had, by method.
func (r *rig) calls() map[string]tally {
	all := map[string]tally{}
	for _, l := range r.links {
		for method, t := range l.counts.all() {
			all[method] = all[method].plus(t)
		}
	}
	return all
}

// requests is the sum of calls.
func (r *rig) requests() int {
	n := 0
	for _, t := range r.calls() {
		n += t.Requests
	}
	return n
}

// removeAll removes a directory with what git-annex has made read-only.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// equal are n links of one speed.
func equal(n int, s speed) []speed {
	speeds := make([]speed, n)
	for i := range speeds {
		speeds[i] = s
	}
	return speeds
}
