package torrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/log"
	lib "github.com/anacrolix/torrent"
	protocol "github.com/anacrolix/torrent/peer_protocol"
	"golang.org/x/time/rate"
)

// engine takes part in swarms, for all requests of a process.
type engine struct {
	set settings
	dir string // of stores and metainfos

	atPort bool // the port of the settings and no other

	mu      sync.Mutex
	clients map[bool]*lib.Client // by whether they are for private torrents
	entries map[string]*entry    // by the hash for swarms, by what a link says for metainfos
	closed  bool
}

// entry is what is known of a link's torrent. Its turn is held while more is found out.
type entry struct {
	turn     chan struct{} // of one
	meta     *Metainfo
	swarm    *swarm
	failed   error // of the last attempt to find the metainfo
	failedAt time.Time
	usedAt   time.Time
}

const (
	retryFind = time.Minute // a metainfo that was not found is not looked for again for so long
	maxIdle   = 16          // swarms that nobody uses
)

func newEngine(set settings, gitDir string) *engine {
	return &engine{set: set, dir: filepath.Join(gitDir, "annex", "torrent"), clients: map[bool]*lib.Client{}, entries: map[string]*entry{}}
}

// take returns the entry of a name, and its turn, which is to be given back.
func (e *engine) take(ctx context.Context, name string) (*entry, error) {
	e.mu.Lock()
	at := e.entries[name]
	if at == nil {
		at = &entry{turn: make(chan struct{}, 1)}
		e.entries[name] = at
	}
	e.mu.Unlock()
	select {
	case at.turn <- struct{}{}:
		return at, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (at *entry) giveBack() { <-at.turn }

// metainfo finds the metainfo of a link's torrent, once.
func (e *engine) metainfo(ctx context.Context, link Link) (*Metainfo, error) {
	at, err := e.take(ctx, "metainfo of "+link.key()+" "+link.Source+link.Path)
	if err != nil {
		return nil, err
	}
	defer at.giveBack()
	if at.meta != nil {
		return at.meta, nil
	}
	if at.failed != nil && time.Since(at.failedAt) < retryFind {
		return nil, at.failed
	}
	meta, err := e.resolve(ctx, link)
	if ctx.Err() == nil {
		at.meta, at.failed, at.failedAt = meta, err, time.Now()
	}
	return meta, err
}

// join enters the swarm of a link's torrent, or returns it if that has been done. It is to be left by
// release.
func (e *engine) join(ctx context.Context, link Link) (*swarm, error) {
	meta, err := e.metainfo(ctx, link)
	if err != nil {
		return nil, err
	}
	at, err := e.take(ctx, meta.Link(-1).key())
	if err != nil {
		return nil, err
	}
	defer at.giveBack()
	if at.swarm != nil && at.swarm.isBroken() {
		at.swarm.leave()
		at.swarm = nil
	}
	if at.swarm == nil {
		client, err := e.client(meta.Private)
		if err != nil {
			return nil, err
		}
		e.leaveIdle()
		if at.swarm, err = enter(ctx, client, meta, e.path(meta.Link(-1))); err != nil {
			return nil, err
		}
	}
	at.usedAt = time.Now()
	at.swarm.users.Add(1)
	at.swarm.hear(link, e.set)
	return at.swarm, nil
}

// leaveIdle leaves the swarms that were used least recently, if there are many.
func (e *engine) leaveIdle() {
	e.mu.Lock()
	all := slices.Collect(maps.Values(e.entries))
	e.mu.Unlock()
	var idle []*entry
	for _, at := range all {
		select {
		case at.turn <- struct{}{}:
		default:
			continue // in use
		}
		if at.swarm != nil && at.swarm.users.Load() == 0 {
			idle = append(idle, at)
		} else {
			at.giveBack()
		}
	}
	slices.SortFunc(idle, func(a, b *entry) int { return b.usedAt.Compare(a.usedAt) })
	for i, at := range idle {
		if i >= maxIdle {
			at.swarm.leave()
			at.swarm = nil
		}
		at.giveBack()
	}
}

// client returns the client of public or of private torrents. The library knows no difference
// between them, so private ones get a client without other ways than trackers to find peers.
func (e *engine) client(private bool) (*lib.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("enter swarm: the session is over")
	}
	if e.clients[private] == nil {
		set := e.set
		if private {
			set.DHT, set.PEX = false, false
			if set.Port != 0 {
				set.Port = (set.Port + 1) % 65536
			}
		}
		client, err := newClient(set)
		if errors.Is(err, syscall.EADDRINUSE) && !e.atPort { // seed or another git-annex has it
			set.Port = 0
			client, err = newClient(set)
		}
		if err != nil {
			return nil, err
		}
		e.clients[private] = client
	}
	return e.clients[private], nil
}

func newClient(set settings) (*lib.Client, error) {
	cfg := lib.NewDefaultClientConfig()
	cfg.Slogger = slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg.Logger = log.Logger{}.WithFilterLevel(log.Never)
	cfg.ListenHost = func(string) string { return set.Host }
	cfg.ListenPort = set.Port
	ip := net.ParseIP(set.Host)
	cfg.DisableIPv6 = ip != nil && ip.To4() != nil
	cfg.DisableIPv4 = ip != nil && ip.To4() == nil
	cfg.NoDHT, cfg.DisablePEX, cfg.DisableTrackers, cfg.DisableUTP = !set.DHT, !set.PEX, !set.Trackers, !set.UTP
	if len(set.Nodes) > 0 {
		cfg.DhtStartingNodes = func(string) dht.StartingNodesGetter {
			return func() ([]dht.Addr, error) { return dht.ResolveHostPorts(set.Nodes) }
		}
	}
	cfg.DisableWebtorrent = true
	cfg.DefaultStorage = nowhere{} // the library's own would make a file in the working directory
	cfg.NoDefaultPortForwarding = true
	cfg.Seed, cfg.NoUpload = set.Seeding, !set.Seeding
	// The library's writer of messages can miss that it has something to write, and then sleeps until it is
	// time to keep the connection alive. Peers leave who does so every few seconds.
	cfg.KeepAliveTimeout = 6 * time.Second
	cfg.Callbacks.ReadMessage = disarm
	cfg.Callbacks.ReadExtendedHandshake = restrain
	cfg.HTTPProxy = http.ProxyFromEnvironment
	if set.Upload > 0 {
		cfg.UploadRateLimiter = rate.NewLimiter(rate.Limit(set.Upload), int(max(set.Upload, 256<<10)))
	}
	if set.Download > 0 {
		cfg.DownloadRateLimiter = rate.NewLimiter(rate.Limit(set.Download), int(max(set.Download/4, 64<<10)))
	}
	client, err := lib.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("listen on %s:%d: %w; choose another by git config torrent.listen", set.Host, set.Port, err)
	}
	return client, nil
}

// disarm makes messages about hashes of version 2 harmless: the library panics at some that anybody can send.
func disarm(_ *lib.PeerConn, m *protocol.Message) {
	if !m.Keepalive && (m.Type == protocol.Hashes || m.Type == protocol.HashRequest) {
		m.Type = protocol.HashReject
	}
}

// restrain asks a peer for less at once than it says that it takes: Transmission refuses the last one, and
// the library asks nobody again who has refused something.
func restrain(_ *lib.PeerConn, m *protocol.ExtendedHandshakeMessage) {
	m.Reqq = min(m.Reqq-m.Reqq/16, 500)
}

// close leaves all swarms.
func (e *engine) close() {
	e.mu.Lock()
	e.closed = true
	clients, entries := slices.Collect(maps.Values(e.clients)), slices.Collect(maps.Values(e.entries))
	e.mu.Unlock() // a join that is under way may want it
	for _, at := range entries {
		at.turn <- struct{}{}
		if at.swarm != nil {
			at.swarm.leave()
			at.swarm = nil
		}
		at.giveBack()
	}
	for _, client := range clients {
		client.Close()
	}
}

// path is where a torrent's store and metainfo are.
func (e *engine) path(link Link) string { return filepath.Join(e.dir, link.key()) }

// key is the short hash of a link's torrent, "" where it has none.
func (l Link) key() string {
	if l.Hash == "" && len(l.HashV2) >= 40 {
		return l.HashV2[:40]
	}
	return l.Hash
}

// merge adds to a link what another one of the same torrent says, whose file it then means.
func merge(l, other Link) Link {
	l.Hash, l.HashV2, l.Name, l.Index = other.Hash, other.HashV2, other.Name, other.Index
	return l.with(other)
}

// together returns what is in either list, once.
func together(a, b []string) []string {
	var all []string
	for _, s := range slices.Concat(a, b) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
