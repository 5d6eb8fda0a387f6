package torrent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"shardraid/annex"
)

// seekPeers is how long peers are waited for that tell whether a content is there.
const seekPeers = 30 * time.Second

var errReadOnly = errors.New("store: a torrent remote only gets; what it gets is given to others by: git-annex-remote-torrent seed")

// Remote is the torrent remote as git-annex sees it.
type Remote struct {
	mu     sync.Mutex
	set    settings
	engine *engine // after the first request that needs it
}

var (
	_ annex.Remote    = (*Remote)(nil)
	_ annex.URLRemote = (*Remote)(nil)
)

// New returns a remote that has asked nothing yet.
func New() *Remote { return &Remote{} }

// Close leaves all swarms.
func (r *Remote) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine != nil {
		r.engine.close()
	}
}

// Configs lists the settings.
func (r *Remote) Configs() []annex.Config { return configs }

// Init checks the settings. What git-annex encrypts or cuts into chunks is in no torrent.
func (r *Remote) Init(ctx context.Context, s *annex.Session) error {
	for name, harmless := range map[string]string{"encryption": "none", "chunk": ""} {
		if text, err := s.Config(name); err != nil {
			return err
		} else if text != "" && text != harmless {
			return fmt.Errorf("set up remote: torrents hold files as they are: leave out %s=%s, and say encryption=none", name, text)
		}
	}
	text, err := remoteSettings(s)
	if err == nil {
		_, err = parseSettings(text)
	}
	return err
}

// Prepare reads the settings; no peer is asked.
func (r *Remote) Prepare(ctx context.Context, s *annex.Session) error {
	_, err := r.open(ctx, s)
	return err
}

// open returns the engine, made at the first call. CheckURL may come before Prepare.
func (r *Remote) open(ctx context.Context, s *annex.Session) (*engine, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine != nil {
		return r.engine, nil
	}
	set, err := readSettings(ctx, s)
	if err != nil {
		return nil, err
	}
	gitDir, err := s.GitDir()
	if err != nil {
		return nil, err
	}
	r.set, r.engine = set, newEngine(set, gitDir)
	return r.engine, nil
}

// ClaimURL tells links to torrents from others.
func (r *Remote) ClaimURL(url string) bool { return Claims(url) }

// CheckURL returns the files of a link's torrent. One that others can use as it is stays as it is.
func (r *Remote) CheckURL(ctx context.Context, s *annex.Session, url string) ([]annex.Content, error) {
	link, err := ParseLink(url)
	if err != nil {
		return nil, err
	}
	e, err := r.open(ctx, s)
	if err != nil {
		return nil, err
	}
	meta, err := e.metainfo(ctx, link)
	if err != nil {
		return nil, err
	}
	names := distinctNames(meta.Files)
	var all []annex.Content
	for i, f := range meta.Files {
		if f.Pad || link.Index >= 0 && link.Index != f.Index {
			continue
		}
		all = append(all, annex.Content{URL: merge(remembered(link, meta), meta.Link(f.Index)).String(), Size: f.Size, Name: names[i]})
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("find file %d in torrent %s: it has none of that number", link.Index, meta.Link(-1).Name)
	case len(all) == 1 && link.Path == "" && !meta.Private:
		all[0].URL = ""
	}
	return all, nil
}

// remembered is what of a link goes into the links to its torrent's files.
func remembered(link Link, meta *Metainfo) Link {
	if meta.Private { // what it says of trackers holds a passkey
		return Link{}
	}
	link.Path = ""
	return link
}

// Store is refused.
func (r *Remote) Store(context.Context, *annex.Session, annex.Key, string) error { return errReadOnly }

// Retrieve gets a content from the first of its links that gives it.
func (r *Remote) Retrieve(ctx context.Context, s *annex.Session, key annex.Key, file string) error {
	return r.eachLink(ctx, s, key, func(w *swarm, index int) error {
		return w.get(ctx, index, file, r.set.Stall, s.Progress)
	})
}

// Present tells that connected peers have all of the content, if the user wants them to count as a
// copy of it; else, and where they do not, nothing is known. Peers may be other clones of the same
// repository, whose copies git-annex counts already, and they may lie.
func (r *Remote) Present(ctx context.Context, s *annex.Session, key annex.Key) (bool, error) {
	if _, err := r.open(ctx, s); err != nil {
		return false, err
	}
	if !r.set.Vouch {
		return false, errors.New("look for peers: this remote stores nothing, and what peers have is counted as no copy (unless vouch=yes is set, see docs/torrent.md)")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*seekPeers)
	defer cancel()
	err := r.eachLink(ctx, s, key, func(w *swarm, index int) error {
		return w.look(ctx, index, min(seekPeers, r.set.Stall))
	})
	return err == nil, err
}

// Remove has git-annex forget the links.
func (r *Remote) Remove(_ context.Context, s *annex.Session, key annex.Key) error {
	urls, err := s.URLs(key, "")
	if err != nil {
		return err
	}
	for _, url := range urls {
		if Claims(url) {
			if err := s.SetURIMissing(key, url); err != nil {
				return err
			}
		}
	}
	return nil
}

// Whereis returns the magnet link of a content whose link is to a .torrent on a web server; magnet
// links are in the list of URLs, which git-annex shows itself.
func (r *Remote) Whereis(ctx context.Context, s *annex.Session, key annex.Key) (string, bool) {
	links, err := linksOf(s, key)
	if err != nil || links[0].key() != "" {
		return "", false
	}
	e, err := r.open(ctx, s)
	if err != nil {
		return "", false
	}
	meta, err := e.metainfo(ctx, links[0])
	if err != nil {
		return "", false
	}
	return strings.TrimPrefix(meta.Link(links[0].Index).String(), "torrent:"), true
}

// Cost is above that of remotes that store: peers may be slow, or gone.
func (r *Remote) Cost() int { return 250 }

// Availability is global.
func (r *Remote) Availability() annex.Availability { return annex.Global }

// Info shows the settings.
func (r *Remote) Info(ctx context.Context, s *annex.Session) ([]annex.Field, error) {
	if _, err := r.open(ctx, s); err != nil {
		return nil, err
	}
	set := r.set
	return []annex.Field{
		{Name: "listens on", Value: fmt.Sprintf("%s:%d", set.Host, set.Port)},
		{Name: "peers by", Value: finders(set)},
		{Name: "gives while it gets", Value: yes(set.Seeding)},
		{Name: "gives up", Value: fmt.Sprintf("after %v without progress", set.Stall)},
	}, nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// finders names the ways to find peers.
func finders(set settings) string {
	ways := []string{"what links say"}
	for _, way := range []struct {
		on   bool
		name string
	}{{set.Trackers, "trackers"}, {set.DHT, "DHT"}, {set.PEX, "peer exchange"}} {
		if way.on {
			ways = append(ways, way.name)
		}
	}
	return strings.Join(ways, ", ")
}
