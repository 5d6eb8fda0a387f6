package torrent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lib "github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
	protocol "github.com/anacrolix/torrent/peer_protocol"
)

// TestMain runs the tests, or is the process that askPeers starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == metadataCommand {
		os.Exit(Main(os.Args[1:]))
	}
	code := m.Run()
	if left, _ := filepath.Glob(".torrent*"); left != nil { // the library's own storage
		fmt.Fprintln(os.Stderr, "left in the working directory:", left)
		code = 1
	}
	os.Exit(code)
}

const testPiece = 32 << 10

// quiet are settings of a client that finds peers by links alone.
func quiet() settings {
	return settings{Host: "127.0.0.1", Seeding: true, Stall: 20 * time.Second}
}

// world is a torrent and its one seeder.
type world struct {
	meta  *Metainfo
	files map[int][]byte // by index
	dir   string         // of the seeder
	peer  string
	lib   *lib.Torrent // of the seeder

	mu    sync.Mutex
	asked []int // pieces that the seeder was asked for, without repetitions
}

// newWorld makes a torrent of files of such sizes, named so that their order stays, and seeds it.
func newWorld(t *testing.T, sizes ...int) *world {
	t.Helper()
	w := &world{files: map[int][]byte{}}
	dir := filepath.Join(t.TempDir(), "data")
	random := rand.NewChaCha8([32]byte{byte(len(sizes))})
	for i, size := range sizes {
		path := dir
		if len(sizes) > 1 {
			path = filepath.Join(dir, fmt.Sprintf("f%04d", i))
		}
		w.files[i] = make([]byte, size)
		random.Read(w.files[i]) //nolint:errcheck // it never fails
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, w.files[i], 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	info := metainfo.Info{PieceLength: testPiece}
	if err := info.BuildFromFilePath(dir); err != nil {
		t.Fatal(err)
	}
	var mi metainfo.MetaInfo
	var err error
	if mi.InfoBytes, err = bencode.Marshal(info); err != nil {
		t.Fatal(err)
	}
	text, err := bencode.Marshal(mi)
	if err != nil {
		t.Fatal(err)
	}
	if w.meta, err = ParseMetainfo(text); err != nil {
		t.Fatal(err)
	}
	w.dir = filepath.Dir(dir)
	w.lib, w.peer = w.join(t, w.dir, nil)
	return w
}

// join makes another client in the torrent, of what is in a directory, with a changed configuration.
func (w *world) join(t *testing.T, dir string, change func(*lib.ClientConfig)) (_ *lib.Torrent, peer string) {
	t.Helper()
	cfg := lib.NewDefaultClientConfig()
	cfg.DataDir, cfg.Seed, cfg.NoDHT, cfg.DisableTrackers, cfg.DisableUTP, cfg.DisableIPv6 = dir, true, true, true, true, true
	cfg.NoDefaultPortForwarding, cfg.DisableWebtorrent, cfg.ListenPort = true, true, 0
	cfg.ListenHost, cfg.KeepAliveTimeout = lib.LoopbackListenHost, time.Second
	cfg.Callbacks.ReadMessage = w.read
	if change != nil {
		change(cfg)
	}
	client, err := lib.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	spec, err := specOf(w.meta)
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := client.AddTorrentSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.VerifyDataContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	return in, fmt.Sprintf("127.0.0.1:%d", client.LocalPort())
}

func (w *world) read(_ *lib.PeerConn, m *protocol.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := int(m.Index); !m.Keepalive && m.Type == protocol.Request && (len(w.asked) == 0 || w.asked[len(w.asked)-1] != i) {
		w.asked = append(w.asked, i)
	}
}

func (w *world) link(index int) Link {
	link := w.meta.Link(index)
	link.Peers = []string{w.peer}
	return link
}

// given is how many bytes of data the seeder has given.
func (w *world) given() int64 {
	s := w.lib.Stats()
	return s.BytesWrittenData.Int64()
}

// client is an engine, and the directory that its files go to.
type client struct {
	*engine
	dir string
}

func newTestClient(t *testing.T, dir string, set settings) client {
	t.Helper()
	e := newEngine(set, dir)
	t.Cleanup(e.close)
	return client{e, dir}
}

// get gets a file of the world and compares it.
func (c client) get(w *world, index int) error {
	s, err := c.join(context.Background(), w.link(index))
	if err != nil {
		return err
	}
	path := filepath.Join(c.dir, fmt.Sprint("got", index))
	var last int64
	if err := s.get(context.Background(), index, path, c.set.Stall, func(n int64) {
		if n < last {
			err = fmt.Errorf("progress went back from %d to %d", last, n)
		}
		last = n
	}); err != nil {
		return err
	}
	got, readErr := os.ReadFile(path)
	if !bytes.Equal(got, w.files[index]) {
		return fmt.Errorf("file %d is not what it was (%d bytes of %d)", index, len(got), len(w.files[index]))
	}
	return errors.Join(err, readErr)
}

func TestGetOneFile(t *testing.T) {
	for _, size := range []int{1, testPiece - 1, testPiece, 3*testPiece + 77, 40 * testPiece} {
		w := newWorld(t, size)
		if err := newTestClient(t, t.TempDir(), quiet()).get(w, 0); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// Files that share pieces, at once, and empty ones. What was got together was fetched once.
func TestGetManyAtOnce(t *testing.T) {
	w := newWorld(t, 10, 0, testPiece, 5*testPiece+1, 100, 100, 0, 3*testPiece, 2*testPiece-1, 1, 9*testPiece, 0)
	c := newTestClient(t, t.TempDir(), quiet())
	var all sync.WaitGroup
	for i := range w.files {
		all.Go(func() {
			if err := c.get(w, i); err != nil {
				t.Errorf("file %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if total := w.meta.Info.TotalLength(); w.given() > total+4*testPiece {
		t.Errorf("%d bytes fetched of a torrent of %d", w.given(), total)
	}
}

// Nobody is asked for what is not wanted, and nothing of it stays.
func TestGetOnlyOne(t *testing.T) {
	w := newWorld(t, 100*testPiece, 2*testPiece+100, 100*testPiece)
	dir := t.TempDir()
	c := newTestClient(t, dir, quiet())
	if err := c.get(w, 1); err != nil {
		t.Error(err)
	}
	if w.given() > 4*testPiece {
		t.Errorf("%d bytes fetched for a file of %d", w.given(), len(w.files[1]))
	}
	c.close()
	if left, _ := filepath.Glob(filepath.Join(dir, "annex/torrent/*/data")); left != nil {
		t.Errorf("left: %v", left)
	}
}

// A get that goes on fetches no piece again that is right, and puts no wrong one into the file.
func TestResume(t *testing.T) {
	const pieces = 64
	for _, c := range []struct {
		name  string
		spoil func(file []byte) []byte
		again int64 // pieces
	}{
		{"half", func(b []byte) []byte { return b[:pieces/2*testPiece+5] }, pieces/2 + 1},
		{"all", func(b []byte) []byte { return b }, 0},
		{"wrong piece", func(b []byte) []byte { b[10*testPiece] ^= 1; return b }, pieces - 10},
		{"wrong end", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, 1},
		{"too long", func(b []byte) []byte { return append(b, "more"...) }, 0},
		{"nothing of it", func(b []byte) []byte { return make([]byte, len(b)) }, pieces},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, pieces*testPiece)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "got0"), c.spoil(bytes.Clone(w.files[0])), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := newTestClient(t, dir, quiet()).get(w, 0); err != nil {
				t.Fatal(err)
			}
			if w.given() > (c.again+2)*testPiece {
				t.Errorf("%d pieces fetched, want %d", w.given()/testPiece, c.again)
			}
		})
	}
}

// What lay in the store when the process died is used.
func TestResumeFromStore(t *testing.T) {
	w := newWorld(t, 64*testPiece)
	dir := t.TempDir()
	at := filepath.Join(dir, "annex/torrent", w.link(-1).key())
	data := make([]byte, 64*testPiece)
	copy(data[20*testPiece:50*testPiece], w.files[0][20*testPiece:50*testPiece])
	data[30*testPiece] ^= 1
	if err := errors.Join(os.MkdirAll(at, 0o700), os.WriteFile(filepath.Join(at, "data"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := newTestClient(t, dir, quiet()).get(w, 0); err != nil {
		t.Fatal(err)
	}
	if w.given() > (64-29+2)*testPiece {
		t.Errorf("%d pieces fetched of 35", w.given()/testPiece)
	}
}

// Metadata come from peers where there is no .torrent; a second time from what was kept.
func TestMagnet(t *testing.T) {
	w := newWorld(t, 5*testPiece)
	dir := t.TempDir()
	c := newTestClient(t, dir, quiet())
	s, err := c.join(context.Background(), w.link(-1))
	if err != nil {
		t.Fatal(err)
	}
	if index, err := s.pick(w.link(-1), -1); err != nil || index != 0 {
		t.Errorf("file %d, %v", index, err)
	}
	c.close()
	link := w.link(-1)
	link.Peers = nil
	if _, err := newTestClient(t, dir, quiet()).resolve(context.Background(), link); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestStall(t *testing.T) {
	w := newWorld(t, 5*testPiece)
	set := quiet()
	set.Stall = time.Second
	dir := t.TempDir()
	c := newTestClient(t, dir, set)
	if err := c.keep(w.meta); err != nil {
		t.Fatal(err)
	}
	w.peer = "127.0.0.1:9"
	err := c.get(w, 0)
	if err == nil || !strings.Contains(err.Error(), "no progress for 1s: 0 peers found") && !strings.Contains(err.Error(), "no progress for 1s: 1 peers found") {
		t.Errorf("got %v", err)
	}
	_, err = newTestClient(t, t.TempDir(), set).resolve(context.Background(), w.link(0))
	if err == nil || !strings.Contains(err.Error(), "no peer gave them in 1s") {
		t.Errorf("metadata: %v", err)
	}
}

// Another process that uses the same torrent is not disturbed.
func TestTwoStores(t *testing.T) {
	w := newWorld(t, 50*testPiece, 10)
	dir := t.TempDir()
	one, two := newTestClient(t, dir, quiet()), newTestClient(t, dir, quiet())
	two.dir = t.TempDir()
	if err := errors.Join(one.get(w, 1), two.get(w, 1), two.get(w, 0), one.get(w, 0)); err != nil {
		t.Error(err)
	}
}

// A disk that takes no more ends the get with its own words; the next one tries again.
func TestDiskFull(t *testing.T) {
	w := newWorld(t, 5*testPiece)
	c := newTestClient(t, t.TempDir(), quiet())
	s, err := c.join(context.Background(), w.link(0))
	if err != nil {
		t.Fatal(err)
	}
	data := s.store.data
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.store.data = full
	if err := c.get(w, 0); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v", err)
	}
	s.store.data = data
	if err := c.get(w, 0); err != nil {
		t.Error(err)
	}
}

// To look costs little. What no peer has is not seen.
func TestLook(t *testing.T) {
	w := newWorld(t, 500*testPiece)
	c := newTestClient(t, t.TempDir(), quiet())
	s, err := c.join(context.Background(), w.link(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.look(context.Background(), 0, 20*time.Second); err != nil {
		t.Error(err)
	}
	if w.given() > testPiece {
		t.Errorf("%d bytes fetched", w.given())
	}
	if err := c.get(w, 0); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	w.lib.Drop()
	alone := newTestClient(t, c.engine.dir+"/../..", quiet())
	if s, err = alone.join(context.Background(), w.link(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.look(context.Background(), 0, time.Second); err == nil {
		t.Error("seen without a peer")
	}
}

func TestPrivateKeepsToTrackers(t *testing.T) {
	set := quiet()
	set.DHT, set.PEX = true, true
	e := newTestClient(t, t.TempDir(), set)
	client, err := e.client(true)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(client.DhtServers()); n != 0 {
		t.Errorf("%d DHT servers", n)
	}
}
