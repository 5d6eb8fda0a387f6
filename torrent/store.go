package torrent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
	"github.com/gofrs/flock"
)

// store keeps the pieces of one torrent on disk. A piece is at home in the store's data, a sparse
// file laid out as the torrent, until a get has written it to the file that it makes: then that file is
// its home, and its place in the data is a hole. So what is got takes its size once, and others can
// still be given it. Pieces that several files share stay in the data.
type store struct {
	data   *os.File
	lock   *flock.Flock
	length int64 // of a piece, bytes
	left   []int // pieces of which an earlier process may have left something

	mu     sync.RWMutex // held for reading while bytes of a piece are read or written
	pieces []piece
	change chan struct{} // closed when a piece has become whole
}

type piece struct {
	state pieceState
	home  *target // nil: the data
}

type pieceState byte

const (
	lacking pieceState = iota
	whole              // its hash is right
	unknown            // may hold something, of an earlier process
)

// target is the file that a get writes.
type target struct {
	file   *os.File
	offset int64 // of its first byte in the torrent
	size   int64
	own    extent // the pieces that are of this file alone

	settled int // own pieces before this one are settled
}

// extent is the range of pieces [first, end).
type extent struct{ first, end int }

// openStore opens or makes the store of a torrent in dir, or beside it where another process has
// that one open.
func openStore(dir string, info *metainfo.Info) (*store, error) {
	for n := range 64 {
		at := dir
		if n > 0 {
			at = fmt.Sprintf("%s-%d", dir, n)
		}
		if err := os.MkdirAll(at, 0o700); err != nil {
			return nil, fmt.Errorf("make store: %w", err)
		}
		lock := flock.New(filepath.Join(at, "lock"))
		locked, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock store: %w", err)
		}
		if locked {
			if n == 0 {
				sweep(dir)
			}
			return newStore(at, info, lock)
		}
	}
	return nil, fmt.Errorf("lock store %s: many processes use this torrent", dir)
}

// sweep removes the stores beside one that processes which died have left.
func sweep(dir string) {
	others, _ := filepath.Glob(dir + "-*")
	for _, other := range others {
		lock := flock.New(filepath.Join(other, "lock"))
		if locked, err := lock.TryLock(); err == nil && locked {
			os.RemoveAll(other) //nolint:errcheck // it is only in the way
			lock.Unlock()       //nolint:errcheck
		}
	}
}

func newStore(dir string, info *metainfo.Info, lock *flock.Flock) (_ *store, err error) {
	s := &store{lock: lock, change: make(chan struct{}), length: info.PieceLength, pieces: make([]piece, info.NumPieces())}
	s.data, err = os.OpenFile(filepath.Join(dir, "data"), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = extents(s.data, func(off, end int64) {
			for i := off / s.length; i*s.length < end && i < int64(len(s.pieces)); i++ {
				s.pieces[i].state = unknown
				s.left = append(s.left, int(i))
			}
		})
	}
	if err == nil {
		err = s.data.Truncate(int64(len(s.pieces)) * s.length)
	}
	if err != nil {
		s.close(true)
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// close ends the store. What only neighbours of the files that were asked for are made of goes, and
// everything, unless it is kept for a get that did not come to its end.
func (s *store) close(keep bool) {
	if s.data != nil {
		s.data.Close()
		if !keep {
			os.Remove(s.data.Name()) //nolint:errcheck // it is only in the way
		}
	}
	s.lock.Unlock() //nolint:errcheck // the end of the process does
}

// OpenTorrent is storage.ClientImpl: the library asks for the pieces.
func (s *store) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl { return storedPiece{s, p.Index()} },
		Close: func() error { return nil },
	}, nil
}

// storedPiece is storage.PieceImpl. The library keeps reads and writes within the piece.
type storedPiece struct {
	s     *store
	index int
}

// home returns where the piece is and the offset of its beginning there. The caller holds mu.
func (p storedPiece) home() (*os.File, int64) {
	off := int64(p.index) * p.s.length
	if t := p.s.pieces[p.index].home; t != nil {
		return t.file, off - t.offset
	}
	return p.s.data, off
}

func (p storedPiece) ReadAt(b []byte, off int64) (int, error) {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	f, begin := p.home()
	return f.ReadAt(b, begin+off)
}

func (p storedPiece) WriteAt(b []byte, off int64) (int, error) {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	f, begin := p.home()
	return f.WriteAt(b, begin+off)
}

func (p storedPiece) MarkComplete() error    { p.set(whole); return nil }
func (p storedPiece) MarkNotComplete() error { p.set(lacking); return nil }

func (p storedPiece) set(state pieceState) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.pieces[p.index].state = state
	if state == whole {
		close(p.s.change)
		p.s.change = make(chan struct{})
	}
}

func (p storedPiece) Completion() storage.Completion {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	state := p.s.pieces[p.index].state
	return storage.Completion{Ok: state != unknown, Complete: state == whole}
}

// open makes a file that is to hold a part of the torrent the home of those of its own pieces that
// it may hold already and the data do not; they are returned. Nobody else may want these pieces.
func (s *store) open(path string, flag int, offset, size int64, own extent) (*target, extent, error) {
	file, err := os.OpenFile(path, flag, 0o666)
	if err != nil {
		return nil, extent{}, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, extent{}, err
	}
	t := &target{file: file, offset: offset, size: size, own: own}
	held := min(int((offset+info.Size())/s.length), own.end)
	if info.Size() >= size {
		held = own.end
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := own.first
	for ; i < held && s.pieces[i] == (piece{}); i++ {
		s.pieces[i] = piece{unknown, t}
	}
	return t, extent{own.first, max(i, own.first)}, nil
}

// isWhole tells whether a piece is known to be right.
func (s *store) isWhole(index int) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pieces[index].state == whole
}

// wait waits until a piece is whole.
func (s *store) wait(ctx context.Context, index int, closed <-chan struct{}) error {
	for {
		s.mu.RLock()
		state, change := s.pieces[index].state, s.change
		s.mu.RUnlock()
		if err := ctx.Err(); err != nil || state == whole {
			return err
		}
		select {
		case <-change:
		case <-closed:
			return errLeft
		case <-ctx.Done():
		}
	}
}

// settle makes a target the home of its own pieces up to a byte of it, all of which it holds; their
// places in the data become holes.
func (s *store) settle(t *target, written int64) {
	end := min(int((t.offset+written)/s.length), t.own.end)
	if written == t.size {
		end = t.own.end
	}
	for i := t.settled; i < end; i++ {
		s.mu.Lock()
		moved := s.pieces[i].home == nil
		if moved {
			s.pieces[i].home = t
		}
		s.mu.Unlock() // nobody reads the old place now
		if moved {
			punch(s.data, int64(i)*s.length, s.length)
		}
	}
	t.settled = max(t.settled, end)
}

// lack tells of the pieces of an extent that are at home in a target that they are not whole, and
// returns them. They stay at home there until leave.
func (s *store) lack(t *target, pieces extent) (left []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := pieces.first; i < pieces.end; i++ {
		if s.pieces[i].home == t {
			s.pieces[i].state = lacking
			left = append(left, i)
		}
	}
	return left
}

// leave makes the data the home of pieces.
func (s *store) leave(pieces []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range pieces {
		s.pieces[i] = piece{}
	}
}

// reopen makes a target one that is only read.
func (s *store) reopen(t *target) error {
	file, err := os.Open(t.file.Name())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file, t.file = t.file, file
	return file.Close()
}
