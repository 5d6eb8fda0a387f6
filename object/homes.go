package object

import (
	"slices"
	"sync"

	"shardraid/layout"
)

// homes is which backend gets which shard of a segment.
type homes struct {
	store *Store
	seen  *view
	own   []int // shard numbers
	was   []int // at the beginning, by shard

	mu   sync.Mutex
	at   []int        // by shard; -1 where no backend takes it
	no   map[int]bool // backends that have a shard of this segment, or failed
	slow map[int]bool // shards whose backend was given up for now
}

// homes returns where a segment's shards shall go, as learned so far.
func (p *put) homes() *homes {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &homes{store: p.store, seen: p.seen, was: slices.Clone(p.own), at: slices.Clone(p.own), no: map[int]bool{}, slow: map[int]bool{}}
	for j, at := range h.at {
		h.own = append(h.own, j)
		h.no[at] = true
	}
	for _, at := range p.failed {
		h.no[at] = true
	}
	return h
}

// keep remembers for the next segments which backends failed, and why. It
// returns all causes so far.
func (p *put) keep(h *homes, causes []Cause) []Cause {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.causes = append(p.causes, causes...)
	for j, at := range h.at {
		if at != h.was[j] && p.own[j] == h.was[j] && !h.slow[j] { // nobody has learned of it before
			p.failed = append(p.failed, p.own[j])
			p.own[j] = at
		}
	}
	return slices.Clone(p.causes)
}

// late says that a shard's backend has not failed, and is too slow now.
func (h *homes) late(j int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slow[j] = true
}

// again returns the shards that no backend has taken and whose own was only too
// slow, and gives them back to it.
func (h *homes) again() (late []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for j := range h.slow {
		if h.at[j] < 0 {
			h.at[j] = h.was[j]
			late = append(late, j)
		}
	}
	return late
}

func (h *homes) of(j int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at[j]
}

// spare gives shard j, of so many bytes, another backend, since its own has
// failed: one that has no shard of this segment, and no more than m of them may
// share a domain.
func (h *homes) spare(j, size int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at[j] = -1
	perDomain := map[string]int{}
	for _, at := range h.at {
		if at >= 0 {
			perDomain[h.store.pool[at].Domain]++
		}
	}
	for i, b := range h.store.pool {
		if !h.no[i] && b.State == layout.Active && h.seen.errs[i] == nil && b.hasRoom(size) && perDomain[b.Domain] < h.store.parity {
			h.no[i] = true
			h.at[j] = i
			break
		}
	}
	return h.at[j]
}
