package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// fillTime is how long a new process may take to fill in what is missing.
const fillTime = 3 * time.Minute

// slow stores over six links with one of them nearly dead, and then lets a new
// process fill in what the slow one did not take.
func slow(b *bench, s sheet) ([]figure, error) {
	r, err := b.newRig(equal(6, speed{bytes: linkSpeed}))
	if err != nil {
		return nil, err
	}
	defer r.close()
	m, err := r.raid("raid", 4, 2, 5, r.onLinks(6, "raid"))
	if err != nil {
		return nil, err
	}
	size := b.bytes(256 * miB)
	source := filepath.Join(r.dir, "source")
	if err := writeRandom(source, size, b.seed); err != nil {
		return nil, err
	}
	for run := range b.runs {
		if err := slowOnce(s, m, source, size, run); err != nil {
			return nil, err
		}
	}
	return []figure{
		s.ours("all links at 10 MB/s", "s", "fast"),
		s.ours("one link at 0.2 MB/s", "s", "slow").over("all fast", s["fast"]).atMost(1.15),
		s.ours("files missing on the slow link at success", "", "missing"),
		s.ours("files there, filled in by a new process", "", "filled").over("files of another link", s["whole"]).atLeast(1),
		s.ours("time to fill in, the link being fast again", "s", "filling"),
	}, nil
}

func slowOnce(s sheet, m *remote, source string, size int64, run int) error {
	key := keyOf(size, "fast", run)
	fast, err := m.timedStore(key, source)
	if err != nil {
		return err
	}
	if err := m.with(func(p *session) error { return p.remove(key) }); err != nil {
		return err
	}
	draw := m.rig.b.draws(run).IntN(6)
	victim, other := m.rig.links[draw], m.rig.links[(draw+1)%6]
	victim.setSpeed(speed{bytes: 0.2 * mB})
	had, hadOther := victim.files(), other.files()
	key = keyOf(size, "slow", run)
	took, err := m.timedStore(key, source)
	victim.setSpeed(speed{bytes: linkSpeed})
	if err != nil {
		return err
	}
	whole := other.files() - hadOther
	s.add("fast", fast)
	s.add("slow", took)
	s.add("missing", float64(whole-(victim.files()-had)))
	err = m.with(func(p *session) error {
		filling, err := fillIn(p, key, func() bool { return victim.files()-had >= whole })
		s.add("filling", filling)
		return err
	})
	s.add("filled", float64(victim.files()-had))
	s.add("whole", float64(whole))
	if err != nil {
		return err
	}
	return m.with(func(p *session) error { return p.remove(key) })
}

// fillIn keeps a process busy until what it does behind its requests is done,
// or for as long as it may take.
func fillIn(p *session, key string, done func() bool) (took float64, err error) {
	begin := time.Now()
	for !done() && time.Since(begin) < fillTime {
		if err := p.do("CHECKPRESENT "+key, nil); err != nil {
			return 0, fmt.Errorf("while filling in: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begin).Seconds(), nil
}

// files counts those that the server has; one that is being written may be
// missed.
func (l *link) files() int {
	n, _, _ := countFiles(l.dir)
	return n
}
