package torrent

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/metainfo"
)

const (
	hex1 = "0123456789abcdef0123456789abcdef01234567"
	b32  = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH" // the same
	hex2 = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
)

func TestLinkParse(t *testing.T) {
	none := Link{Index: -1}
	with := func(change func(*Link)) Link {
		l := none
		change(&l)
		return l
	}
	v1 := with(func(l *Link) { l.Hash = hex1 })
	source := with(func(l *Link) { l.Source = "https://example.org/a/x.torrent?k=1" })
	local := func(p string) Link { return with(func(l *Link) { l.Path = p }) }
	full := Link{
		Hash: hex1, HashV2: hex2, Name: "a b&c=d+é/%", Trackers: []string{"udp://t.example:6969/announce", "https://t.example/a?k=1&l=2"},
		WebSeeds: []string{"http://w.example/d/"}, Peers: []string{"127.0.0.1:6881", "[::1]:1", "peer-1.example:65535"}, Source: "https://example.org/x.torrent", Index: 17,
	}
	for url, want := range map[string]Link{
		"magnet:?xt=urn:btih:" + hex1:                                                 v1,
		"MAGNET:?XT=URN:BTIH:" + strings.ToUpper(hex1):                                v1,
		"magnet:?xt=urn:btih:" + b32:                                                  v1,
		"magnet:?xt=urn:btih:" + strings.ToLower(b32):                                 v1,
		"torrent:magnet:?xt=urn:btih:" + hex1:                                         v1,
		"torrent: magnet:?xt=urn:btih:" + hex1:                                        v1,
		"Torrent:   magnet:?xt=urn%3Abtih%3A" + hex1 + " ":                            v1,
		"magnet:?xt.1=urn:sha1:abc&xt.2=urn:btih:" + hex1:                             v1,
		"magnet:?xt=urn:btih:" + hex1 + "&xt=urn:btih:" + b32:                         v1,
		"magnet:?xt=urn:btih:" + hex1 + "&dn=&tr=&ws=&x.pe=&xs=&so=&kt=x&as=ftp:&&=&": v1,
		"magnet:?xt=urn:btih:" + hex1 + "&dn=a%0ab":                                   v1,
		"magnet:?xt=urn:btih:" + hex1 + "&dn=%ff":                                     v1,
		"magnet:?xt=urn:btih:" + hex1 + "&dn=" + long("x", maxLinkName+1):             v1,
		"magnet:?xt=urn:btih:" + hex1 + "&dn=a+b":                                     with(func(l *Link) { l.Hash, l.Name = hex1, "a b" }),
		"magnet:?xt=urn:btih:" + hex1 + "&dn=100%":                                    with(func(l *Link) { l.Hash, l.Name = hex1, "100%" }),
		"magnet:?xt=urn:btih:" + hex1 + "&so=0":                                       with(func(l *Link) { l.Hash, l.Index = hex1, 0 }),
		"magnet:?xt=urn:btih:" + hex1 + "&tr.1=udp://a:1&tr.2=udp://b:1&tr=udp://a:1": with(func(l *Link) { l.Hash, l.Trackers = hex1, []string{"udp://a:1", "udp://b:1"} }),
		"magnet:?xt=urn:btmh:1220" + strings.ToUpper(hex2):                            with(func(l *Link) { l.HashV2 = hex2 }),
		"magnet:?xt=urn:btih:" + hex2[:40] + "&xt=urn:btmh:1220" + hex2:               with(func(l *Link) { l.HashV2 = hex2 }),
		"magnet:?xs=" + source.Source:                                                 source,
		"https://example.org/a/x.torrent?k=1":                                         source,
		"torrent: https://example.org/a/x.torrent?k=1":                                source,
		"torrent:http://example.org/download.php?id=1":                                with(func(l *Link) { l.Source = "http://example.org/download.php?id=1" }),
		"x.torrent":             local("x.torrent"),
		"./dir/x.TORRENT":       local("./dir/x.TORRENT"),
		"/abs/x y.torrent":      local("/abs/x y.torrent"),
		"torrent: x.torrent":    local("x.torrent"),
		"torrent:./a:b.torrent": local("./a:b.torrent"),
		full.String():           full,
	} {
		got, err := ParseLink(url)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.200q: %+v, %v, want %+v", url, got, err, want)
		}
		if !Claims(url) && !strings.HasPrefix(url, "magnet:?xs=") {
			t.Errorf("%.200q is not claimed", url)
		}
		checkLink(t, got)
	}
	want := "torrent:magnet:?xt=urn:btih:" + hex1 + "&xt=urn:btmh:1220" + hex2 + "&dn=a%20b%26c%3Dd%2B%C3%A9%2F%25" +
		"&tr=udp%3A%2F%2Ft.example%3A6969%2Fannounce&tr=https%3A%2F%2Ft.example%2Fa%3Fk%3D1%26l%3D2&ws=http%3A%2F%2Fw.example%2Fd%2F" +
		"&x.pe=127.0.0.1%3A6881&x.pe=%5B%3A%3A1%5D%3A1&x.pe=peer-1.example%3A65535&xs=https%3A%2F%2Fexample.org%2Fx.torrent&so=17"
	if full.String() != want {
		t.Errorf("%s, want %s", full, want)
	}
}

func TestLinkRefuses(t *testing.T) {
	v1 := "magnet:?xt=urn:btih:" + hex1
	for url, why := range map[string]string{
		"": "neither", "torrent:": "neither", "torrent: x": "neither", "x.torrent.gz": "neither", "a\nb.torrent": "neither", "torrent: a\x00.torrent": "neither",
		"ftp://example.org/x.torrent": `scheme "ftp"`, "a:b.torrent": `scheme "a"`, "torrent:torrent:" + v1: `scheme "torrent"`, "file:///x.torrent": `scheme "file"`,
		"https://example.org/x": "does not end in .torrent", "torrent:https:///x.torrent": "no URL of a server", "torrent:https://:80/x.torrent": "no URL of a server",
		"https://example.org/x.torrent?" + long("k", 1024): "more than 1024 bytes", "torrent:https://example.org/a b.torrent": "spaces",
		"magnet:": "has no hash", "magnet:?": "has no hash", "magnet:?dn=x": "has no hash", "magnet:?xt=urn:sha1:" + b32: "has no hash", "magnet:xt=urn:btih:" + hex1: "has no hash",
		"magnet:?xt=urn:btih:":                                                   "0 characters are no hash",
		"magnet:?xt=urn:btih:" + hex1[1:]:                                        "39 characters are no hash",
		"magnet:?xt=urn:btih:" + hex1 + "0":                                      "41 characters are no hash",
		"magnet:?xt=urn:btih:" + hex2:                                            "64 characters are no hash",
		"magnet:?xt=urn:btih:g" + hex1[1:]:                                       "40 characters are no hash",
		"magnet:?xt=urn:btih:1" + b32[1:]:                                        "32 characters are no hash",
		"magnet:?xt=urn:btih:" + long("0", 40):                                   "hash is zero",
		"magnet:?xt=urn:btih:" + long("A", 32):                                   "hash is zero",
		"magnet:?xt=urn:btmh:1220" + long("0", 40) + hex2[40:]:                   "hash is zero",
		"magnet:?xt=urn:btmh:" + hex2:                                            "something else than 1220",
		"magnet:?xt=urn:btmh:1220" + hex2[1:]:                                    "something else than 1220",
		"magnet:?xt=urn:btmh:1220" + hex2 + "00":                                 "something else than 1220",
		"magnet:?xt=urn:btmh:1114" + hex1:                                        "something else than 1220",
		v1 + "&xt=urn:btih:" + hex2[:40]:                                         "two hashes",
		"magnet:?xt=urn:btmh:1220" + hex2 + "&xt=urn:btmh:1220" + hex2[1:] + "0": "two hashes",
		v1 + "&tr=udp://a:1&tr=ftp://b/SECRET":                                   `tracker 2 has scheme "ftp" instead of http, https, udp, ws, wss`,
		v1 + "&tr=dht://SECRET":                                                  "tracker 1 has scheme",
		v1 + "&tr=/SECRET":                                                       "tracker 1 is no URL",
		v1 + "&tr=http://[SECRET":                                                "tracker 1 is no URL",
		v1 + "&tr=http:SECRET":                                                   "tracker 1 is no URL",
		v1 + "&tr=http://a/%zzSECRET":                                            "tracker 1 is no URL",
		v1 + "&tr=http://a/%20SECRET%2520":                                       "tracker 1 holds spaces",
		v1 + "&tr=http://a/%0aSECRET":                                            "tracker 1 holds spaces",
		v1 + "&tr=http://a/%ffSECRET":                                            "tracker 1 holds spaces",
		v1 + "&tr=http://a/SECRET" + long("x", 1024):                             "tracker 1 has more than 1024 bytes",
		v1 + "&ws=udp://a:1/SECRET":                                              `web seed 1 has scheme "udp" instead of http, https`,
		v1 + "&ws=ftp://a/SECRET":                                                "web seed 1 has scheme",
		v1 + "&xs=urn:btpk:SECRET":                                               "the source (xs=) is no URL",
		v1 + "&xs=ftp://a/SECRET":                                                "the source (xs=) has scheme",
		v1 + "&x.pe=a":                                                           `peer 1 "a" is not HOST:PORT`,
		v1 + "&x.pe=a:0":                                                         "not HOST:PORT",
		v1 + "&x.pe=a:65536":                                                     "not HOST:PORT",
		v1 + "&x.pe=a:%2B1":                                                      "not HOST:PORT",
		v1 + "&x.pe=a:http":                                                      "not HOST:PORT",
		v1 + "&x.pe=:1":                                                          "not HOST:PORT",
		v1 + "&x.pe=::1:1":                                                       "not HOST:PORT",
		v1 + "&x.pe=[fe80::1%25eth0]:1":                                          "not HOST:PORT",
		v1 + "&x.pe=a/b:1":                                                       "not HOST:PORT",
		v1 + "&x.pe=a%20b:1":                                                     "not HOST:PORT",
		v1 + "&x.pe=" + long("a", 254) + ":1":                                    "not HOST:PORT",
		v1 + "&so=1-3":                                                           "give one index",
		v1 + "&so=2,4":                                                           "give one index",
		v1 + "&so=-1":                                                            "give one index",
		v1 + "&so=%2B1":                                                          "give one index",
		v1 + "&so=x":                                                             "give one index",
		v1 + "&so=1&so=2":                                                        "twice",
		v1 + "&so=100000":                                                        "as many files",
		v1 + "&so=99999999999999999999":                                          "give one index",
		v1 + "&dn=" + long("x", maxLink):                                         "more than 65536 bytes",
	} {
		l, err := ParseLink(url)
		t.Run(fmt.Sprintf("%.60q", url), func(t *testing.T) {
			wantError(t, err, why)
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v quotes the URL", err)
			}
			_ = l
		})
	}
}

func TestLinkClaims(t *testing.T) {
	for url, want := range map[string]bool{
		"torrent:": true, "torrent:nonsense": true, "TORRENT: x": true, "magnet:?xt=urn:btih:bad": true, "magnet:?dn=x&xt.1=urn:btmh:1220": true, "x.torrent": true, "../x.torrent": true,
		"http://h/x.torrent": true, "HTTPS://h/x.TORRENT?y": true, "http://h/x.torrent#f": true, "http://h/x%2etorrent": true,
		"": false, "magnet:": false, "magnet:?xt=urn:sha1:x": false, "magnet:?dn=urn:btih:x": false, "http://h/x": false, "http://h/?x.torrent": false, "http:///x.torrent": false,
		"ftp://h/x.torrent": false, "file:///x.torrent": false, "C:x.torrent": false, "x.torrents": false, "torrentx": false, "torren": false, "http://h/x .torrent": false,
	} {
		if got := Claims(url); got != want {
			t.Errorf("%q: claimed %v", url, got)
		}
	}
}

// TestLinkIsCut keeps the first of long lists, and drops what is there twice.
func TestLinkIsCut(t *testing.T) {
	url := "magnet:?xt=urn:btih:" + hex1
	var want Link
	for i := range 50 {
		tracker, seed, peer := fmt.Sprintf("udp://t%d:1", i), fmt.Sprintf("http://w%d/", i), fmt.Sprintf("p%d:1", i)
		for range 2 {
			url += "&tr=" + tracker + "&ws=" + seed + "&x.pe=" + peer
		}
		if i < maxURLs {
			want.Trackers, want.WebSeeds, want.Peers = append(want.Trackers, tracker), append(want.WebSeeds, seed), append(want.Peers, peer)
		}
	}
	l, err := ParseLink(url)
	if err != nil || !slices.Equal(l.Trackers, want.Trackers) || !slices.Equal(l.WebSeeds, want.WebSeeds) || !slices.Equal(l.Peers, want.Peers) {
		t.Errorf("%+v, %v", l, err)
	}
	l.Trackers = append(l.Trackers, "udp://more:1") // as when links are put together
	if again, err := ParseLink(l.String()); err != nil || !slices.Equal(again.Trackers, want.Trackers) {
		t.Errorf("%+v, %v", again, err)
	}
}

// checkLink holds a link that was read to what is promised.
func checkLink(t *testing.T, l Link) {
	t.Helper()
	text := l.String()
	if l.Path == "" && strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) || len(text) > maxLink {
		t.Fatalf("not canonical: %q", text)
	}
	if l.Hash == "" && l.HashV2 == "" && l.Source == "" && l.Path == "" {
		t.Fatalf("nowhere: %+v", l)
	}
	if again, err := ParseLink(text); err != nil || !reflect.DeepEqual(again, l) {
		t.Fatalf("%+v becomes %+v, %v", l, again, err)
	}
	if again := l.String(); again != text || !Claims(text) && (l.Hash != "" || l.HashV2 != "") {
		t.Fatalf("%q, then %q", text, again)
	}
	if l.Hash == "" && l.HashV2 == "" {
		return
	}
	m, err := metainfo.ParseMagnetV2Uri(strings.TrimPrefix(text, "torrent:"))
	if err != nil || m.InfoHash.Ok != (l.Hash != "") || m.V2InfoHash.Ok != (l.HashV2 != "") || !slices.Equal(m.Trackers, l.Trackers) || m.DisplayName != l.Name {
		t.Fatalf("the library reads %q as %+v, %v", text, m, err)
	}
}

func TestLinkRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("0123456789abcdef"[r.IntN(16)])
		}
		return b.String()
	}
	text := func(n int) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteString([]string{"a", "é", "%", "&", "=", "+", "?", "#", ";", "/", "\U0001f600", ":"}[r.IntN(12)])
		}
		return b.String()
	}
	for range 300 {
		l := Link{Name: text(300), Index: r.IntN(maxFiles+1) - 1}
		if kind := r.IntN(3); kind != 0 {
			l.Hash = digits(40)
		} else {
			l.HashV2 = digits(64)
		}
		for i := range r.IntN(maxURLs + 1) {
			l.Trackers = append(l.Trackers, fmt.Sprintf("wss://%d.example/?%s", i, strings.ReplaceAll(text(80), "%", "%25")))
			l.WebSeeds = append(l.WebSeeds, fmt.Sprintf("https://u:p@%d.example:8/%s", i, strings.ReplaceAll(text(80), "%", "%25")))
			l.Peers = append(l.Peers, fmt.Sprintf("[%x::1]:%d", i+1, i+1))
		}
		checkLink(t, l)
	}
}

func FuzzParseLink(f *testing.F) {
	full := Link{Hash: hex1, HashV2: hex2, Name: "a b", Trackers: []string{"udp://t:1/a"}, WebSeeds: []string{"http://w/"}, Peers: []string{"[::1]:1"}, Source: "https://s/x.torrent", Index: 3}
	for _, url := range []string{
		full.String(), "magnet:?xt=urn:btih:" + b32 + "&dn=100%&tr.1=wss://t/&x.pe=a:1&so=0", "torrent: https://example.org/x.torrent", "./x.torrent", "torrent: /a b.torrent",
		"magnet:?xt=urn:btmh:1220" + hex2, "magnet:?xs=http://a/b", "torrent:torrent:", "magnet:?xt=urn:btih:" + hex2[:40] + "&xt=urn:btmh:1220" + hex2,
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		claimed := Claims(url)
		l, err := ParseLink(url)
		if err != nil {
			wantError(t, err, "read link: ")
			return
		}
		if !claimed && (l.Hash != "" || l.HashV2 != "" || l.Path != "") {
			t.Fatalf("%+v is not claimed", l)
		}
		checkLink(t, l)
	})
}
