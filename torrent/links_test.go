package torrent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestLinksFrom(t *testing.T) {
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	links, local := linksFrom([]string{
		"torrent:magnet:?xt=urn:btih:" + one + "&so=3&x.pe=127.0.0.1:1",
		"torrent:magnet:?xt=urn:btih:" + two + "&x.pe=127.0.0.1:9",
		"torrent:magnet:?xt=urn:btih:" + one + "&x.pe=127.0.0.1:2&tr=http://127.0.0.1/a&ws=http://127.0.0.1/w",
		"https://example.org/x.torrent",
		"torrent: here.torrent",
		"torrent:nonsense",
	}, func(url string) bool { return strings.HasPrefix(url, "torrent:") })
	if len(links) != 3 || !local {
		t.Fatalf("%d links, local %v", len(links), local)
	}
	for _, i := range []int{0, 2} { // of one torrent
		slices.Sort(links[i].Peers)
		if !slices.Equal(links[i].Peers, []string{"127.0.0.1:1", "127.0.0.1:2"}) || len(links[i].Trackers) != 1 || len(links[i].WebSeeds) != 1 {
			t.Errorf("link %d: %+v", i, links[i])
		}
	}
	if links[0].Index != 3 || links[2].Index != -1 || len(links[1].Peers) != 1 || links[1].Trackers != nil {
		t.Errorf("%+v", links)
	}
	if links, _ = linksFrom([]string{
		"torrent:magnet:?xt=urn:btih:" + one + "&x.pe=127.0.0.1:1",
		"torrent: https://example.org/x.torrent",
		"torrent:magnet:?xt=urn:btih:" + two + "&xs=http://127.0.0.1/x.torrent",
	}, Claims); len(links) != 3 || links[0].Source == "" || links[1].Source == "" {
		t.Errorf("what waits for nobody is not first: %+v", links)
	}
}

// Whoever can write to git can make many links.
func TestManyLinks(t *testing.T) {
	var urls []string
	for i := range 1000 {
		urls = append(urls, fmt.Sprintf("torrent:magnet:?xt=urn:btih:%040d&x.pe=127.0.0.1:%d&tr=http://127.0.0.1/%d", i%2, i+1, i))
	}
	links, _ := linksFrom(urls, Claims)
	for _, link := range links {
		if len(link.Peers) > 6*maxURLs || len(link.Trackers) > 6*maxURLs {
			t.Fatalf("%d peers, %d trackers", len(link.Peers), len(link.Trackers))
		}
	}
}

func TestBestOfEach(t *testing.T) {
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	best := bestOfEach([]Link{{Hash: one, Index: -1}, {Hash: two, Index: 1}, {Hash: one, Index: 2}, {Hash: one, Index: 3}, {Source: "http://a", Index: -1}, {Source: "http://b", Index: -1}})
	if len(best) != 4 || best[0].Hash != one || best[0].Index != 2 || best[1].Index != 1 {
		t.Errorf("%+v", best)
	}
}
