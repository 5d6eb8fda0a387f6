package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// peer is one that has a torrent, or says so. It is behind a gate, whose
// address stays.
type peer struct {
	gate *gate
	cmd  *exec.Cmd // nil for one that is dead, or of our own
	kind string
	t    *aTorrent
}

func (p *peer) address() string { return p.gate.addr }

// startSeeder: seeder NAME[:MORE] [-limit 5M] [-announce] [aria2|transmission]
// starts one that has all of a torrent, or starts it again at the same
// address, and sets NAME_PEER, or NAME_MORE_PEER. It is told to the trackers of
// the torrent; with -announce it does that itself, with its own port.
func startSeeder(ts *testscript.TestScript, _ bool, args []string) {
	name, kind, limit, announces := args[0], "aria2", "", false
	for args = args[1:]; len(args) > 0; args = args[1:] {
		switch args[0] {
		case "-limit":
			limit, args = args[1], args[1:]
		case "-announce":
			announces = true
		default:
			kind = args[0]
		}
	}
	torrent, _, _ := strings.Cut(name, ":")
	p := theSwarm(ts).peers[name]
	if p == nil {
		p = &peer{gate: newGate(ts), t: theTorrent(ts, torrent)}
		ts.Defer(p.stop)
		theSwarm(ts).peers[name] = p
		theSwarm(ts).counts[name] = p.gate.meter
		ts.Setenv(strings.ReplaceAll(name, ":", "_")+"_PEER", p.address())
	}
	p.kind = kind
	p.start(ts, limit, announces)
	if !announces {
		for _, tracker := range p.t.trackers {
			announce(ts, tracker, p.t.hash, p.address(), "started")
		}
	}
}

func thePeer(ts *testscript.TestScript, name string) *peer {
	p := theSwarm(ts).peers[name]
	if p == nil {
		ts.Fatalf("no peer %s", name)
	}
	return p
}

// stopSeeder: stopseeder NAME… ends seeders: their addresses refuse.
func stopSeeder(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		p := thePeer(ts, name)
		p.stop()
		for _, tracker := range p.t.trackers {
			announce(ts, tracker, p.t.hash, p.address(), "stopped")
		}
	}
}

func (p *peer) stop() {
	p.gate.shut()
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

func (p *peer) start(ts *testscript.TestScript, limit string, announces bool) {
	for range 5 { // somebody may take the port before it does
		port := freePort(ts)
		dir := filepath.Join(ts.Getenv("WORK"), ".tmp", fmt.Sprint("seeder", port))
		ts.Check(os.MkdirAll(dir, 0o755))
		ready := p.aria2(ts, dir, port, limit, announces)
		if p.kind == "transmission" {
			ready = p.transmission(ts, dir, port, limit)
		}
		log, err := os.Create(filepath.Join(dir, "out"))
		ts.Check(err)
		p.cmd.Stdout, p.cmd.Stderr = log, log
		err = p.cmd.Start()
		log.Close()
		ts.Check(err)
		if ready() {
			p.gate.open(ts, fmt.Sprintf("127.0.0.1:%d", port))
			return
		}
		p.stop()
		ts.Logf("%s: %s", p.kind, must(os.ReadFile(filepath.Join(dir, "out"))))
	}
	ts.Fatalf("%s does not seed", p.kind)
}

// aria2 listens when it has verified its data.
func (p *peer) aria2(ts *testscript.TestScript, dir string, port int, limit string, announces bool) (ready func() bool) {
	args := append(aria2Alone, "--check-integrity=true", "--seed-ratio=0.0", "--bt-max-peers=0",
		"--listen-port="+strconv.Itoa(port), "-d", filepath.Dir(p.t.data))
	if limit != "" {
		args = append(args, "--max-overall-upload-limit="+strconv.Itoa(size(ts, limit)))
	}
	if !announces {
		args = append(args, "--bt-exclude-tracker=*")
	}
	p.cmd = exec.Command(program(ts, "aria2c"), append(args, p.t.file)...)
	p.cmd.Dir = dir
	return func() bool { return listens(fmt.Sprintf("127.0.0.1:%d", port)) }
}

// aria2Alone lets aria2 speak with those alone that it is told of.
var aria2Alone = []string{"-q", "--no-conf", "--interface=127.0.0.1", "--enable-dht=false", "--enable-dht6=false",
	"--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6=true", "--auto-save-interval=0"}

// transmission gets the torrent by its RPC. It gives the first byte up to ten
// seconds after somebody asks for it.
func (p *peer) transmission(ts *testscript.TestScript, dir string, port int, limit string) (ready func() bool) {
	rpc := freePort(ts)
	settings := map[string]any{
		"bind-address-ipv4": "127.0.0.1", "bind-address-ipv6": "::1", "peer-port": port, "peer-port-random-on-start": false,
		"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false, "blocklist-enabled": false,
		"rpc-bind-address": "127.0.0.1", "rpc-port": rpc, "rpc-authentication-required": false, "download-dir": filepath.Dir(p.t.data),
	}
	if limit != "" {
		settings["speed-limit-up"], settings["speed-limit-up-enabled"] = size(ts, limit)/1000, true
	}
	text, err := json.Marshal(settings)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "settings.json"), text, 0o600))
	p.cmd = exec.Command(program(ts, "transmission-daemon"), "-f", "-g", dir, "--no-dht", "--no-lpd", "--no-portmap", "--no-utp")
	address := fmt.Sprintf("127.0.0.1:%d", rpc)
	return func() bool {
		if !listens(address) {
			return false
		}
		metainfo := base64.StdEncoding.EncodeToString(must(os.ReadFile(p.t.file)))
		order(address, "torrent-add", map[string]any{"metainfo": metainfo, "download-dir": filepath.Dir(p.t.data)})
		for range 200 {
			if strings.Contains(order(address, "torrent-get", map[string]any{"fields": []string{"status"}}), `"status":6`) { // it seeds
				return true
			}
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}
}

// order gives transmission an order and returns its answer.
func order(address, method string, arguments map[string]any) string {
	text, _ := json.Marshal(map[string]any{"method": method, "arguments": arguments})
	session := ""
	for range 2 { // the first answer tells the session
		request, _ := http.NewRequest("POST", "http://"+address+"/transmission/rpc", bytes.NewReader(text))
		request.Header.Set("X-Transmission-Session-Id", session)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return string(body)
		}
		session = answer.Header.Get("X-Transmission-Session-Id")
	}
	return ""
}

// sent: sent NAME [MOST [LEAST]] fails if a seeder or web server has sent more
// bytes than MOST, or fewer than LEAST, since the last call; without numbers it
// forgets.
func sent(ts *testscript.TestScript, _ bool, args []string) {
	n := theCount(ts, args[0]).bytes.Swap(0)
	ts.Logf("%s has sent %d bytes", args[0], n)
	if len(args) > 1 && n > int64(size(ts, args[1])) {
		ts.Fatalf("%s has sent %d bytes, more than %s", args[0], n, args[1])
	}
	if len(args) > 2 && n < int64(size(ts, args[2])) {
		ts.Fatalf("%s has sent %d bytes, fewer than %s", args[0], n, args[2])
	}
}

// awaitSent: awaitsent NAME BYTES waits until so many bytes were sent since
// the last call of sent.
func awaitSent(ts *testscript.TestScript, _ bool, args []string) {
	m, want := theCount(ts, args[0]), int64(size(ts, args[1]))
	for range 1200 {
		if m.bytes.Load() >= want {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("%s has sent %d bytes, and not %s", args[0], m.bytes.Load(), args[1])
}

func theCount(ts *testscript.TestScript, name string) *meter {
	m := theSwarm(ts).counts[name]
	if m == nil {
		ts.Fatalf("nobody counts what %s sends", name)
	}
	return m
}

// slay: slay [-INT] DIR kills git-annex and its remotes that run in DIR, at
// once, or interrupts them as Ctrl-C does.
func slay(ts *testscript.TestScript, _ bool, args []string) {
	signal := syscall.SIGKILL
	if args[0] == "-INT" {
		signal, args = syscall.SIGINT, args[1:]
	}
	dir, slain := ts.MkAbs(args[0]), 0
	procs, err := filepath.Glob("/proc/[0-9]*")
	ts.Check(err)
	for _, proc := range procs {
		cwd, _ := os.Readlink(proc + "/cwd")
		line, _ := os.ReadFile(proc + "/cmdline")
		name := filepath.Base(string(bytes.Split(line, []byte{0})[0]))
		if cwd != dir || name != "git-annex" && name != "git-annex-remote-torrent" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(proc))
		ts.Check(err)
		ts.Check(syscall.Kill(pid, signal))
		slain++
	}
	if slain < 2 {
		ts.Fatalf("only %d processes are at work in %s", slain, dir)
	}
}

// newGate makes one that is shut.
func newGate(ts *testscript.TestScript) *gate {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	l.Close()
	return &gate{addr: l.Addr().String(), meter: &meter{}}
}

// open leads all that come to a server, or to nobody's function.
func (g *gate) open(ts *testscript.TestScript, target string) {
	g.meter.lead(target)
	g.serve(ts, g.meter.pass)
}

// serve hands connections to a function, which closes them.
func (g *gate) serve(ts *testscript.TestScript, with func(net.Conn)) {
	l, err := net.Listen("tcp", g.addr)
	ts.Check(err)
	g.meter.Listener = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go with(c)
		}
	}()
}

// shut closes it; who speaks through it notices when the server ends.
func (g *gate) shut() {
	if g.meter.Listener != nil {
		g.meter.Listener.Close()
	}
}
