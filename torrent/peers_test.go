package torrent

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/krpc"
	peers "github.com/anacrolix/dht/v2/peer-store"
	lib "github.com/anacrolix/torrent"
)

// What is written next is asked for next, of peers who have all.
func TestPiecesInOrder(t *testing.T) {
	w := newWorld(t, 60*testPiece)
	if err := newTestClient(t, t.TempDir(), quiet()).get(w, 0); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	most, back := 0, 0
	for _, i := range w.asked {
		if most = max(most, i); i < most {
			back++ // the rest of a piece
		}
	}
	if len(w.asked) < 60 || back > 6 {
		t.Errorf("asked for pieces %v", w.asked)
	}
}

// announcedPeers are those of one torrent that a node has heard of. (The library's own store loses ports.)
type announcedPeers struct {
	mu  sync.Mutex
	all []krpc.NodeAddr
}

func (p *announcedPeers) AddPeer(_ peers.InfoHash, addr krpc.NodeAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, addr)
}

func (p *announcedPeers) GetPeers(peers.InfoHash) []krpc.NodeAddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not after 20 s: %s", what)
		}
	}
}

func TestDHT(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := &announcedPeers{}
	node, err := dht.NewServer(&dht.ServerConfig{Conn: conn, PeerStore: store, StartingNodes: func() ([]dht.Addr, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	set := quiet()
	set.DHT, set.Nodes = true, []string{conn.LocalAddr().String()}

	w := newWorld(t, 3*testPiece)
	w.join(t, w.dir, func(cfg *lib.ClientConfig) {
		cfg.NoDHT = false
		cfg.DhtStartingNodes = func(string) dht.StartingNodesGetter {
			return func() ([]dht.Addr, error) { return dht.ResolveHostPorts(set.Nodes) }
		}
	})
	await(t, "the seeder has told the node of itself", func() bool { return len(store.GetPeers(peers.InfoHash{})) > 0 })
	w.peer = "" // by no link
	c := newTestClient(t, t.TempDir(), set)
	if err := c.get(w, 0); err != nil {
		t.Error(err)
	}
}

// Who has the torrent is heard of from one who has only some of it.
func TestPEX(t *testing.T) {
	w := newWorld(t, 3*testPiece)
	seeder := w.peer
	middle, peer := w.join(t, t.TempDir(), nil)
	middle.AddPeers([]lib.PeerInfo{{Addr: lib.StringAddr(seeder)}})
	middle.Piece(1).SetPriority(lib.PiecePriorityNormal)
	await(t, "the one in the middle has a piece", func() bool { return middle.PieceState(1).Complete })
	w.peer = peer
	for _, pex := range []bool{false, true} {
		set := quiet()
		set.PEX = pex
		if !pex {
			set.Stall = 2 * time.Second
		}
		if err := newTestClient(t, t.TempDir(), set).get(w, 0); (err == nil) != pex {
			t.Errorf("with PEX %v: %v", pex, err)
		}
	}
}

func TestUTP(t *testing.T) {
	w := newWorld(t, 3*testPiece)
	_, w.peer = w.join(t, w.dir, func(cfg *lib.ClientConfig) { cfg.DisableTCP, cfg.DisableUTP = true, false })
	for _, utp := range []bool{false, true} {
		set := quiet()
		set.UTP = utp
		if !utp {
			set.Stall = 2 * time.Second
		}
		if err := newTestClient(t, t.TempDir(), set).get(w, 0); (err == nil) != utp {
			t.Errorf("with uTP %v: %v", utp, err)
		}
	}
}

// What is given at once is at most 256 KiB, what is got at once a quarter of a second's.
func TestLimits(t *testing.T) {
	w := newWorld(t, 20*testPiece)
	least := func(what string, c client, least time.Duration) {
		t.Helper()
		began := time.Now()
		if err := c.get(w, 0); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if took := time.Since(began); took < least {
			t.Errorf("%s: %d bytes took %v", what, len(w.files[0]), took)
		}
	}
	set := quiet()
	set.Download = 400_000
	least("download", newTestClient(t, filepath.Join(t.TempDir(), "a"), set), 1300*time.Millisecond)

	set = quiet()
	set.Upload = 200_000
	giver := newTestClient(t, filepath.Join(t.TempDir(), "b"), set)
	least("first", giver, 0)
	client, err := giver.client(false)
	if err != nil {
		t.Fatal(err)
	}
	w.peer = fmt.Sprintf("127.0.0.1:%d", client.LocalPort())
	least("upload", newTestClient(t, filepath.Join(t.TempDir(), "c"), quiet()), 1900*time.Millisecond)
}
