package backends

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rclone/rclone/fs"
)

const (
	cleanupTime = 10 * time.Second
	// Leftovers that are remembered, and how often one is tried to be removed.
	maxLitter   = 256
	litterTries = 3
	// When a leftover is looked for at the earliest, and again: a server may notice late that
	// an upload has ended, and only then keep what it has.
	litterAfter = 2 * time.Second
	litterAgain = time.Minute
	// Bytes at the beginning of a leftover that must be ours.
	litterHead = 64
	// Room that a store may need beyond the file.
	spare = 1 << 20
)

// undo removes what a failed Put may have left. It returns the error that the Put shall have,
// which is ErrFull if there turns out to be no room.
func (r *Rclone) undo(ctx context.Context, f fs.Fs, j *Job, up *upload, stored bool, cause error) error {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	settled, err := r.discard(own, f, j, leftover{target: up.target, head: up.head}, stored)
	if settled {
		up.gone.Store(true)
		r.litter.drop(up.target) // the caller may have left meanwhile
	}
	if cause == nil || ctx.Err() != nil {
		return cause
	}
	_, slow := isSlow(cause)
	unclear := err == nil && !stored && !slow && !isLogin(cause, false)
	if isFull(cause) || unclear && r.noRoom(own, f, j, up.size) {
		return fmt.Errorf("%w: %w", ErrFull, cause)
	}
	return cause
}

func (r *Rclone) noRoom(ctx context.Context, f fs.Fs, j *Job, size int64) bool {
	if f.Features().About == nil || j.wait(ctx, r.requests, 1) != nil {
		return false
	}
	j.alive(0)
	bytes, err := free(ctx, f)
	return err == nil && bytes < size+spare
}

// discard removes a leftover, if it is ours. Settled means that there is nothing left to do;
// where nothing was found the server may yet have to notice that the upload has ended. Known
// means that the file under the name is ours, whatever is in it.
func (r *Rclone) discard(ctx context.Context, f fs.Fs, j *Job, left leftover, known bool) (settled bool, err error) {
	o, err := r.look(ctx, f, j, left.name)
	if err == ErrNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !known {
		if ours, err := r.ours(ctx, j, o, left); err != nil || !ours {
			return err == nil, err
		}
	}
	if err := j.wait(ctx, r.requests, 1); err != nil {
		return false, err
	}
	j.alive(0)
	if err := notFound(o.Remove(ctx)); err != nil && err != ErrNotFound {
		return false, err
	}
	return true, nil
}

// ours says whether a file begins as the failed upload did, so that nobody else's is lost.
func (r *Rclone) ours(ctx context.Context, j *Job, o fs.Object, left leftover) (bool, error) {
	if o.Size() > left.size {
		return false, nil
	}
	got := left.head
	if o.Size() >= 0 {
		got = got[:min(int64(len(got)), o.Size())]
	}
	if len(got) == 0 {
		return true, nil
	}
	got = make([]byte, len(got))
	if _, err := r.readSome(ctx, j, o, 0, got); err != nil {
		return false, err
	}
	return bytes.HasPrefix(left.head, got), nil
}

// leftover is what a failed Put may have left.
type leftover struct {
	*target
	head  []byte
	after time.Time // it is not looked for before
	tries int
}

// litter remembers leftovers that could not be removed at once, and those that a server may
// yet make. They are looked for when the backend has just answered something else.
type litter struct {
	mu       sync.Mutex
	all      []leftover
	busy     string        // the name that is being removed
	freed    chan struct{} // closed when it was
	sweeping chan struct{} // closed when the sweeper ends; nil if none is at work
}

// add remembers what a failed Put may have left, unless that is known to be gone.
func (l *litter) add(up *upload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !up.gone.Load() {
		head := bytes.Clone(up.head[:min(len(up.head), litterHead)])
		l.put(leftover{up.target, head, time.Now().Add(litterAfter), 0})
	}
}

func (l *litter) put(left leftover) {
	l.all = append(l.all, left)
	l.all = slices.Delete(l.all, 0, max(0, len(l.all)-maxLitter))
}

func (l *litter) drop(t *target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(left leftover) bool { return left.target == t })
}

// forget lets a name be used again: what is stored under it now is no leftover.
func (l *litter) forget(ctx context.Context, name string) error {
	l.mu.Lock()
	l.all = slices.DeleteFunc(l.all, func(left leftover) bool { return left.name == name })
	busy, freed := l.busy == name, l.freed
	l.mu.Unlock()
	if !busy {
		return nil
	}
	select {
	case <-freed:
		return l.forget(ctx, name)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
