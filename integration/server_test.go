package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// server is one rclone serve, behind a proxy that can disturb it. Its port
// changes when it starts again, that of the proxy does not.
type server struct {
	kind, dir string
	cmd       *exec.Cmd // nil when it is dead
	proxy     *proxy
}

// serve: serve NAME webdav|sftp starts a server of $WORK/srv/NAME and adds it
// to rclone.conf as section NAME; serve NAME kill kills it, serve NAME start
// [PASSWORD] starts it again.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	name, verb := args[0], args[1]
	switch verb {
	case "kill":
		ts.Check(theServer(ts, name).kill())
	case "start":
		password := "secret"
		if len(args) > 2 {
			password = args[2]
		}
		theServer(ts, name).start(ts, password)
	default:
		s := &server{kind: verb, dir: filepath.Join(ts.Getenv("WORK"), "srv", name)}
		ts.Check(os.MkdirAll(s.dir, 0o755))
		ts.Defer(func() { s.kill() })
		s.start(ts, "secret")
		servers(ts)[name] = s
		s.section(ts, name)
	}
}

func servers(ts *testscript.TestScript) map[string]*server {
	return ts.Value(serversKey{}).(map[string]*server)
}

// serversKey is where a script keeps its servers.
type serversKey struct{}

func theServer(ts *testscript.TestScript, name string) *server {
	s := servers(ts)[name]
	if s == nil {
		ts.Fatalf("no server %s", name)
	}
	return s
}

// start starts the server on a free port, which somebody may take before it
// does, and lets the proxy lead there.
func (s *server) start(ts *testscript.TestScript, password string) {
	for range 5 {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(ts))
		s.cmd = exec.Command(tool(ts, "rclone"), "serve", s.kind, s.dir, "--addr", address, "--user", "user", "--pass", password)
		s.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "RCLONE_CONFIG=", "XDG_CACHE_HOME="+ts.Getenv("HOME"))
		log, err := os.Create(s.dir + ".log")
		ts.Check(err)
		s.cmd.Stdout, s.cmd.Stderr = log, log
		err = s.cmd.Start()
		log.Close()
		ts.Check(err)
		if listens(address) {
			if s.proxy == nil {
				s.proxy = newProxy(ts, address)
			} else {
				s.proxy.lead(ts, address)
			}
			return
		}
		s.kill()
	}
	ts.Fatalf("%s does not listen:\n%s", s.dir, must(os.ReadFile(s.dir+".log")))
}

func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
	return err
}

func (s *server) section(ts *testscript.TestScript, name string) {
	obscured, err := exec.Command(tool(ts, "rclone"), "obscure", "secret").Output()
	ts.Check(err)
	text := fmt.Sprintf("[%s]\ntype = %s\nuser = user\npass = %s", name, s.kind, obscured)
	if s.kind == "webdav" {
		text += fmt.Sprintf("vendor = rclone\nurl = http://%s\n\n", s.proxy.address)
	} else {
		host, port, _ := net.SplitHostPort(s.proxy.address)
		text += fmt.Sprintf("shell_type = unix\nhost = %s\nport = %s\n\n", host, port)
	}
	conf, err := os.OpenFile(ts.Getenv("RCLONE_CONFIG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	_, err = conf.WriteString(text)
	ts.Check(err)
	ts.Check(conf.Close())
}

// tool returns where make deps has put a program.
func tool(ts *testscript.TestScript, name string) string {
	path, err := filepath.Abs(filepath.Join(toolDir, name))
	ts.Check(err)
	if _, err := os.Stat(path); err != nil {
		ts.Fatalf("%s is missing: run make deps", name)
	}
	return path
}

const toolDir = "../.cache/bin"

// listens waits until somebody listens at an address.
func listens(address string) bool {
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}
