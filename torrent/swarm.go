package torrent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lib "github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
)

// swarm is a torrent in use: its peers, its metainfo and what is here of it.
type swarm struct {
	meta  *Metainfo
	store *store
	t     *lib.Torrent
	users atomic.Int64 // requests

	life   sync.RWMutex // held for reading by what the library must not see a closed torrent in
	closed bool         // guarded by life

	looking sync.Mutex // one request looks for peers

	mu         sync.Mutex
	gets       map[int]*sync.Mutex // one get of a file at a time, by index
	began      bool                // a get
	unfinished map[int]bool        // files whose get did not come to its end
	done       []*target           // of finished gets, open for others to be given
	broken     error               // of writing to the store
	known      []string            // peers that links name
	places     []string            // trackers and web seeds that they name
	wanted     map[int]int         // pieces, by how many
}

// maxDone is how many files that have been got are still given to others.
const maxDone = 16

var errLeft = errors.New("the swarm has been left")

// enter adds a torrent to the client, and has what an earlier process left of it verified: the library
// hashes no piece later but one that has just come, or that verify is asked for.
func enter(ctx context.Context, client *lib.Client, meta *Metainfo, dir string) (*swarm, error) {
	store, err := openStore(dir, meta.Info)
	if err != nil {
		return nil, err
	}
	w := &swarm{meta: meta, store: store, gets: map[int]*sync.Mutex{}, unfinished: map[int]bool{}, wanted: map[int]int{}}
	spec, err := specOf(meta)
	if err == nil {
		spec.Storage = store
		w.t, _, err = client.AddTorrentSpec(spec)
	}
	if err != nil {
		store.close(true)
		return nil, fmt.Errorf("use torrent %s: %w", meta.Link(-1).Name, err)
	}
	w.t.SetOnWriteChunkError(w.stop)
	for _, i := range store.left {
		if err := w.verify(ctx, i); err != nil {
			w.leave()
			return nil, err
		}
	}
	return w, nil
}

// specOf says what torrent it is in the words of the library, to which the short hash of one of version 2
// alone is that of version 1, too.
func specOf(meta *Metainfo) (*lib.TorrentSpec, error) {
	spec, err := lib.TorrentSpecFromMetaInfoErr(meta.MI)
	if err != nil {
		return nil, err
	}
	spec.DhtNodes = nil
	if spec.InfoHash == (metainfo.Hash{}) {
		spec.InfoHash = *spec.InfoHashV2.Value.ToShort()
		spec.InfoHashV2.SetNone()
	}
	return spec, nil
}

// hear adds what a link says of trackers, web seeds and peers. A private torrent keeps to trackers; the
// library panics at web seeds of hybrid ones.
func (w *swarm) hear(link Link, set settings) {
	spec := lib.TorrentSpec{}
	w.mu.Lock()
	w.places = together(w.places, slices.Concat(link.Trackers, link.WebSeeds))
	w.mu.Unlock()
	if set.Trackers && len(link.Trackers) > 0 {
		spec.Trackers = [][]string{link.Trackers}
	}
	if !w.meta.Private {
		spec.PeerAddrs = link.Peers
		w.mu.Lock()
		w.known = together(w.known, link.Peers)
		w.mu.Unlock()
		if !w.meta.Info.HasV2() {
			spec.Webseeds = link.WebSeeds
		}
	}
	w.alive(func() error { return w.t.MergeSpec(&spec) }) //nolint:errcheck // it is of what a spec has besides
}

// heard is how much links have said of trackers, web seeds and peers.
func (w *swarm) heard() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.known) + len(w.places)
}

// again tries the peers of links again while there is no other.
func (w *swarm) again() {
	w.mu.Lock()
	known := slices.Clone(w.known)
	w.mu.Unlock()
	if len(known) > 0 && w.t.Stats().ActivePeers == 0 {
		w.alive(func() error { return w.t.MergeSpec(&lib.TorrentSpec{PeerAddrs: known}) }) //nolint:errcheck
	}
}

// alive calls f unless the torrent is closed, and keeps it from being closed meanwhile.
func (w *swarm) alive(f func() error) error {
	w.life.RLock()
	defer w.life.RUnlock()
	if w.closed {
		return errLeft
	}
	return f()
}

// verify has the library hash a piece, and waits until it has told the store of the outcome, which it
// does after it says that it is done.
func (w *swarm) verify(ctx context.Context, index int) error {
	err := w.alive(func() error { // on a closed torrent the library would keep its lock
		return w.t.Piece(index).VerifyDataContext(ctx)
	})
	for err == nil {
		if s := w.t.PieceState(index); !s.Marking && !s.Checking {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("verify what is here of torrent %s: %w", w.t.Name(), err)
}

// pick says which file of the torrent a link means; size is the wanted content's, -1 if it is not
// known.
func (w *swarm) pick(link Link, size int64) (int, error) {
	name := w.meta.Link(-1).Name
	var fit []int
	for _, f := range w.meta.Files {
		if f.Pad || link.Index >= 0 && f.Index != link.Index {
			continue
		}
		if size < 0 || f.Size == size {
			fit = append(fit, f.Index)
		} else if link.Index >= 0 {
			return 0, fmt.Errorf("find file %d (so=) of torrent %s: it has %d bytes, and the content %d", link.Index, name, f.Size, size)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case link.Index >= 0:
		return 0, fmt.Errorf("find file %d (so=) of torrent %s: it has none of that number", link.Index, name)
	}
	return 0, fmt.Errorf("find the file in torrent %s: %d files of it would do; say which by so=NUMBER in the link", name, len(fit))
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

// alone returns what keeps other gets of a file out.
func (w *swarm) alone(index int) *sync.Mutex {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gets[index] == nil {
		w.gets[index] = &sync.Mutex{}
	}
	return w.gets[index]
}

// finish ends a get: what it wrote is given to others for a while, if it is whole.
func (w *swarm) finish(index int, t *target, err error) {
	if err == nil {
		err = w.store.reopen(t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.unfinished, index)
		w.done = append(w.done, t)
		if len(w.done) <= maxDone {
			return
		}
		t, w.done = w.done[0], w.done[1:]
	}
	w.forget(t, t.own)
	t.file.Close()
}

// forget makes the data the home of pieces that a target had, without anything in them.
func (w *swarm) forget(t *target, pieces extent) {
	lost := w.store.lack(t, pieces)
	for _, i := range lost {
		w.alive(func() error { //nolint:errcheck // a library that has left has forgotten all
			w.t.Piece(i).UpdateCompletion()
			return nil
		})
	}
	w.store.leave(lost) // when the library gives them to nobody any more
}

// stop ends all gets: what peers send cannot be written.
func (w *swarm) stop(err error) {
	w.mu.Lock()
	w.broken = err
	w.mu.Unlock()
	w.drop()
}

// drop takes the torrent out of the client.
func (w *swarm) drop() {
	w.life.Lock()
	defer w.life.Unlock()
	w.closed = true
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

// leave ends the swarm. What is in the store is kept for gets that did not come to their end, also
// those of an earlier process if this one has got nothing.
func (w *swarm) leave() {
	w.drop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.done {
		t.file.Close()
	}
	w.store.close(len(w.unfinished) > 0 || !w.began && len(w.store.left) > 0)
}

// release tells that a request does not use the swarm any more.
func (w *swarm) release() { w.users.Add(-1) }

// look waits until connected peers have all of a file. The library connects to peers only while it
// wants something: so it wants a piece until they are there, which costs a few blocks of it.
func (w *swarm) look(ctx context.Context, index int, patience time.Duration) error {
	w.looking.Lock()
	defer w.looking.Unlock()
	f := w.t.Files()[index]
	for i := f.BeginPieceIndex(); i < f.EndPieceIndex() && !w.seen(f); i++ {
		if !w.store.isWhole(i) {
			w.want(i)
			defer w.unwant(i)
			break
		}
	}
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

// want has the library ask for a piece until unwant has been called as often.
func (w *swarm) want(index int) { w.count(index, +1) }

func (w *swarm) unwant(index int) { w.count(index, -1) }

func (w *swarm) count(index, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted[index] += by
	// Pieces of this priority are asked for in order, where peers have the same ones. In any other order the last one of the window comes when
	// all peers but its own have nothing left to do.
	priority := lib.PiecePriorityReadahead
	if w.wanted[index] == 0 {
		delete(w.wanted, index)
		priority = lib.PiecePriorityNone
	}
	w.alive(func() error { //nolint:errcheck // who has left wants nothing
		w.t.Piece(index).SetPriority(priority)
		return nil
	})
}

// urge has the library ask for a wanted piece before others.
func (w *swarm) urge(index int) {
	if w.store.isWhole(index) {
		return
	}
	w.alive(func() error { //nolint:errcheck // who has left wants nothing
		w.t.Piece(index).SetPriority(lib.PiecePriorityNow)
		return nil
	})
}

// seen tells whether connected peers have, together, all of a file.
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
	w.mu.Lock()
	named := len(w.known)
	w.mu.Unlock()
	return fmt.Sprintf("%d peers found (links name %d), %d connected, %d of them with all of the torrent; %d web seeds",
		s.TotalPeers, named, s.ActivePeers, s.ConnectedSeeders, len(w.t.WebseedPeerConns()))
}
