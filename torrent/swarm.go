package torrent

import (
	"context"
	"fmt"
	"sync"
	"time"

	lib "github.com/anacrolix/torrent"
)

// swarm is a torrent in use: its peers, its metainfo and what is here of it.
type swarm struct {
	meta  *Metainfo
	store *store
	t     *lib.Torrent

	mu         sync.Mutex
	unfinished int       // gets that did not come to their end
	done       []*target // of finished gets, open for others to be given
	broken     error     // of writing to the store
}

// maxDone is how many files that have been got are still given to others.
const maxDone = 64

// enter adds a torrent to the client, with the peers and trackers that a link names.
func enter(client *lib.Client, meta *Metainfo, dir string) (*swarm, error) {
	store, err := openStore(dir, meta.Info)
	if err != nil {
		return nil, err
	}
	spec, err := lib.TorrentSpecFromMetaInfoErr(meta.MI)
	if err == nil {
		spec.Storage, spec.DhtNodes = store, nil
		w := &swarm{meta: meta, store: store}
		if w.t, _, err = client.AddTorrentSpec(spec); err == nil {
			w.t.SetOnWriteChunkError(w.stop)
			return w, nil
		}
	}
	store.close(true)
	return nil, fmt.Errorf("use torrent %s: %w", meta.Link(-1).Name, err)
}

// hear adds what a link says of trackers, web seeds and peers. A private torrent keeps to trackers.
func (w *swarm) hear(link Link, set settings) {
	spec := lib.TorrentSpec{}
	if set.Trackers && len(link.Trackers) > 0 {
		spec.Trackers = [][]string{link.Trackers}
	}
	if !w.meta.Private {
		spec.Webseeds, spec.PeerAddrs = link.WebSeeds, link.Peers
	}
	w.t.MergeSpec(&spec) //nolint:errcheck // it is of what a spec has besides
}

// pick says which file of the torrent a link means; size is the wanted content's, -1 if it is not
// known.
func (w *swarm) pick(link Link, size int64) (int, error) {
	if link.Index >= 0 {
		for _, f := range w.meta.Files {
			if f.Index == link.Index && !f.Pad {
				return f.Index, nil
			}
		}
		return 0, fmt.Errorf("find file %d (so=) in torrent %s: it has none of that number", link.Index, link.Name)
	}
	var fit []int
	for _, f := range w.meta.Files {
		if !f.Pad && (size < 0 || f.Size == size) {
			fit = append(fit, f.Index)
		}
	}
	if len(fit) != 1 {
		return 0, fmt.Errorf("find the file in torrent %s: %d files of it would do; say which by so=NUMBER in the link", w.meta.Link(-1).Name, len(fit))
	}
	return fit[0], nil
}

// own returns the pieces that hold nothing but bytes of a file.
func (w *swarm) own(f *lib.File) extent {
	length, begin, end := w.meta.Info.PieceLength, f.Offset(), f.Offset()+f.Length()
	own := extent{int((begin + length - 1) / length), int(end / length)}
	if w.meta.Info.FilesArePieceAligned() || end == w.t.Length() {
		own.end = int((end + length - 1) / length)
	}
	return extent{own.first, max(own.first, own.end)}
}

// finish ends a get: what it wrote is given to others for a while, if it is whole.
func (w *swarm) finish(t *target, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.unfinished--
		w.done = append(w.done, t)
		if len(w.done) <= maxDone {
			return
		}
		t, w.done = w.done[0], w.done[1:]
	}
	w.close(t)
}

// close lets a target go, and with it its pieces.
func (w *swarm) close(t *target) {
	w.forget(w.store.leave(t, t.own))
	t.file.Close()
}

// forget tells the library of pieces that are not here any more.
func (w *swarm) forget(pieces []int) {
	for _, i := range pieces {
		select {
		case <-w.t.Closed(): // it has forgotten all
			return
		default:
			w.t.Piece(i).UpdateCompletion()
		}
	}
}

// stop ends all gets: what peers send cannot be written.
func (w *swarm) stop(err error) {
	w.mu.Lock()
	w.broken = err
	w.mu.Unlock()
	w.t.Drop()
}

// why is the error to report where a get came to err.
func (w *swarm) why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return fmt.Errorf("write pieces of torrent %s: %w", w.t.Name(), w.broken)
	}
	return err
}

// isBroken tells whether the swarm is of no use any more.
func (w *swarm) isBroken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken != nil
}

// begin counts a get.
func (w *swarm) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unfinished++
}

// look waits until connected peers have all of a file. The library connects to peers only while it
// wants something: so it wants a piece until they are there, which costs a few blocks of it.
func (w *swarm) look(ctx context.Context, index int, patience time.Duration) error {
	f := w.t.Files()[index]
	if w.seen(f) {
		return nil
	}
	w.t.DownloadPieces(f.BeginPieceIndex(), min(f.BeginPieceIndex()+1, f.EndPieceIndex()))
	defer w.t.CancelPieces(f.BeginPieceIndex(), f.EndPieceIndex())
	wait := time.NewTimer(patience)
	defer wait.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !w.seen(f) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wait.C:
			return fmt.Errorf("look for file %d of torrent %s: not seen now: %s", index, w.t.Name(), w.peers())
		case <-tick.C:
		}
	}
	return nil
}

// leave ends the swarm after its client.
func (w *swarm) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.done {
		t.file.Close()
	}
	w.store.close(w.unfinished > 0)
}

// seen tells whether some connected peers have, together, all of a file.
func (w *swarm) seen(f *lib.File) bool {
	missing := map[int]bool{}
	for i := f.BeginPieceIndex(); i < f.EndPieceIndex(); i++ {
		missing[i] = true
	}
	for _, peer := range w.t.PeerConns() {
		has := peer.PeerPieces()
		for i := range missing {
			if has.Contains(uint32(i)) {
				delete(missing, i)
			}
		}
	}
	return len(missing) == 0
}

// peers says in words who was found.
func (w *swarm) peers() string {
	s := w.t.Stats()
	return fmt.Sprintf("%d peers found, %d connected, %d of them with all of the torrent; %d web seeds",
		s.TotalPeers, s.ActivePeers, s.ConnectedSeeders, len(w.t.WebseedPeerConns()))
}
