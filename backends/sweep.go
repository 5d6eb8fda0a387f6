package backends

import (
	"context"
	"slices"
	"time"

	"github.com/rclone/rclone/fs"
)

// tidy looks for the leftovers that are due, in a goroutine of its own, if there are any.
func (r *Rclone) tidy() {
	now := time.Now()
	if r.litter.begin(now) {
		go r.sweep(context.Background(), now)
	}
}

// lastTidy looks for all leftovers, for a limited time.
func (r *Rclone) lastTidy() {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	r.litter.wait(ctx)
	r.mu.Lock()
	linked := r.link != nil
	r.mu.Unlock()
	due := time.Now().Add(litterAfter)
	if linked && r.gate.ready() == nil && r.litter.begin(due) {
		r.sweep(ctx, due)
	}
}

// sweep removes the leftovers that were due at a time, until one cannot be.
func (r *Rclone) sweep(ctx context.Context, due time.Time) {
	for {
		left, ok := r.litter.next(due)
		if !ok {
			return
		}
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, cleanupTime)
			defer cancel()
			_, err := do(ctx, r, "clean up", left.name, func(ctx context.Context, f fs.Fs, j *Job) (bool, error) {
				return r.discard(ctx, f, j, left, false)
			})
			return err
		}()
		if r.litter.done(left, err); err != nil {
			r.litter.end()
			return
		}
	}
}

// begin says whether the caller has to sweep: something is due and nobody else is at it.
func (l *litter) begin(due time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sweeping != nil || !slices.ContainsFunc(l.all, func(left leftover) bool { return !left.after.After(due) }) {
		return false
	}
	l.sweeping = make(chan struct{})
	return true
}

// next takes a leftover that is due; when there is none the sweep has ended.
func (l *litter) next(due time.Time) (left leftover, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.all, func(left leftover) bool { return !left.after.After(due) })
	if i < 0 {
		l.stop()
		return left, false
	}
	left = l.all[i]
	l.all = slices.Delete(l.all, i, i+1)
	l.busy, l.freed = left.name, make(chan struct{})
	return left, true
}

// done notes that a leftover is gone, or keeps it for another time.
func (l *litter) done(left leftover, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = ""
	close(l.freed)
	if left.tries++; err != nil && left.tries < litterTries {
		left.after = time.Now().Add(litterAgain)
		l.put(left)
	}
}

func (l *litter) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
}

func (l *litter) stop() {
	close(l.sweeping)
	l.sweeping = nil
}

// wait waits for the sweeper, if one is at work.
func (l *litter) wait(ctx context.Context) {
	l.mu.Lock()
	sweeping := l.sweeping
	l.mu.Unlock()
	if sweeping == nil {
		return
	}
	select {
	case <-sweeping:
	case <-ctx.Done():
	}
}
