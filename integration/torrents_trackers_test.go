package integration

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// passkey is what the private tracker wants to see in its URL, and git may not.
const passkey = "5ecre7pa55key"

// harness is the user agent of the announces that are the harness's.
const harness = "integration"

// aTracker is an opentracker, and a way to it that wants a passkey.
type aTracker struct {
	dir  string
	cmd  *exec.Cmd
	mu   sync.Mutex
	seen []string // user agents that have announced with the passkey
}

// startTracker: tracker starts an opentracker and sets TRACKER, TRACKER_UDP,
// and TRACKER_PASSKEY to one that wants a passkey.
func startTracker(ts *testscript.TestScript, _ bool, _ []string) {
	a := &aTracker{dir: filepath.Join(ts.Getenv("WORK"), ".tmp", "tracker")}
	ts.Check(os.MkdirAll(a.dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(a.dir, "whitelist"), nil, 0o644))
	ts.Defer(func() { a.cmd.Process.Kill(); a.cmd.Wait() })
	for range 5 { // somebody may take the port before it does
		port := strconv.Itoa(freePort(ts))
		a.cmd = exec.Command(program(ts, "opentracker"), "-i", "127.0.0.1", "-p", port, "-P", port, "-d", a.dir, "-u", "nobody", "-w", "whitelist")
		a.cmd.Dir = a.dir
		ts.Check(a.cmd.Start())
		if address := "127.0.0.1:" + port; listens(address) {
			theSwarm(ts).tracker = a
			ts.Setenv("TRACKER", "http://"+address+"/announce")
			ts.Setenv("TRACKER_UDP", "udp://"+address+"/announce")
			ts.Setenv("TRACKER_PASSKEY", a.front(ts, address)+"/"+passkey+"/announce")
			ts.Setenv("PASSKEY", passkey)
			return
		}
		a.cmd.Process.Kill()
		a.cmd.Wait()
	}
	ts.Fatalf("opentracker does not listen")
}

// admit has opentracker take on a torrent: Debian's knows no others.
func (a *aTracker) admit(ts *testscript.TestScript, hash string) {
	f, err := os.OpenFile(filepath.Join(a.dir, "whitelist"), os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	_, err = fmt.Fprintln(f, hash)
	ts.Check(err)
	ts.Check(f.Close())
	a.reread(ts)
}

func (a *aTracker) reread(ts *testscript.TestScript) { ts.Check(a.cmd.Process.Signal(syscall.SIGHUP)) }

// front passes on what has the passkey.
func (a *aTracker) front(ts *testscript.TestScript, address string) string {
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", address
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/"+passkey)
		r.Out.URL.RawPath = ""
	}}
	return serveHTTP(ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/"+passkey+"/") {
			io.WriteString(w, "d14:failure reason11:no passkey!e")
			return
		}
		a.mu.Lock()
		if agent := r.UserAgent(); agent != harness {
			a.seen = append(a.seen, agent)
		}
		a.mu.Unlock()
		pass.ServeHTTP(w, r)
	}))
}

// announced: the tracker with the passkey must have heard of somebody since
// the last call; ! announced: it must not.
func announced(ts *testscript.TestScript, neg bool, _ []string) {
	a := theSwarm(ts).tracker
	a.mu.Lock()
	defer a.mu.Unlock()
	ts.Logf("announced: %q", a.seen)
	if neg == (len(a.seen) > 0) {
		ts.Fatalf("the tracker with the passkey has heard of %d", len(a.seen))
	}
	a.seen = nil
}

// announce tells a tracker, one that speaks HTTP on the same port, of one who
// has all. It waits until opentracker has taken the torrent on.
func announce(ts *testscript.TestScript, tracker, hash, address, event string) {
	raw, err := hex.DecodeString(hash)
	ts.Check(err)
	_, port, err := net.SplitHostPort(address)
	ts.Check(err)
	query := url.Values{"info_hash": {string(raw)}, "peer_id": {"-HA0000-" + hash[:7] + port}, "port": {port},
		"uploaded": {"0"}, "downloaded": {"0"}, "left": {"0"}, "compact": {"1"}, "event": {event}}
	request, err := http.NewRequest("GET", strings.Replace(tracker, "udp:", "http:", 1)+"?"+strings.ReplaceAll(query.Encode(), "+", "%20"), nil) // trackers know no +
	ts.Check(err)
	request.Header.Set("User-Agent", harness)
	text := ""
	for range 100 {
		answer, err := http.DefaultClient.Do(request)
		ts.Check(err)
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		ts.Check(err)
		if text = string(body); !strings.Contains(text, "failure") {
			return
		}
		theSwarm(ts).tracker.reread(ts)
		nap()
	}
	ts.Fatalf("%s: %s", tracker, text)
}

// badTracker: badtracker VARIABLE sets a variable to a tracker that hears and
// says nothing.
func badTracker(ts *testscript.TestScript, _ bool, args []string) {
	g := newGate(ts)
	ts.Defer(g.shut)
	g.serve(ts, func(c net.Conn) {
		io.Copy(io.Discard, c)
		c.Close()
	})
	ts.Setenv(args[0], "http://"+g.addr+"/announce")
}

// web: web DIR serves the files of a directory, also in ranges, sets WEB, and
// counts bytes as those of web. It has no end of /endless.torrent.
func web(ts *testscript.TestScript, _ bool, args []string) {
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	m := &meter{}
	theSwarm(ts).counts["web"] = m
	ts.Setenv("WEB", serveHTTP(ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless.torrent" {
			io.WriteString(w, "d4:info")
			for block := []byte(strings.Repeat("l", 1<<16)); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
				m.Write(block)
			}
		}
		files.ServeHTTP(&countedAnswer{w, m}, r)
	})))
}

// countedAnswer counts what is sent.
type countedAnswer struct {
	http.ResponseWriter
	to io.Writer
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.to.Write(p[:n])
	return n, err
}

// serveHTTP serves until the script ends, and returns the URL.
func serveHTTP(ts *testscript.TestScript, handler http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: handler}
	ts.Defer(func() { server.Close() })
	go server.Serve(l)
	return "http://" + l.Addr().String()
}
