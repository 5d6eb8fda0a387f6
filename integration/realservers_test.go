package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// wholeFleet says that servers are wanted that make deps does not install,
// and that this process is alone with its mounts and processes.
const wholeFleet = "SHARDRAID_SERVERS"

// fleetKinds are the six kinds of servers that one layout lies over: those
// that make deps has installed, or the real ones.
func fleetKinds() []string {
	if os.Getenv(wholeFleet) == "own" {
		return []string{"openssh", "nginx", "samba", "vsftpd", "versitygw", "minio"}
	}
	return []string{"openssh", "rclone-webdav", "rclone-s3", "rclone-sftp", "rclone-webdav", "rclone-s3"}
}

// TestServers runs the scripts over many kinds of servers with those kinds
// that make deps has installed.
func TestServers(t *testing.T) { runServers(t, "rclone-s3") }

// TestRealServers runs them with real ones, and those that take longer, in
// namespaces of its own: what a server leaves running or mounted ends with the
// test, whatever becomes of that. make integration-servers.
func TestRealServers(t *testing.T) {
	switch os.Getenv(wholeFleet) {
	case "":
		t.Log("NOT RUN: make integration-servers runs it")
	case "own":
		t.Cleanup(printCosts)
		each := append(fleetKinds(), "rclone-webdav", "rclone-s3")
		runServers(t, each...)
		runEach(t, "cuts", "testdata/servers/cuts/*.txtar", each...)
		t.Run("more", func(t *testing.T) { run(t, "testdata/servers/more/*.txtar") })
		runEach(t, "full", "testdata/servers/full/*.txtar", "openssh", "nginx", "samba", "vsftpd", "versitygw", "rclone-webdav")
	default:
		alone(t)
	}
}

// runServers runs the scripts over a fleet, and those over one server of each
// of some kinds.
func runServers(t *testing.T, each ...string) {
	t.Run("fleet", func(t *testing.T) { run(t, "testdata/servers/*.txtar") })
	runEach(t, "each", "testdata/servers/each/*.txtar", each...)
}

// runEach runs scripts for each kind of servers, which KIND names.
func runEach(t *testing.T, group, pattern string, kinds ...string) {
	t.Run(group, func(t *testing.T) {
		for _, kind := range kinds {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				run(t, pattern, func(env *testscript.Env) { env.Setenv("KIND", kind) })
			})
		}
	})
}

// alone runs TestRealServers again, as the first process of its namespaces.
// They end with it, and it ends with this thread.
func alone(t *testing.T) {
	runtime.LockOSThread()
	self, err := os.Executable()
	check(t, err)
	args := []string{"-m", "-p", "-f", "--kill-child", "--mount-proc"}
	if os.Getuid() != 0 {
		args = append(args, "-U", "-r")
	}
	args = append(args, self, "-test.run="+only(t), "-test.v="+strconv.FormatBool(testing.Verbose()), "-test.timeout=90m", "-test.parallel=4") // most of it is waiting
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), wholeFleet+"=own")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // as it comes: it takes long
	if err := cmd.Run(); err != nil {
		t.Errorf("unshare %v: %v", args, err)
	}
}

// only returns what of TestRealServers is to be run: SERVERS, or all.
func only(t *testing.T) string {
	if part := os.Getenv("SERVERS"); part != "" {
		return "^" + t.Name() + "$/" + part
	}
	return "^" + t.Name() + "$"
}

// serverCommands are what scripts over real servers can do beside the others.
func serverCommands(commands map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	commands["fleet"] = fleet
	commands["joins"] = joins
	commands["serve"] = serveAny
	commands["toxic"] = toxicAny
	commands["anytwo"] = anyTwo
	commands["tidy"] = tidy
	commands["carried"] = carried
	commands["flip"] = flip
	commands["noshards"] = noShards
	commands["syncthing"] = syncthing
	commands["grown"] = grown
	commands["twodays"] = twoDays
	return commands
}

// program returns the path of a program of the system, or of .cache/bin.
func program(ts *testscript.TestScript, name string) string {
	for _, dir := range []string{toolDir, "/usr/sbin", "/usr/bin"} {
		path, err := filepath.Abs(filepath.Join(dir, name))
		ts.Check(err)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("%s is missing: run make deps servers-deps", name)
	return ""
}

func writeFile(ts *testscript.TestScript, path, format string, args ...any) {
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600))
}
