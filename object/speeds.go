package object

import "time"

// Speed is how fast a backend is, in bytes per second, 0 where that is not
// known. It decides who is asked first and who gets a shard, and nothing else.
type Speed struct {
	Up   float64 `json:"up"`
	Down float64 `json:"down"`
}

// Speeds returns what this process has measured of late, by backend id, for
// Expect in another one.
func (s *Store) Speeds() map[string]Speed {
	all := map[string]Speed{}
	for _, b := range s.pool {
		if is := (Speed{b.upload.rate(), b.pace.rate()}); is != (Speed{}) {
			all[b.ID] = is
		}
	}
	return all
}

// Expect tells what was measured before; what is measured from now on soon
// counts more.
func (s *Store) Expect(speeds map[string]Speed) {
	for _, b := range s.pool {
		b.upload.expect(speeds[b.ID].Up)
		b.pace.expect(speeds[b.ID].Down)
	}
}

func (p *pace) rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.measured || time.Since(p.last) > goodFor {
		return 0
	}
	return p.bytes / p.seconds
}

// expect takes a rate for that of the last second.
func (p *pace) expect(rate float64) {
	if !(rate >= 1 && rate < 1e12) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes, p.seconds, p.last = rate, 1, time.Now()
}
