package torrent

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"shardraid/annex"
)

func TestParseSettings(t *testing.T) {
	set, err := parseSettings(nil)
	want := settings{DHT: true, PEX: true, Trackers: true, Seeding: true, Stall: 10 * time.Minute}
	if err != nil || !reflect.DeepEqual(set, want) {
		t.Errorf("defaults: %+v, %v", set, err)
	}
	set, err = parseSettings(map[string]string{
		"listen": "[::1]:6881", "dht": "no", "pex": "no", "trackers": "no", "utp": "yes", "seeding": "no",
		"upload": "1KiB/s", "download": "2MiB", "stall": "90s", "seed": "1.5", "something": "else",
	})
	want = settings{Host: "::1", Port: 6881, UTP: true, Upload: 1 << 10, Download: 2 << 20, Stall: 90 * time.Second, Ratio: 1.5}
	if err != nil || !reflect.DeepEqual(set, want) {
		t.Errorf("all: %+v, %v", set, err)
	}
	if set, err = parseSettings(map[string]string{"dht": "127.0.0.1:6881,node.example.org:1"}); err != nil || !set.DHT || len(set.Nodes) != 2 {
		t.Errorf("nodes: %+v, %v", set, err)
	}
	for name, values := range map[string][]string{
		"listen": {"here", "localhost:1", "1.2.3.4", "1.2.3.4:x", "1.2.3.4:70000", ":-1"},
		"dht":    {"maybe", "YES", "here:", "a:1,b", "a:1,", "a:1, b:2", "a:0", ":6881", ":70000"},
		"upload": {"fast", "-1"},
		"stall":  {"10", "1ms", "-5m", "never"},
		"seed":   {"-1", "NaN", "Inf", "much"},
	} {
		for _, value := range values {
			if _, err := parseSettings(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name+"="+value) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

func TestSizeOf(t *testing.T) {
	for key, want := range map[annex.Key]int64{
		"SHA256E-s123--abc.iso":         123,
		"SHA256E-s123-m5--abc-s9.iso":   123,
		"URL--torrent:magnet:?x-s5--y":  -1,
		"WORM-s0-m1--":                  0,
		"SHA1--s7":                      -1,
		"SHA256E-s99999999999999999--a": 99999999999999999,
		"SHA256E-sx--a":                 -1,
	} {
		if got := sizeOf(key); got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
}

// A link without so= means the one file of the content's size.
func TestPick(t *testing.T) {
	w := &swarm{meta: newWorld(t, 1).meta}
	w.meta.Files = []File{{Index: 0, Size: 5}, {Index: 1, Size: 7}, {Index: 2, Size: 7, Pad: true}, {Index: 3, Size: 9}, {Index: 4, Size: 9}}
	for _, c := range []struct {
		so   int
		size int64
		want int
	}{{0, -1, 0}, {4, 9, 4}, {4, 1, -1}, {2, -1, -1}, {5, -1, -1}, {-1, 5, 0}, {-1, 7, 1}, {-1, 9, -1}, {-1, 6, -1}, {-1, -1, -1}} {
		got, err := w.pick(Link{Index: c.so}, c.size)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("so=%d, size %d: %d, %v; want %d", c.so, c.size, got, err, c.want)
		}
	}
}
