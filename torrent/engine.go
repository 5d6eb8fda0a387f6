package torrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/anacrolix/log"
	lib "github.com/anacrolix/torrent"
	"golang.org/x/time/rate"
)

// engine takes part in swarms, for all requests of a process.
type engine struct {
	set settings
	dir string // of stores and metainfos

	mu      sync.Mutex
	clients map[bool]*lib.Client // by whether they are for private torrents
	swarms  map[string]*entry    // by hash
	closed  bool
}

// entry is a swarm, or an attempt to enter it. Its mutex is held during the attempt.
type entry struct {
	mu    sync.Mutex
	swarm *swarm
}

func newEngine(set settings, gitDir string) *engine {
	return &engine{set: set, dir: filepath.Join(gitDir, "annex", "torrent"), clients: map[bool]*lib.Client{}, swarms: map[string]*entry{}}
}

// join enters the swarm of a link's torrent, or returns it if that has been done.
func (e *engine) join(ctx context.Context, link Link) (*swarm, error) {
	var meta *Metainfo
	if link.key() == "" { // the hash is in the .torrent
		var err error
		if meta, err = e.resolve(ctx, link); err != nil {
			return nil, err
		}
		link = merge(link, meta.Link(link.Index))
	}
	e.mu.Lock()
	at := e.swarms[link.key()]
	if at == nil {
		at = &entry{}
		e.swarms[link.key()] = at
	}
	e.mu.Unlock()
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.swarm != nil && at.swarm.isBroken() {
		at.swarm.leave()
		at.swarm = nil
	}
	if at.swarm == nil {
		if meta == nil {
			var err error
			if meta, err = e.resolve(ctx, link); err != nil {
				return nil, err
			}
		}
		client, err := e.client(meta.Private)
		if err != nil {
			return nil, err
		}
		if at.swarm, err = enter(client, meta, e.path(link)); err != nil {
			return nil, err
		}
	}
	at.swarm.hear(link, e.set)
	return at.swarm, nil
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
				set.Port++
			}
		}
		client, err := newClient(set)
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
	cfg.DisableWebtorrent = true
	cfg.NoDefaultPortForwarding = true
	cfg.Seed, cfg.NoUpload = set.Seeding, !set.Seeding
	// The library's writer of messages can miss that it has something to write, and then sleeps until it is
	// time to keep the connection alive.
	cfg.KeepAliveTimeout = time.Second
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

// close leaves all swarms.
func (e *engine) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, client := range e.clients {
		client.Close()
	}
	for _, at := range e.swarms {
		at.mu.Lock()
		if at.swarm != nil {
			at.swarm.leave()
		}
		at.mu.Unlock()
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
	l.Trackers = together(l.Trackers, other.Trackers)
	l.WebSeeds = together(l.WebSeeds, other.WebSeeds)
	return l
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
