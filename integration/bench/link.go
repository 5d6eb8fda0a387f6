package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// speed is what a link does.
type speed struct {
	bytes  float64       // per second in each direction, 0 for no limit
	rtt    time.Duration // added to each request
	hashes bool          // its server tells hashes
}

// link is a server behind one link: a WebDAV server on a directory, whose
// connections share a limit for each direction, and which can be told to
// stall, to die and to be slow. Nobody else uses it.
type link struct {
	name, dir string
	hashes    bool
	up, down  *bucket
	counts    counts

	mu     sync.Mutex
	rtt    time.Duration
	server *http.Server // nil while the link is dead
	addr   string       // kept when it dies
	conns  map[*conn]bool
	total  [2]int64 // bytes up and down
	fuse   int64    // bytes until it stalls by itself, 0 for never
}

// newLink starts a server on an empty directory.
func newLink(name, dir string, s speed) (*link, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l := &link{name: name, dir: dir, hashes: s.hashes, up: newBucket(s.bytes), down: newBucket(s.bytes), rtt: s.rtt, addr: "127.0.0.1:0", conns: map[*conn]bool{}}
	return l, l.revive()
}

// revive listens (again), at the same port.
func (l *link) revive() error {
	config := net.ListenConfig{Control: smallBuffer}
	raw, err := config.Listen(context.Background(), "tcp", l.addr)
	if err != nil {
		return fmt.Errorf("start server of %s: %w", l.name, err)
	}
	server := &http.Server{Handler: l.counts.count(l.delay(newStore(l.dir, l.hashes)))}
	l.mu.Lock()
	l.addr, l.server = raw.Addr().String(), server
	l.mu.Unlock()
	go server.Serve(listener{raw, l})
	return nil
}

// smallBuffer keeps the kernel from taking megabytes that have not gone over
// the link yet.
func smallBuffer(_, _ string, raw syscall.RawConn) (err error) {
	return errors.Join(raw.Control(func(fd uintptr) {
		err = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 128<<10),
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 128<<10))
	}), err)
}

// delay lets each request wait for a round trip.
func (l *link) delay(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		rtt := l.rtt
		l.mu.Unlock()
		select {
		case <-time.After(rtt):
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// setSpeed changes the link at once.
func (l *link) setSpeed(s speed) {
	l.up.setSpeed(s.bytes)
	l.down.setSpeed(s.bytes)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rtt = s.rtt
}

// stall lets no byte through, but cuts no connection.
func (l *link) stall() {
	l.up.shut()
	l.down.shut()
}

// stallAfter stalls the link when so many more bytes have gone over it.
func (l *link) stallAfter(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fuse = l.total[0] + l.total[1] + max(bytes, 1)
}

// resume ends a stall.
func (l *link) resume() {
	l.mu.Lock()
	l.fuse = 0
	l.mu.Unlock()
	l.up.reopen()
	l.down.reopen()
}

// kill cuts all connections and refuses new ones.
func (l *link) kill() {
	l.mu.Lock()
	server := l.server
	l.server = nil
	var conns []*conn
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	if server != nil {
		server.Close()
	}
	for _, c := range conns {
		c.Close()
	}
}

// moved counts bytes that went over the link.
func (l *link) moved(up, down int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total[0] += int64(up)
	l.total[1] += int64(down)
	if l.fuse > 0 && l.total[0]+l.total[1] >= l.fuse {
		l.fuse = 0
		l.stall()
	}
}

// bytes returns how many have gone up and down.
func (l *link) bytes() (up, down int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total[0], l.total[1]
}

func (l *link) remember(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
}

func (l *link) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}
