package object

import (
	"errors"
	"slices"
	"sync"

	"shardraid/vault"
)

// suspicion notices a backend that has lost much at once although its marker
// is there: a listing that lags, a folder restored from an old state, a sick
// server. Its "not found" is then no proof, and nothing is rebuilt in a storm.
type suspicion struct {
	mu     sync.Mutex
	recent []sight // the last objects that should have shards there
}

type sight struct {
	object  vault.ObjectID
	missing bool
}

const (
	// sights is how many objects are remembered, and manyMissing how many of
	// them must lack all their shards.
	sights      = 16
	manyMissing = 8
)

var errSuspect = errors.New("it has lost most of what was looked for, all at once: look whether it is the right and whole account; if that is all that is left of it, say so to the repair")

// saw notes whether an object's shards were there, and returns whether the
// backend is suspect now. What was missing once counts as that, though it was
// brought back: else a storm of repairs would hide itself.
func (p *suspicion) saw(id vault.ObjectID, missing bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.recent {
		if s.object == id {
			missing = missing || s.missing
			p.recent = append(p.recent[:i], p.recent[i+1:]...)
			break
		}
	}
	p.recent = append(p.recent, sight{id, missing})
	if len(p.recent) > sights {
		p.recent = p.recent[1:]
	}
	n := 0
	for _, s := range p.recent {
		if s.missing {
			n++
		}
	}
	return n >= manyMissing && 2*n > len(p.recent)
}

// suspect compares what the records say with what was listed. A backend that
// lacks too much of late has given no answer that counts.
func (s *Store) suspect(v *view, emptied []int, job *Job) {
	should, has := map[int]bool{}, map[int]bool{}
	for _, inc := range v.incs {
		if inc.manifest == nil || inc.inDoubt() {
			continue
		}
		for at := range inc.shards {
			has[at.backend] = true
		}
		for i, seg := range inc.manifest.Segments {
			for j := range seg.Shards {
				places := s.places(inc, i, j)
				if slices.ContainsFunc(places, func(at place) bool { return s.hasSize(inc, at) }) {
					continue
				}
				for _, at := range places {
					should[at.backend] = v.errs[at.backend] == nil
				}
			}
		}
	}
	for i, b := range s.pool {
		if !has[i] && !should[i] || slices.Contains(emptied, i) {
			continue
		}
		if b.suspicion.saw(v.id, !has[i]) && !has[i] {
			v.errs[i] = errSuspect
			v.silent++
			job.debug("backend %s: %v", b.Name, errSuspect)
		}
	}
}
