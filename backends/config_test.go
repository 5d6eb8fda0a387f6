package backends

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config"
)

const plain = "[mem]\ntype = memory\n\n[typeless]\nuser = me\n\n[odd]\ntype = nosuch\n"

// child is a protocol process in miniature: it reads the sections from its arguments and
// stores a file on each, and locally.
func child() int {
	sections := strings.Fields(os.Getenv("SHARDRAID_CHILD"))
	report := func(err error) int { fmt.Fprintln(os.Stderr, "answer:", err); return 0 }
	if err := Setup(); err != nil {
		return report(err)
	}
	if os.Getenv("SHARDRAID_LOG") != "" {
		logged()
		return 0
	}
	remotes := []string{os.Getenv("SHARDRAID_DIR")}
	answer := CheckSections(sections, nil)
	if answer == nil {
		for _, s := range sections {
			remotes = append(remotes, s+":bucket")
		}
	}
	for _, remote := range remotes {
		if _, err := Open(Options{Remote: remote}).Put(ctx, "file", []byte("x")); err != nil {
			return report(err)
		}
	}
	tokens, _ := strconv.Atoi(os.Getenv("SHARDRAID_TOKEN"))
	for n := range tokens { // what an OAuth backend does after a refresh
		fs.ConfigFileSet(sections[0], "token", fmt.Sprint("fresh", n+1)) //nolint:errcheck
	}
	return report(answer)
}

// logged has rclone log a line of each level, and answers what LogTo told of them.
func logged() {
	var heard []string
	LogTo(func(line string) { heard = append(heard, line[strings.LastIndex(line, " ")+1:]) })
	fs.Debugf(nil, "debug")
	fs.Infof(nil, "info")
	fs.Logf(nil, "notice")
	fs.Errorf(nil, "error")
	fs.LogLevelPrintf(fs.LogLevelCritical, nil, "critical")
	fmt.Fprintln(os.Stderr, "answer:", heard)
}

// configIn runs child and returns its answer.
func configIn(t *testing.T, conf, sections string, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SHARDRAID_CHILD="+sections+" ", "SHARDRAID_DIR="+t.TempDir(), "RCLONE_CONFIG="+conf,
		"GORACE=atexit_sleep_ms=0") // else each child waits for a second
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = strings.NewReader("right")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("child: %v\n%s", err, &stderr)
	}
	if stdout.Len() > 0 {
		t.Errorf("printed on the protocol's stdout: %q", &stdout)
	}
	text, ok := strings.CutPrefix(stderr.String(), "answer: ")
	if !ok {
		t.Errorf("printed on stderr: %q", text)
	}
	return strings.TrimSpace(text)
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rclone.conf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func encrypted(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	err := errors.Join(config.SetConfigPassword("right"), config.Encrypt(strings.NewReader(plain), &out))
	config.ClearConfigPassword()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCheckSections(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "rclone.conf")
	clear, secret := write(t, []byte(plain)), write(t, encrypted(t))
	const opened = "<nil>"
	for _, c := range []struct {
		name, conf, sections string
		env                  []string
		want                 string
	}{
		{"there", clear, "mem", nil, opened},
		{"none needed", missing, "", nil, opened},
		{"no section", clear, "mem gone", nil, "rclone config create gone TYPE ..."},
		{"no type", clear, "typeless", nil, "rclone config create typeless TYPE ..."},
		{"unknown type", clear, "odd", nil, "nosuch"},
		{"no file", missing, "mem", nil, "rclone config create mem TYPE ..."},
		{"unreadable", t.TempDir(), "mem", nil, "read rclone.conf: "},
		{"from the environment", missing, "env", []string{"RCLONE_CONFIG_ENV_TYPE=memory"}, opened},
		{"right password", secret, "mem", []string{"RCLONE_CONFIG_PASS=right"}, opened},
		{"wrong password", secret, "mem", []string{"RCLONE_CONFIG_PASS=wrong"}, "the password from RCLONE_CONFIG_PASS does not open it"},
		{"no password", secret, "mem", nil, "rclone.conf is encrypted: set RCLONE_CONFIG_PASS"},
		{"encrypted, not needed", secret, "", nil, opened},
		{"wrong, not needed", secret, "", []string{"RCLONE_CONFIG_PASS=wrong"}, opened},
		{"encrypted, from the environment", secret, "env", []string{"RCLONE_CONFIG_ENV_TYPE=memory"}, opened},
		{"command", secret, "mem", []string{"RCLONE_PASSWORD_COMMAND=echo right"}, opened},
		{"wrong command", secret, "mem", []string{"RCLONE_PASSWORD_COMMAND=echo wrong"}, "the password from RCLONE_PASSWORD_COMMAND does not open it"},
		{"failing command", secret, "mem", []string{"RCLONE_PASSWORD_COMMAND=false"}, "run RCLONE_PASSWORD_COMMAND: exit status 1"},
		{"command reads our stdin", secret, "mem", []string{"RCLONE_PASSWORD_COMMAND=cat"}, "use RCLONE_PASSWORD_COMMAND: "},
		{"bad certificate", clear, "mem", []string{"RCLONE_CA_CERT=" + clear}, "no certificate in it"},
		{"half a certificate", clear, "mem", []string{"RCLONE_CLIENT_CERT=" + clear}, "read RCLONE_CLIENT_CERT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := configIn(t, c.conf, c.sections, c.env...); !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTokensAreSaved(t *testing.T) {
	for name, content := range map[string][]byte{"plain": []byte(plain), "encrypted": encrypted(t)} {
		conf := write(t, content)
		if got := configIn(t, conf, "mem", "SHARDRAID_TOKEN=1", "RCLONE_CONFIG_PASS=right"); got != "<nil>" {
			t.Error(got)
		}
		saved, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(saved, []byte("token = fresh")) != (name == "plain") || bytes.Equal(saved, content) {
			t.Errorf("%s: not saved: %s", name, saved)
		}
	}
}

// Many processes save tokens at once: none is lost, and there is a whole file all the time.
func TestTokensOfManyProcesses(t *testing.T) {
	text := ""
	for n := range 4 {
		text += fmt.Sprintf("[s%d]\ntype = memory\n\n", n)
	}
	conf := write(t, []byte(text))
	if err := os.Chmod(conf, 0o640); err != nil {
		t.Fatal(err)
	}
	var children sync.WaitGroup
	for n := range 4 {
		children.Go(func() {
			if got := configIn(t, conf, fmt.Sprint("s", n), "SHARDRAID_TOKEN=25"); got != "<nil>" {
				t.Errorf("process %d: %s", n, got)
			}
		})
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		children.Wait()
	}()
	for whole := true; whole; {
		select {
		case <-over:
			whole = false
		default:
		}
		if now, err := os.ReadFile(conf); err != nil || strings.Count(string(now), "type = memory") != 4 {
			t.Fatalf("there is half a file: %v\n%s", err, now)
		}
	}
	saved, err := os.ReadFile(conf)
	if err != nil || strings.Count(string(saved), "token = fresh25") != 4 {
		t.Errorf("tokens are lost: %v\n%s", err, saved)
	}
	if info, err := os.Stat(conf); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	files, err := filepath.Glob(conf + "*")
	if err != nil || len(files) != 1 {
		t.Errorf("%q are left, %v", files, err)
	}
}

// An account may be reached through a proxy of its own.
func TestProxyOfOneSection(t *testing.T) {
	var direct, proxied atomic.Int32
	answer := func(count *atomic.Int32) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			count.Add(1)
			w.WriteHeader(http.StatusForbidden)
		}))
	}
	server, proxy := answer(&direct), answer(&proxied)
	defer server.Close()
	defer proxy.Close()
	for name, option := range map[string]string{"direct": "", "proxied": "override.http_proxy"} {
		config.FileSetValue(name, "type", "webdav")
		config.FileSetValue(name, "url", server.URL)
		if option != "" {
			config.FileSetValue(name, option, proxy.URL)
		}
		r := Open(Options{Name: name, Remote: name + ":x"})
		_, err := r.List(ctx, "")
		r.Close()
		config.LoadedData().DeleteSection(name)
		if err == nil {
			t.Errorf("%s: it was let in", name)
		}
	}
	if direct.Load() == 0 || proxied.Load() == 0 || direct.Load() != proxied.Load() {
		t.Errorf("%d requests came to the server, %d to the proxy", direct.Load(), proxied.Load())
	}
}

// Types of storage come from a layout that somebody else may have written, and
// the advice is there to be pasted into a shell.
func TestAdviceIsNoCommand(t *testing.T) {
	t.Setenv("RCLONE_CONFIG", filepath.Join(t.TempDir(), "rclone.conf"))
	if err := Setup(); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{
		"drive":          "rclone config create my-account drive",
		"local; rm -r ~": "rclone config create my-account TYPE",
		"":               "rclone config create my-account TYPE",
	} {
		err := CheckSections([]string{"my-account"}, map[string]string{"my-account": kind})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "rm -r") {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestLogTo(t *testing.T) {
	for _, c := range []struct{ level, heard, stderr string }{
		{"", "[notice error critical]", "critical"},
		{"ERROR", "[notice error critical]", "error critical"},
		{"DEBUG", "[debug info notice error critical]", "debug info notice error critical"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SHARDRAID_CHILD= ", "SHARDRAID_LOG=yes", "RCLONE_CONFIG="+write(t, []byte(plain)), "GORACE=atexit_sleep_ms=0")
		if c.level != "" {
			cmd.Env = append(cmd.Env, "RCLONE_LOG_LEVEL="+c.level)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || len(out) > 0 {
			t.Fatalf("child: %v, stdout %q\n%s", err, out, &stderr)
		}
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if want := "answer: " + c.heard; lines[len(lines)-1] != want {
			t.Errorf("RCLONE_LOG_LEVEL=%s: %s, want %s", c.level, lines[len(lines)-1], want)
		}
		var printed []string
		for _, line := range lines[:len(lines)-1] {
			word := line[strings.LastIndex(line, " ")+1:]
			if strings.Contains("debug info notice error critical", word) {
				printed = append(printed, word)
			}
		}
		if got := strings.Join(printed, " "); got != c.stderr {
			t.Errorf("RCLONE_LOG_LEVEL=%s: stderr %q, want %q", c.level, got, c.stderr)
		}
	}
}
