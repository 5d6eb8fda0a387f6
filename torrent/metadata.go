package torrent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	lib "github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
	"github.com/anacrolix/torrent/types/infohash"
	infohash_v2 "github.com/anacrolix/torrent/types/infohash-v2"
)

// metadataCommand is the argument by which this program is called for answerMetadata.
const metadataCommand = "metadata"

// question is what the process that fetches metadata is asked, as JSON on its stdin.
type question struct {
	Link Link
	Set  settings
}

// askPeers fetches the metadata of a magnet link from its peers (BEP 9). The library parses them before
// anybody can look at them, and some that are made for it end the process: so a process of its own does.
func askPeers(ctx context.Context, link Link, set settings) (*Metainfo, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: %w", err)
	}
	text, err := json.Marshal(question{link, set})
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, set.Stall+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, metadataCommand)
	var stdout, stderr limited
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe() // its end tells the process that this one is gone
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: %w", err)
	}
	stdin.Write(text) //nolint:errcheck // it says so itself
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("fetch metadata of %s: %w", link.key(), context.Cause(ctx))
		}
		if said, ok := strings.CutPrefix(stderr.String(), "fetch metadata: "); ok {
			return nil, errors.New("fetch metadata: " + strings.TrimSpace(said))
		}
		return nil, fmt.Errorf("fetch metadata of %s: what the peers gave ends the parser (%w)", link.key(), err)
	}
	meta, err := ParseInfo(stdout.Bytes())
	if err != nil {
		return nil, fmt.Errorf("fetch metadata of %s: %w", link.key(), err)
	}
	return meta, nil
}

// limited keeps the first bytes of what is written: more than metadata may have are no use.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if room := MaxMetainfo - l.Len(); room > 0 {
		l.Buffer.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

// answerMetadata is the other side of askPeers: it answers the question on stdin with the bytes of an info
// dictionary, and returns the exit code.
func answerMetadata(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) int {
	debug.SetMaxStack(64 << 20) // metadata that nest without end
	var q question
	err := json.NewDecoder(stdin).Decode(&q)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, stdin) //nolint:errcheck // until whoever asked is gone
		cancel()
	}()
	var info []byte
	if err == nil {
		info, err = fetchInfo(ctx, q.Link, q.Set)
	}
	if err == nil {
		_, err = stdout.Write(info)
	}
	if err != nil {
		fmt.Fprintln(stderr, "fetch metadata:", err)
		return 1
	}
	return 0
}

func fetchInfo(ctx context.Context, link Link, set settings) ([]byte, error) {
	set.Port, set.Seeding = 0, false
	client, err := newClient(set)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	spec := &lib.TorrentSpec{PeerAddrs: link.Peers}
	if set.Trackers {
		spec.Trackers = [][]string{link.Trackers}
	}
	if link.Hash != "" {
		spec.InfoHash = infohash.FromHexString(link.Hash)
	}
	if link.Hash == "" { // the library finds the long hash of version 2
		v2 := infohash_v2.FromHexString(link.HashV2)
		spec.InfoHash = *v2.ToShort()
	}
	t, _, err := client.AddTorrentSpec(spec)
	if err != nil {
		return nil, err
	}
	select {
	case <-t.GotInfo():
		return t.Metainfo().InfoBytes, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(set.Stall):
		s := t.Stats()
		return nil, fmt.Errorf("no peer gave them in %v: %d peers found (links name %d), %d connected; a link with trackers (tr=) or peers (x.pe=) helps, and a .torrent needs none", set.Stall, s.TotalPeers, len(link.Peers), s.ActivePeers)
	}
}

// nowhere is a store of a torrent whose pieces nobody wants.
type nowhere struct{}

func (nowhere) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(metainfo.Piece) storage.PieceImpl { return nothing{} },
		Close: func() error { return nil },
	}, nil
}

type nothing struct{}

func (nothing) ReadAt([]byte, int64) (int, error)  { return 0, io.EOF }
func (nothing) WriteAt([]byte, int64) (int, error) { return 0, io.ErrShortWrite }
func (nothing) MarkComplete() error                { return nil }
func (nothing) MarkNotComplete() error             { return nil }
func (nothing) Completion() storage.Completion     { return storage.Completion{Ok: true} }
