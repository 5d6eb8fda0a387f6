package backends

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// How long a call may still tidy up after its context has ended, and one that has sent
	// data: rclone's webdav waits for a second before it looks after a failed upload.
	grace     = time.Second
	graceSent = 2500 * time.Millisecond
	// Calls of one backend that may be left behind before it is not used any more.
	maxStuck = 16
	// A transfer must move this many bytes a second, taken over the timeout. Without it one
	// byte a second would hold a transfer for ever.
	slowest = 1 << 10
)

var (
	errStuck = errors.New("too many operations hang")
	errLeft  = errors.New("the caller has left")
)

// Job is one call into rclone, made in a goroutine of its own, so that a backend which ignores
// its context cannot hold the caller.
//
// Its name is part of how it works: rclone's fs.Fatalf ends the process, except below a
// function called (*Job).run, where it panics; run makes an error of that.
type Job struct {
	timeout time.Duration

	mu     sync.Mutex
	moved  time.Time     // last sign of life
	extra  time.Duration // patience beyond the timeout
	used   bool          // the backend has asked for data
	closed bool          // over or left behind: the caller's memory must not be touched
	held   time.Time     // our own limits hold the job since; zero when they do not

	window time.Time // what is being transferred is counted since; zero when nothing is
	bytes  int64     // moved in the window
	enough int64     // that many bytes begin a new window
}

// call runs op and returns when it does. It returns without it, soon after ctx has ended or
// nothing or too little has moved for the timeout, if op does not react to that.
func call[T any](ctx context.Context, r *Rclone, op func(context.Context, *Job) (T, error)) (none T, err error) {
	if r.stuck.Load() >= maxStuck {
		return none, errStuck
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	type answer struct {
		result T
		err    error
	}
	j := &Job{timeout: r.timeout, moved: time.Now()}
	done := make(chan answer, 1)
	go func() {
		var a answer
		a.err = j.run(func() (err error) {
			a.result, err = op(ctx, j)
			return err
		})
		if left := !j.close(); left {
			r.stuck.Add(-1)
		}
		done <- a
	}()

	finish := func(a answer) (T, error) {
		if a.err != nil && ctx.Err() != nil {
			return none, context.Cause(ctx) // what a cut-off backend says means nothing
		}
		return a.result, a.err
	}
	timer := time.NewTimer(r.timeout)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case a := <-done:
			return finish(a)
		case <-ctx.Done():
		case <-timer.C:
			left, why := j.patience()
			if left > 0 {
				timer.Reset(left)
				continue
			}
			cancel(why)
		}
	}
	if sent, _ := j.state(); sent {
		timer.Reset(graceSent)
	} else {
		timer.Reset(grace)
	}
	select {
	case a := <-done:
		return finish(a)
	case <-timer.C:
	}
	if !j.close() {
		return finish(<-done) // it ended just now
	}
	r.stuck.Add(1)
	return none, context.Cause(ctx)
}

func (j *Job) run(op func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("rclone: %v", p)
		}
	}()
	return op()
}

// close ends the job's use of the caller's memory; it is true for the first to call it.
func (j *Job) close() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := !j.closed
	j.closed = true
	return first
}

// copy copies between the caller's memory and the job's own, and counts what has moved.
func (j *Job) copy(dst, src []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return 0, errLeft
	}
	return j.count(copy(dst, src)), nil
}

// copyOwn copies within the job's own memory, which it may do after the caller has left.
func (j *Job) copyOwn(dst, src []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count(copy(dst, src)), nil
}

func (j *Job) count(n int) int {
	j.moved = time.Now()
	if j.bytes += int64(n); j.bytes >= j.enough && !j.window.IsZero() {
		j.window, j.bytes = j.moved, 0
	}
	return n
}

// transfer begins to count bytes, unless that has begun. Limit is the layout's: half of it is
// enough where it is that low.
func (j *Job) transfer(limit rate.Limit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.window.IsZero() {
		j.window, j.bytes = time.Now(), 0
		j.enough = int64(min(slowest, float64(limit)/2) * j.timeout.Seconds())
	}
}

// alive notes a sign of life between transfers, and that the next one may take extra time.
func (j *Job) alive(extra time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moved, j.extra, j.window = time.Now(), extra, time.Time{}
}

// asked notes that the backend has asked for data.
func (j *Job) asked() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moved, j.used = time.Now(), true
}

// wait waits for one of our own limits. The clock of the job stands still meanwhile.
func (j *Job) wait(ctx context.Context, l *limiter, n int) error {
	j.mu.Lock()
	j.held = time.Now()
	j.mu.Unlock()
	err := wait(ctx, l, n)
	j.mu.Lock()
	defer j.mu.Unlock()
	took := time.Since(j.held)
	j.moved, j.window, j.held = j.moved.Add(took), later(j.window, took), time.Time{}
	return err
}

func later(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

// state says whether anything was asked for, and whether the caller has left.
func (j *Job) state() (used, left bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.used, j.closed
}

// patience is how long the job may go on as it does now; why is what there is to say then.
func (j *Job) patience() (left time.Duration, why error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.held.IsZero() {
		return time.Second, nil // we hold it ourselves: look again
	}
	left = time.Until(j.moved.Add(j.timeout + j.extra))
	why = fmt.Errorf("nothing moved for %s", seconds(j.timeout+j.extra))
	if !j.window.IsZero() {
		if l := time.Until(j.window.Add(j.timeout)); l < left {
			left = l
			why = fmt.Errorf("only %d bytes in %s", j.bytes, seconds(j.timeout))
		}
	}
	return left, why
}
