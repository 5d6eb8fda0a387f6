package main

import (
	"fmt"
	"path/filepath"
	"time"
)

const (
	smallTrip = 50 * time.Millisecond
	smallJobs = 8
	copies    = 3 // of a small object at m = 2
)

// smallRTT stores and gets many small objects at a long round trip.
func smallRTT(b *bench, s sheet) ([]figure, error) {
	r, err := b.newRig(equal(6, speed{bytes: linkSpeed, rtt: smallTrip}))
	if err != nil {
		return nil, err
	}
	defer r.close()
	m, err := r.raid("raid", 4, 2, 6, r.onLinks(6, "raid"))
	if err != nil {
		return nil, err
	}
	peer, err := r.builtin("peer", "link1", "peer")
	if err != nil {
		return nil, err
	}
	source := filepath.Join(r.dir, "source")
	if err := writeRandom(source, kiB, b.seed); err != nil {
		return nil, err
	}
	t := &smallTrial{r, source, b.count(1000, 16)}
	for run := range b.runs {
		if err := t.measure(s, "ours", m, run, t.objects, smallJobs); err != nil {
			return nil, err
		}
		if err := t.measure(s, "peer", peer, run, max(t.objects/10, 4), 1); err != nil {
			return nil, err
		}
	}
	note := "rclone's WebDAV pacer_min_sleep is " + pacerMinSleep + " instead of 10ms, for all"
	return []figure{
		s.ours("store: objects per second", "/s", "ours up").over("8 jobs / (r * 50 ms)", s["ours up ideal"]).atLeast(0.8).note(note),
		s.ours("store: round trips r of one object alone", "", "ours up trips"),
		s.ours("store: backend calls per object", "", "ours up calls"),
		s.ours("store: files per copy of an object", "", "ours files").atMost(1),
		s.ours("get: objects per second", "/s", "ours down").over("8 jobs / (r * 50 ms)", s["ours down ideal"]).atLeast(0.8),
		s.ours("get: round trips r of one object alone", "", "ours down trips"),
		s.ours("get: backend calls per object", "", "ours down calls"),
		s.peers("rclone gitannex over one link, store", "/s", "peer up"),
		s.ours("store, beside it", "/s", "ours up").over("rclone gitannex", s["peer up"]),
		s.peers("rclone gitannex over one link, get", "/s", "peer down"),
		s.ours("get, beside it", "/s", "ours down").over("rclone gitannex", s["peer down"]),
	}, nil
}

type smallTrial struct {
	rig     *rig
	source  string
	objects int
}

// measure stores in one process and gets in another.
func (t *smallTrial) measure(s sheet, name string, m *remote, run, objects, jobs int) error {
	back := filepath.Join(t.rig.dir, "back", name, fmt.Sprint(run))
	if err := mkdir(back); err != nil {
		return err
	}
	key := func(i int) string { return keyOf(kiB, name+fmt.Sprint(run), i) }
	files := t.files()
	err := m.with(func(p *session) error {
		return t.direction(s, name+" up", objects, jobs, func(i int) error { return p.store(key(i), t.source) })
	})
	if err != nil {
		return err
	}
	s.add(name+" files", float64(t.files()-files)/float64(objects+alone)/copies)
	err = m.with(func(p *session) error {
		return t.direction(s, name+" down", objects, jobs, func(i int) error {
			return p.retrieve(key(i), filepath.Join(back, fmt.Sprint(i)), nil)
		})
	})
	if err != nil {
		return err
	}
	for i := range objects + alone {
		if err := sameFiles(t.source, filepath.Join(back, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return removeAll(back)
}

// alone is how many objects are done by themselves to find r: one that opens
// connections, and as many before the others as after them.
const alone = 7

// direction measures one object alone and many at once.
func (t *smallTrial) direction(s sheet, name string, objects, jobs int, do func(int) error) error {
	var singles []float64
	single := func(from, to int) error {
		for i := from; i < to; i++ {
			took, err := seconds(func() error { return do(i) })
			if err != nil {
				return err
			}
			if i > 0 {
				singles = append(singles, took)
			}
		}
		return nil
	}
	if err := single(0, alone/2+1); err != nil {
		return err
	}
	before := t.rig.requests()
	took, err := seconds(func() error { return atOnce(objects, jobs, func(i int) error { return do(alone + i) }) })
	if err != nil {
		return err
	}
	calls := t.rig.requests() - before
	if err := single(alone/2+1, alone); err != nil {
		return err
	}
	trips := median(singles) / smallTrip.Seconds()
	s.add(name, float64(objects)/took)
	s.add(name+" trips", trips)
	s.add(name+" ideal", float64(jobs)/(trips*smallTrip.Seconds()))
	s.add(name+" calls", float64(calls)/float64(objects))
	return nil
}

// files counts those of all servers.
func (t *smallTrial) files() (n int) {
	for _, l := range t.rig.links {
		n += l.files()
	}
	return n
}
