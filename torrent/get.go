package torrent

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
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
	alone := w.alone(index)
	alone.Lock()
	defer alone.Unlock()
	f := w.t.Files()[index]
	t, held, err := w.store.open(path, os.O_RDWR|os.O_CREATE, f.Offset(), f.Length(), w.own(f))
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	w.begin(index)
	defer func() { w.finish(index, t, err) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	held, err = w.check(ctx, t, held)
	if err != nil {
		return w.why(ctx, err)
	}
	var done atomic.Int64
	go w.watch(ctx, f, &done, stall, cancel)
	if err := w.write(ctx, f, t, held, func(n int64) { done.Store(n); progress(n) }); err != nil {
		return w.why(ctx, fmt.Errorf("get file %d of torrent %s: %w", index, w.t.Name(), err))
	}
	return nil
}

// begin notes a get that has not come to its end.
func (w *swarm) begin(index int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began, w.unfinished[index] = true, true
}

// check has the pieces verified that a target holds. From the first wrong one on the target is cut
// off. It returns the right ones.
func (w *swarm) check(ctx context.Context, t *target, held extent) (extent, error) {
	right := held.end
	for i := held.end - 1; i >= held.first; i-- { // all of them, so that no hash is under way after this
		if err := w.verify(ctx, i); err != nil {
			return held, err
		}
		if !w.store.isWhole(i) {
			right = i
		}
	}
	w.forget(t, extent{right, held.end})
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

// write writes what is not held yet. (The library's own reader fails at torrents of version 2 of several
// files.)
func (w *swarm) write(ctx context.Context, f *lib.File, t *target, held extent, progress func(int64)) error {
	length := w.store.length
	skip, skipTo := int64(held.first)*length-t.offset, min(int64(held.end)*length-t.offset, t.size)
	next, end := 0, int((t.offset+t.size-1)/length)+1 // pieces
	wanted := map[int]bool{}
	defer func() {
		for i := range wanted {
			w.unwant(i)
		}
	}()
	buf := make([]byte, copySize)
	for done := int64(0); done < t.size; progress(done) {
		if done == skip && skip < skipTo {
			done = skipTo
			continue
		}
		at := int((t.offset + done) / length)
		for next = max(next, at); next < end && int64(next-at)*length < readAhead; next++ {
			if next < held.first || next >= held.end {
				wanted[next] = true
				w.want(next)
			}
		}
		if wanted[at] {
			w.urge(at)
		}
		if err := w.store.wait(ctx, at, w.t.Closed()); err != nil {
			return err
		}
		in := t.offset + done - int64(at)*length
		n, err := storedPiece{w.store, at}.ReadAt(buf[:min(copySize, t.size-done, length-in)], in)
		if n == 0 && err != nil {
			return fmt.Errorf("read piece %d: %w", at, err)
		}
		if _, err := t.file.WriteAt(buf[:n], done); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
		done += int64(n)
		w.store.settle(t, done)
		if wanted[at] && int64(in)+int64(n) == length {
			delete(wanted, at)
			w.unwant(at)
		}
	}
	return nil
}

// watch ends a get that makes no progress for too long: blocks come, or bytes are written.
func (w *swarm) watch(ctx context.Context, f *lib.File, done *atomic.Int64, stall time.Duration, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(min(time.Second, stall/4))
	defer tick.Stop()
	best, wrote, at := int64(-1), int64(-1), time.Now()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if has, m := f.BytesCompleted(), done.Load(); has > best || m > wrote {
			best, wrote, at = max(best, has), m, time.Now()
		}
		if n%5 == 4 {
			w.again()
		}
		if time.Since(at) > stall {
			cancel(fmt.Errorf("get file of torrent %s: no progress for %v: %s; try again later, or add another link: git annex addurl --file=FILE LINK", w.t.Name(), stall, w.peers()))
			return
		}
	}
}
