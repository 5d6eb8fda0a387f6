package torrent

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	lib "github.com/anacrolix/torrent"
)

const (
	readAhead = 32 << 20 // bytes of pieces that are asked for at once
	copySize  = 256 << 10
)

// get writes a file of the torrent, in order, to a path where it may go on what an earlier get has
// left. It waits for peers as long as there is progress.
func (w *swarm) get(ctx context.Context, index int, path string, stall time.Duration, progress func(int64)) (err error) {
	f := w.t.Files()[index]
	t, held, err := w.store.open(path, os.O_RDWR|os.O_CREATE, f.Offset(), f.Length(), w.own(f))
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	w.begin()
	defer func() { w.finish(t, err) }()
	held, err = w.check(ctx, t, held)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go w.watch(ctx, f, stall, cancel)
	if err := w.write(ctx, f, t, held, progress); err != nil {
		return w.why(ctx, fmt.Errorf("get file %d of torrent %s: %w", index, w.t.Name(), err))
	}
	return nil
}

// check has the pieces verified that a target holds. From the first wrong one on the target is cut
// off. It returns the right ones.
func (w *swarm) check(ctx context.Context, t *target, held extent) (extent, error) {
	right := held.first
	for ; right < held.end; right++ {
		if err := w.verify(ctx, right); err != nil {
			return held, err
		}
		if !w.store.isWhole(right) {
			break
		}
	}
	w.forget(w.store.leave(t, extent{right, held.end}))
	var keep int64
	if right > held.first {
		keep = min(int64(right)*w.store.length-t.offset, t.size)
	}
	if err := t.file.Truncate(keep); err != nil {
		return held, fmt.Errorf("write file: %w", err)
	}
	t.settled = right
	return extent{held.first, right}, nil
}

// verify has the library hash a piece, and waits until it has told the store of the outcome, which it
// does after it says that it is done.
func (w *swarm) verify(ctx context.Context, index int) error {
	if err := w.t.Piece(index).VerifyDataContext(ctx); err != nil {
		return fmt.Errorf("verify what is here of torrent %s: %w", w.t.Name(), err)
	}
	for {
		if s := w.t.PieceState(index); !s.Marking && !s.Checking {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// write writes what is not held yet.
func (w *swarm) write(ctx context.Context, f *lib.File, t *target, held extent, progress func(int64)) error {
	r := f.NewReader()
	defer r.Close()
	r.SetContext(ctx)
	r.SetReadahead(readAhead)
	skip, skipTo := int64(held.first)*w.store.length-t.offset, min(int64(held.end)*w.store.length-t.offset, t.size)
	buf := make([]byte, copySize)
	for done := int64(0); done < t.size; {
		if done == skip && skip < skipTo {
			done = skipTo
			if _, err := r.Seek(done, io.SeekStart); err != nil {
				return err
			}
			progress(done)
			continue
		}
		upTo := t.size
		if done < skip && skip < skipTo {
			upTo = skip
		}
		n, err := r.Read(buf[:min(copySize, upTo-done)])
		if n == 0 && err != nil {
			return err
		}
		if _, err := t.file.WriteAt(buf[:n], done); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
		done += int64(n)
		w.store.settle(t, done)
		progress(done)
	}
	return nil
}

// watch ends a get that makes no progress for too long.
func (w *swarm) watch(ctx context.Context, f *lib.File, stall time.Duration, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(min(time.Second, stall/4))
	defer tick.Stop()
	best, at := int64(-1), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := f.BytesCompleted(); n > best {
			best, at = n, time.Now()
		}
		if time.Since(at) > stall {
			cancel(fmt.Errorf("get file of torrent %s: no progress for %v: %s; try again later, or give another link by git annex addurl --file", w.t.Name(), stall, w.peers()))
			return
		}
	}
}
