package object

import (
	"sync"
	"time"
)

// pace is how fast a backend has been of late: enough to choose who is asked
// first.
type pace struct {
	mu      sync.Mutex
	rate    float64 // bytes per second, a moving mean; 0 = not known
	waiting int64   // bytes asked for and not yet there
	shunned time.Time
}

// shunTime is how long a backend that failed is asked last.
const shunTime = 30 * time.Second

// begin notes that size bytes are asked for; the function it returns notes
// how that ended.
func (p *pace) begin(size int) func(err error) {
	start := time.Now()
	p.mu.Lock()
	p.waiting += int64(size)
	p.mu.Unlock()
	return func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting -= int64(size)
		if err != nil {
			p.shunned = time.Now().Add(shunTime)
			return
		}
		got := float64(size) / max(time.Since(start).Seconds(), 1e-6)
		if p.rate == 0 {
			p.rate = got
		}
		p.rate += (got - p.rate) / 4
	}
}

// expected estimates how long size more bytes will take.
func (p *pace) expected(size int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	rate := p.rate
	if rate == 0 {
		rate = 100 << 20 // to be found out
	}
	seconds := float64(p.waiting+int64(size)) / rate
	if time.Now().Before(p.shunned) {
		seconds += 3600
	}
	return time.Duration(min(seconds, 1e6) * float64(time.Second))
}
