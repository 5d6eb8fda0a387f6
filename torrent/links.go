package torrent

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"shardraid/annex"
)

// linksOf returns the links that git-annex knows for a key.
func linksOf(s *annex.Session, key annex.Key) ([]Link, error) {
	urls, err := s.URLs(key, "")
	if err != nil {
		return nil, err
	}
	links, local := linksFrom(urls, Claims)
	switch {
	case len(links) > 0:
		return links, nil
	case local:
		return nil, errors.New("find torrent: the link is to a .torrent on a disk, which works in git annex addurl alone: it adds one that works everywhere")
	}
	return nil, errors.New("find torrent: no link to one is known for this content: git annex addurl --file=FILE 'torrent:...' adds one")
}

// linksFrom parses those of URLs that are wanted, and pools what they say. Files of this machine are not
// read because of what others have put into git: local tells that there are links to some. What leads to a
// .torrent comes first.
func linksFrom(urls []string, wanted func(string) bool) (links []Link, local bool) {
	var others []Link
	for _, url := range urls {
		if !wanted(url) {
			continue
		}
		link, err := ParseLink(url)
		switch {
		case err != nil:
		case link.Path != "":
			local = true
		case link.Source != "":
			links = append(links, link)
		default: // peers may not be there, and are waited for
			others = append(others, link)
		}
	}
	return pooled(append(links, others...)), local
}

// pooled gives each link what all of them say of its torrent.
func pooled(links []Link) []Link {
	pools := map[string]Link{}
	for _, link := range links {
		pools[link.key()] = pools[link.key()].with(link).bounded(5 * maxURLs)
	}
	for i, link := range links {
		if link.key() != "" {
			links[i] = link.with(pools[link.key()])
		}
	}
	return links
}

// with adds where another link says that the torrent can be found.
func (l Link) with(other Link) Link {
	l.Trackers = together(l.Trackers, other.Trackers)
	l.WebSeeds = together(l.WebSeeds, other.WebSeeds)
	l.Peers = together(l.Peers, other.Peers)
	return l
}

// bounded leaves at most so many places of each kind.
func (l Link) bounded(most int) Link {
	l.Trackers = l.Trackers[:min(len(l.Trackers), most)]
	l.WebSeeds = l.WebSeeds[:min(len(l.WebSeeds), most)]
	l.Peers = l.Peers[:min(len(l.Peers), most)]
	return l
}

// eachLink tries the links of a key until one does.
func (r *Remote) eachLink(ctx context.Context, s *annex.Session, key annex.Key, try func(*swarm, int) error) error {
	e, err := r.open(ctx, s)
	if err != nil {
		return err
	}
	links, err := linksOf(s, key)
	if err != nil {
		return err
	}
	type attempt struct {
		w            *swarm
		index, heard int
	}
	tried := map[attempt]bool{}
	var failed error
	for _, link := range links {
		w, err := e.join(ctx, link)
		if err != nil {
			failed = joinErrors(err, failed)
			continue
		}
		index, err := w.pick(link, sizeOf(key))
		this := attempt{w, index, w.heard()}
		switch {
		case err != nil:
		case tried[this]:
			err = failed // as before: the link says nothing new
		default:
			tried[this] = true
			err = try(w, index)
		}
		w.release()
		if err == nil || ctx.Err() != nil {
			return err
		}
		failed = joinErrors(err, failed)
	}
	return failed
}

// sizeOf returns the size that a key's name tells, or -1.
func sizeOf(key annex.Key) int64 {
	fields, _, _ := strings.Cut(string(key), "--")
	for _, field := range strings.Split(fields, "-")[1:] {
		if digits, ok := strings.CutPrefix(field, "s"); ok {
			if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}
