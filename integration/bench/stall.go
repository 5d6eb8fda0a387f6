package main

import (
	"path/filepath"
	"sync"
)

// stall gets a large object while links fail.
func stall(b *bench, s sheet) ([]figure, error) {
	r, err := b.newRig(equal(6, speed{bytes: linkSpeed}))
	if err != nil {
		return nil, err
	}
	defer r.close()
	m, err := r.raid("raid", 4, 2, 6, r.onLinks(6, "raid"))
	if err != nil {
		return nil, err
	}
	t := &stallTrial{m: m, size: b.bytes(giB), key: keyOf(b.bytes(giB), "stall", 0), source: filepath.Join(r.dir, "source")}
	if err := writeRandom(t.source, t.size, b.seed); err != nil {
		return nil, err
	}
	if _, err := m.timedStore(t.key, t.source); err != nil {
		return nil, err
	}
	for run := range b.runs {
		if err := t.run(s, run); err != nil {
			return nil, err
		}
	}
	const limit = "what the remaining links allow"
	return []figure{
		s.ours("all links well", "s", "healthy").over(limit, s["healthy ideal"]),
		s.ours("one stalls, one falls to a tenth, at a quarter", "s", "slowed").over(limit, s["slowed ideal"]).atMost(1.22),
		s.ours("the same beside all well", "s", "slowed").over("all links well", s["healthy"]),
		s.ours("bytes more than the object, all well", "%", "healthy extra").atMost(10),
		s.ours("bytes more than the object, one stalled, one slow", "%", "slowed extra").atMost(10),
		s.ours("one is killed at half, one stalls at three quarters", "s", "killed").over(limit, s["killed ideal"]).atMost(1.22),
		s.ours("bytes more than the object, one killed, one stalled", "%", "killed extra").atMost(10),
	}, nil
}

type stallTrial struct {
	m           *remote
	size        int64
	key, source string
}

// event is what happens to a link when a get has come so far.
type event struct {
	at     float64 // of the object
	remain float64 // bytes per second of all links afterwards
	do     func()
}

func (t *stallTrial) run(s sheet, run int) error {
	order := t.m.rig.b.draws(run).Perm(6)
	first, second := t.m.rig.links[order[0]], t.m.rig.links[order[1]]
	if err := t.get(s, "healthy", nil); err != nil {
		return err
	}
	err := t.get(s, "slowed", []event{{0.25, 4.1 * linkSpeed, func() {
		first.stallAfter(miB / 4)
		second.setSpeed(speed{bytes: linkSpeed / 10})
	}}})
	first.resume()
	second.setSpeed(speed{bytes: linkSpeed})
	if err != nil {
		return err
	}
	err = t.get(s, "killed", []event{{0.5, 5 * linkSpeed, first.kill}, {0.75, 4 * linkSpeed, second.stall}})
	second.resume()
	if err != nil {
		return err
	}
	return first.revive()
}

// get measures one get with events, and what the links would allow at best.
func (t *stallTrial) get(s sheet, name string, events []event) error {
	var mu sync.Mutex
	todo := events
	progress := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		for len(todo) > 0 && float64(n) >= todo[0].at*float64(t.size) {
			todo[0].do()
			todo = todo[1:]
		}
	}
	_, before := t.m.rig.bytes()
	took, err := t.m.timedGet(t.key, t.source, progress)
	if err != nil {
		return err
	}
	_, after := t.m.rig.bytes()
	s.add(name, took)
	s.add(name+" ideal", idealTime(float64(t.size), 6*linkSpeed, events))
	s.add(name+" extra", 100*(float64(after-before)/float64(t.size)-1))
	return nil
}

// idealTime is what size bytes take over links that change at events.
func idealTime(size, speed float64, events []event) float64 {
	time, at := 0.0, 0.0
	for _, e := range events {
		time += (e.at - at) * size / speed
		at, speed = e.at, e.remain
	}
	return time + (1-at)*size/speed
}
