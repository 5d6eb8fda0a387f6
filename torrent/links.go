package torrent

import (
	"context"
	"errors"
	"slices"
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
// read because of what others have put into git: local tells that there are links to some.
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
	// What leads to a .torrent comes first: peers of other links may not be there, and are waited for.
	slices.SortStableFunc(links, func(a, b Link) int {
		switch {
		case a.Source != "" && b.Source == "":
			return -1
		case a.Source == "" && b.Source != "":
			return +1
		}
		return 0
	})
	return pooled(links), local
}

// pooled gives each link what all of them say of its torrent.
func pooled(links []Link) []Link {
	pools := map[string]*Link{}
	for _, link := range links {
		pool := pools[link.key()]
		if pool == nil {
			pool = &Link{}
			pools[link.key()] = pool
		}
		pool.Trackers = few(together(pool.Trackers, link.Trackers))
		pool.WebSeeds = few(together(pool.WebSeeds, link.WebSeeds))
		pool.Peers = few(together(pool.Peers, link.Peers))
	}
	for i, link := range links {
		if pool := pools[link.key()]; link.key() != "" {
			links[i].Trackers = together(link.Trackers, pool.Trackers)
			links[i].WebSeeds = together(link.WebSeeds, pool.WebSeeds)
			links[i].Peers = together(link.Peers, pool.Peers)
		}
	}
	return links
}

// few bounds what all links to a torrent say together.
func few(list []string) []string { return list[:min(len(list), 5*maxURLs)] }

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
		*swarm
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
		if this := (attempt{w, index, w.heard()}); err == nil && !tried[this] {
			tried[this] = true
			err = try(w, index)
		} else if err == nil {
			err = failed // as before: the link says nothing new
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
