package torrent

import (
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
}
