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

// linksFrom parses those of URLs that are wanted. What they say of a torrent goes into each link to it.
// Files of this machine are not read because of what others have put into git: local tells that there are
// links to some.
func linksFrom(urls []string, wanted func(string) bool) (links []Link, local bool) {
	for _, url := range urls {
		if !wanted(url) {
			continue
		}
		link, err := ParseLink(url)
		if err == nil && link.Path == "" {
			links = append(links, link)
		}
		local = local || err == nil && link.Path != ""
	}
	for i := range links {
		for _, other := range links {
			if links[i].key() != "" && links[i].key() == other.key() {
				links[i].Trackers = together(links[i].Trackers, other.Trackers)
				links[i].WebSeeds = together(links[i].WebSeeds, other.WebSeeds)
				links[i].Peers = together(links[i].Peers, other.Peers)
			}
		}
	}
	return links, local
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
	type file struct {
		*swarm
		index int
	}
	tried := map[file]bool{}
	var failed error
	for _, link := range links {
		w, err := e.join(ctx, link)
		if err != nil {
			failed = joinErrors(err, failed)
			continue
		}
		index, err := w.pick(link, sizeOf(key))
		if err == nil && !tried[file{w, index}] {
			tried[file{w, index}] = true
			err = try(w, index)
		} else if err == nil {
			err = failed
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
