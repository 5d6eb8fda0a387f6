package backends

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// How long a call may still tidy up after its context has ended.
	grace = time.Second
	// Calls of one backend that may be left behind before it is not used any more.
	maxStuck = 16
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
	mu     sync.Mutex
	moved  time.Time     // last sign of life
	extra  time.Duration // patience beyond the timeout
	used   bool          // the backend has asked for data
	closed bool          // over or left behind: the caller's memory must not be touched
}

// call runs op and returns when it does. It returns without it, soon after ctx has ended or
// nothing has moved for the timeout, if op does not react to that.
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
	j := &Job{moved: time.Now()}
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
			if left := j.patience(r.timeout); left > 0 {
				timer.Reset(left)
				continue
			}
			cancel(fmt.Errorf("nothing moved for %v", r.timeout))
		}
	}
	timer.Reset(grace)
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

// copy copies between the caller's memory and the job's own.
func (j *Job) copy(dst, src []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return 0, errLeft
	}
	j.moved = time.Now()
	return copy(dst, src), nil
}

// alive notes a sign of life, and that the next one may take extra time.
func (j *Job) alive(extra time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moved, j.extra, j.used = time.Now(), extra, true
}

// state says whether anything was asked for, and whether the caller has left.
func (j *Job) state() (used, left bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.used, j.closed
}

func (j *Job) patience(timeout time.Duration) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return time.Until(j.moved.Add(timeout + j.extra))
}
