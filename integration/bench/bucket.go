package main

import (
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A bucket holds this much of its rate, so that timers that fire late cost no
// speed; an idle link catches up on no more than this.
const (
	burst      = 10 * time.Millisecond
	leastBurst = 8 << 10
)

// bucket lets bytes through at a rate, which may change at any time.
type bucket struct {
	limiter *rate.Limiter

	mu   sync.Mutex
	open chan struct{} // closed while bytes may pass
}

// newBucket returns a bucket of so many bytes per second, 0 for no limit.
func newBucket(speed float64) *bucket {
	b := &bucket{limiter: rate.NewLimiter(0, 0), open: make(chan struct{})}
	b.setSpeed(speed)
	close(b.open)
	return b
}

func (b *bucket) setSpeed(speed float64) {
	size, limit := 1<<20, rate.Inf
	if speed > 0 {
		size, limit = max(leastBurst, int(speed*burst.Seconds())), rate.Limit(speed)
	}
	b.limiter.SetBurst(size)
	b.limiter.SetLimit(limit)
}

// shut lets nothing through until the bucket is opened again.
func (b *bucket) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.open:
		b.open = make(chan struct{})
	default:
	}
}

func (b *bucket) reopen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.open:
	default:
		close(b.open)
	}
}

// chunk is how many bytes should pass at once.
func (b *bucket) chunk() int { return b.limiter.Burst() }

// wait returns when n bytes may pass, or with an error when done is closed.
func (b *bucket) wait(done <-chan struct{}, n int) error {
	for {
		b.mu.Lock()
		open := b.open
		b.mu.Unlock()
		select {
		case <-open:
		case <-done:
			return net.ErrClosed
		}
		if n == 0 {
			return nil
		}
		now := time.Now()
		part := min(n, b.limiter.Burst())
		r := b.limiter.ReserveN(now, part)
		if !r.OK() {
			continue // the bucket has just become smaller
		}
		n -= part
		if delay := r.DelayFrom(now); delay > 0 {
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-done:
				timer.Stop()
				return net.ErrClosed
			}
		}
	}
}
