package backends

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	if os.Getenv("SHARDRAID_TOKEN") != "" { // what an OAuth backend does after a refresh
		fs.ConfigFileSet(sections[0], "token", "fresh") //nolint:errcheck
	}
	return report(answer)
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
