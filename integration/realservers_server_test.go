package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// realServer is a server of some kind: its files lie in $WORK/srv/NAME, what
// it needs beside in $WORK/etc/NAME. Between its port, which changes when it
// starts again, and the port that rclone.conf names are a meter and a proxy.
type realServer struct {
	server // dir, and proxy for the command toxic
	kind   *kind
	name   string
	etc    string
	host   string // where it listens
	meter  *meter
	data   int // first port of data connections; 0 for none
	tls    bool
	had    int64 // bytes on its disk, see grown
}

// kind is what differs between the kinds of servers.
type kind struct {
	// command writes what the server needs, and returns how it is started.
	command func(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd
	// section is what rclone.conf says of it; obscured is the password.
	section func(ts *testscript.TestScript, s *realServer, host, port, obscured string) string
	// ready waits until it answers; nil: when it listens.
	ready func(address string) bool
	// ports is how many ports it needs for data connections.
	ports int
	// below is what goes before the path in the names of its files.
	below func(s *realServer) string
}

const theUser, thePassword = "user", "secret-secret"

// serveAny: serve NAME KIND [https] starts a server of any kind and adds it to
// rclone.conf as section NAME; serve NAME kill kills it and all it has
// started; serve NAME start [PASSWORD] starts it again; serve NAME cert
// DURATION makes it a certificate that is valid for so long.
func serveAny(ts *testscript.TestScript, neg bool, args []string) {
	name, verb := args[0], args[1]
	s := reals(ts)[name]
	switch {
	case s == nil && kinds[verb] == nil:
		serve(ts, neg, args)
	case s == nil:
		s = newRealServer(ts, name, verb)
		s.tls = len(args) > 2 && args[2] == "https"
		if s.tls {
			s.certify(ts, time.Hour)
		}
		s.start(ts, thePassword)
		s.writeSection(ts)
	case verb == "kill":
		s.kill()
	case verb == "cert":
		valid, err := time.ParseDuration(args[2])
		ts.Check(err)
		s.certify(ts, valid)
	case verb == "start" && len(args) > 2:
		s.start(ts, args[2])
	case verb == "start":
		s.start(ts, thePassword)
	default:
		ts.Fatalf("serve: what is %s?", verb)
	}
}

type realsKey struct{}

func reals(ts *testscript.TestScript) map[string]*realServer {
	return ts.Value(realsKey{}).(map[string]*realServer)
}

func newRealServer(ts *testscript.TestScript, name, kindName string) *realServer {
	work := ts.Getenv("WORK")
	s := &realServer{name: name, kind: kinds[kindName], etc: filepath.Join(work, "etc", name), host: "127.0.0.1"}
	if s.kind == nil {
		ts.Fatalf("no kind of server: %s", kindName)
	}
	s.server.kind, s.dir = kindName, filepath.Join(work, "srv", name)
	ts.Check(os.MkdirAll(s.dir, 0o755))
	ts.Check(os.MkdirAll(s.etc, 0o755))
	if s.kind.ports > 0 {
		s.host = "127.0.0.2" // so that the proxy has the same ports
		s.data = freePorts(ts, s.kind.ports)
	}
	s.meter = newMeter(ts)
	s.proxy = newProxy(ts, s.meter.address())
	for port := s.data; port < s.data+s.kind.ports; port++ {
		s.proxy.order(ts, "POST", "/proxies", map[string]any{"name": fmt.Sprint("data", port), "listen": fmt.Sprint("127.0.0.1:", port), "upstream": fmt.Sprint(s.host, ":", port)})
	}
	ts.Defer(s.kill)
	reals(ts)[name] = s
	servers(ts)[name] = &s.server
	return s
}

func (s *realServer) start(ts *testscript.TestScript, password string) {
	for range 5 {
		port := freePort(ts)
		address := fmt.Sprintf("%s:%d", s.host, port)
		began := time.Now()
		s.cmd = s.kind.command(ts, s, port, password)
		log, err := os.Create(filepath.Join(s.etc, "out"))
		ts.Check(err)
		s.cmd.Stdout, s.cmd.Stderr = log, log
		err = s.cmd.Start()
		log.Close()
		ts.Check(err)
		if listens(address) && (s.kind.ready == nil || s.kind.ready(address)) {
			s.meter.lead(address)
			note(s.server.kind, time.Since(began), family(s.cmd.Process.Pid))
			return
		}
		s.kill()
	}
	ts.Fatalf("%s does not listen:\n%s", s.name, must(os.ReadFile(filepath.Join(s.etc, "out"))))
}

// kill kills the server with all its processes at once.
func (s *realServer) kill() {
	if s.cmd == nil {
		return
	}
	pid := s.cmd.Process.Pid
	note(s.server.kind, 0, family(pid))
	for range 3 { // one that is just being started shows in the next round
		all := family(pid)
		for _, p := range all {
			syscall.Kill(p, syscall.SIGSTOP)
		}
		for _, p := range append(family(pid), all...) {
			if p != pid {
				syscall.Kill(p, syscall.SIGKILL)
			}
		}
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// family returns a process and all that descend from it.
func family(pid int) (pids []int) {
	pids = []int{pid}
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		data, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(data)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				pids = append(pids, family(child)...)
			}
		}
	}
	return pids
}

// root is what a layout calls an empty place on the server.
func (s *realServer) root() string {
	if s.kind.below != nil {
		return s.name + ":" + s.kind.below(s) + "annex/store"
	}
	return s.name + ":annex/store"
}

func (s *realServer) writeSection(ts *testscript.TestScript) {
	obscured, err := exec.Command(tool(ts, "rclone"), "obscure", thePassword).Output()
	ts.Check(err)
	host, port, _ := net.SplitHostPort(s.proxy.address)
	text := s.kind.section(ts, s, host, port, strings.TrimSpace(string(obscured)))
	conf, err := os.OpenFile(ts.Getenv("RCLONE_CONFIG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	_, err = fmt.Fprintf(conf, "[%s]\n%s\n\n", s.name, strings.TrimSpace(text))
	ts.Check(err)
	ts.Check(conf.Close())
}

// freePorts returns the first of n neighbouring ports that are free on both
// sides of the proxy.
func freePorts(ts *testscript.TestScript, n int) int {
	for range 50 {
		first, free := freePort(ts), true
		for port := first; port < first+n && free; port++ {
			for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
				l, err := net.Listen("tcp", fmt.Sprint(host, ":", port))
				if err != nil {
					free = false
					break
				}
				l.Close()
			}
		}
		if free {
			return first
		}
	}
	ts.Fatalf("no %d free ports in a row", n)
	return 0
}
