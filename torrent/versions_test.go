package torrent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	protocol "github.com/anacrolix/torrent/peer_protocol"
)

// worldOf seeds a torrent of a kind, v1, v2 or hybrid.
func worldOf(t *testing.T, kind string, files []sample) *world {
	t.Helper()
	outer, _ := torrentOf(kind, files)
	w := &world{files: map[int][]byte{}}
	var err error
	if w.meta, err = ParseMetainfo(bencode.MustMarshal(outer)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, f := range files {
		path := filepath.Join(append([]string{dir, "torrent"}, f.path...)...)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, f.data, 0o600)); err != nil {
			t.Fatal(err)
		}
		w.files[i] = f.data
	}
	w.lib, w.peer = w.join(t, dir, nil)
	return w
}

// Files of all versions of torrents come, also of hybrid ones, whose files begin at pieces.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		kind  string
		files []sample
	}{{"v1", several}, {"hybrid", several}, {"v2", short}} {
		w := worldOf(t, c.kind, c.files)
		client := newTestClient(t, t.TempDir(), quiet())
		for i := range w.files {
			if err := client.get(w, i); err != nil {
				t.Errorf("%s, file %d: %v", c.kind, i, err)
			}
		}
	}
}

// Metadata of all versions come from peers.
func TestMagnetVersions(t *testing.T) {
	for _, c := range []struct {
		kind  string
		files []sample
	}{{"v1", several}, {"hybrid", several}, {"v2", short}} {
		w := worldOf(t, c.kind, c.files)
		if _, err := newTestClient(t, t.TempDir(), quiet()).resolve(context.Background(), w.link(-1)); err != nil {
			t.Errorf("%s: %v", c.kind, err)
		}
	}
}

// Web seeds that a link names end the library where a torrent is of version 2, too.
func TestNoWebSeedsOfHybrids(t *testing.T) {
	w := worldOf(t, "hybrid", several)
	link := w.link(0)
	link.WebSeeds = []string{"http://127.0.0.1:9/"}
	s, err := newTestClient(t, t.TempDir(), quiet()).join(context.Background(), link)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.t.WebseedPeerConns()); n != 0 {
		t.Errorf("%d web seeds", n)
	}
}

// Messages that end the library arrive as others.
func TestDisarm(t *testing.T) {
	for _, kind := range []protocol.MessageType{protocol.Hashes, protocol.HashRequest} {
		m := protocol.Message{Type: kind}
		disarm(nil, &m)
		if m.Type == kind {
			t.Errorf("message %v stays", kind)
		}
	}
	m := protocol.Message{Keepalive: true}
	if disarm(nil, &m); !m.Keepalive {
		t.Error("no keep-alive any more")
	}
	client, err := newClient(quiet())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestRestrain(t *testing.T) {
	for has, want := range map[int]int{512: 480, 2000: 500, 10: 10, 0: 0} {
		m := protocol.ExtendedHandshakeMessage{Reqq: has}
		if restrain(nil, &m); m.Reqq != want {
			t.Errorf("%d becomes %d, want %d", has, m.Reqq, want)
		}
	}
}

// A torrent that was dropped is not asked to verify: the library would keep its lock.
func TestVerifyAfterDrop(t *testing.T) {
	w := newWorld(t, 5*testPiece)
	c := newTestClient(t, t.TempDir(), quiet())
	s, err := c.join(context.Background(), w.link(0))
	if err != nil {
		t.Fatal(err)
	}
	s.stop(errors.New("disk full"))
	if err := s.verify(context.Background(), 0); !errors.Is(err, errLeft) {
		t.Errorf("got %v", err)
	}
	if err := c.get(w, 0); err != nil {
		t.Errorf("a new try: %v", err)
	}
}

// What a private torrent says of trackers is in no link that git remembers.
func TestPrivateIsNotRemembered(t *testing.T) {
	link := Link{Trackers: []string{"http://t.example/PASSKEY"}, Source: "http://t.example/x?PASSKEY", Peers: []string{"127.0.0.1:1"}}
	kept := remembered(link, &Metainfo{Private: true})
	if kept.Trackers != nil || kept.Source != "" || kept.Peers != nil {
		t.Errorf("kept %+v", kept)
	}
	if kept := remembered(link, &Metainfo{}); kept.Source != link.Source {
		t.Errorf("kept %+v", kept)
	}
}

// Two clients with one port: the second takes another, unless it must not.
func TestPortTaken(t *testing.T) {
	first := newTestClient(t, t.TempDir(), quiet())
	client, err := first.client(false)
	if err != nil {
		t.Fatal(err)
	}
	set := quiet()
	set.Port = client.LocalPort()
	second := newTestClient(t, t.TempDir(), set)
	if other, err := second.client(false); err != nil || other.LocalPort() == set.Port {
		t.Errorf("port %d again, %v", set.Port, err)
	}
	third := newTestClient(t, t.TempDir(), set)
	third.atPort = true
	if _, err := third.client(false); err == nil {
		t.Error("two clients at one port")
	}
}

// Swarms that nobody uses are left when there are many.
func TestIdleSwarmsAreLeft(t *testing.T) {
	c := newTestClient(t, t.TempDir(), quiet())
	var all []*swarm
	for i := range maxIdle + 3 {
		w := newWorld(t, 100+i)
		s, err := c.join(context.Background(), w.link(0))
		if err != nil {
			t.Fatal(err)
		}
		if i != 1 {
			s.release()
		}
		all = append(all, s)
	}
	left := func(s *swarm) bool {
		s.life.RLock()
		defer s.life.RUnlock()
		return s.closed
	}
	if !left(all[0]) || left(all[1]) || left(all[len(all)-1]) {
		t.Errorf("left: oldest %v, the one in use %v, newest %v", left(all[0]), left(all[1]), left(all[len(all)-1]))
	}
}

// Peers are no copy unless the user says so; nobody is asked.
func TestPeersAreNoCopy(t *testing.T) {
	r := &Remote{set: quiet(), engine: newTestClient(t, t.TempDir(), quiet()).engine}
	if here, err := r.Present(context.Background(), nil, "SHA256E-s1--x"); here || err == nil || !strings.Contains(err.Error(), "counted as no copy") {
		t.Errorf("%v, %v", here, err)
	}
}

// A web server that gives another torrent than the link's is not believed, nor does its error tell the path.
func TestSourceOfAnotherTorrent(t *testing.T) {
	wanted, other := newWorld(t, 10), newWorld(t, 10, 20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/PASSKEY/moved":
			w.Header().Set("Location", "http://[PASSKEY")
			w.WriteHeader(http.StatusFound)
		case "/PASSKEY/other":
			text, _ := other.meta.Bytes()
			w.Write(text) //nolint:errcheck
		case "/PASSKEY/endless":
			for w, _ := w.(io.Writer); ; {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for path, want := range map[string]string{"other": "is another one", "moved": "no URL", "gone": "404", "endless": "more than 32 MiB"} {
		link := wanted.meta.Link(0)
		link.Source = server.URL + "/PASSKEY/" + path
		if path != "other" {
			link.Hash = ""
		}
		_, err := newTestClient(t, t.TempDir(), quiet()).resolve(context.Background(), link)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "PASSKEY") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
