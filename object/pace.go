package object

import (
	"errors"
	"sync"
	"time"
)

// pace is how fast a backend has been of late, in one direction: enough to
// choose who is asked first.
type pace struct {
	mu       sync.Mutex
	bytes    float64 // that have come, the older the less they count
	seconds  float64 // in which something was under way, likewise
	running  int
	last     time.Time // that far the time is counted
	waiting  int64     // bytes asked for and not yet there
	shunned  time.Time
	measured bool // by this process
}

const (
	// shunTime is how long a backend that failed is asked last.
	shunTime = 30 * time.Second
	// unknownRate is what a backend is taken for until it was asked.
	unknownRate = 100 << 20
	// goodFor is how long it is known how fast a backend is: then it gets
	// another chance.
	goodFor = 10 * time.Minute
	// forgetful is the share of what was known that each answer replaces; a
	// small one, which tells of the way alone, replaces less.
	forgetful      = 0.2
	forgetfulBytes = 4 << 20
)

// begin notes that size bytes are on their way; the function it returns notes
// how that ended. What was not needed any more tells nothing.
func (p *pace) begin(size int) func(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == 0 {
		p.last = time.Now()
	}
	p.running++
	p.waiting += int64(size)
	return func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running--
		p.waiting -= int64(size)
		now := time.Now()
		took := now.Sub(p.last).Seconds()
		switch {
		case errors.Is(err, errNotNeeded):
			return
		case err != nil:
			p.last, p.shunned = now, now.Add(shunTime)
			return
		}
		keep := 1 - min(forgetful, float64(size)/forgetfulBytes)
		p.bytes = p.bytes*keep + float64(size)
		p.seconds = p.seconds*keep + max(took, 1e-6)
		p.last, p.shunned, p.measured = now, time.Time{}, true
	}
}

// reserve notes that so many bytes will come, or fewer if below zero.
func (p *pace) reserve(size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting += size
}

// known reports whether anything was measured yet.
func (p *pace) known() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes > 0
}

// late notes that an answer takes too long.
func (p *pace) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shunned = time.Now().Add(shunTime)
}

// expected estimates how long size more bytes will take, after all that is on
// its way.
func (p *pace) expected(size int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	rate := float64(unknownRate)
	if p.bytes > 0 && (p.running > 0 || time.Since(p.last) < goodFor) {
		rate = p.bytes / p.seconds
	}
	seconds := float64(p.waiting+int64(size)) / rate
	if time.Now().Before(p.shunned) {
		seconds += 3600
	}
	return time.Duration(min(seconds, 1e6) * float64(time.Second))
}
