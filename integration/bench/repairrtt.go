package main

import (
	"fmt"
	"path/filepath"
)

// repairRTT repairs many small objects at a round trip.
func repairRTT(b *bench, s sheet) ([]figure, error) {
	files := b.count(1000, 10)
	for run := range b.runs {
		if err := repairRTTOnce(b, s, run, files); err != nil {
			return nil, err
		}
	}
	return []figure{
		s.ours(fmt.Sprintf("repair of %d files of 1 KiB after the loss of one of 6 accounts", files), "files/s", "rate").atLeast(20),
	}, nil
}

func repairRTTOnce(b *bench, s sheet, run, files int) error {
	r, err := b.newRig(equal(6, speed{}))
	if err != nil {
		return err
	}
	defer r.close()
	e := &estate{rig: r, sheet: s, dir: filepath.Join(r.dir, "repo"), files: files, states: map[int]string{}}
	for i := 1; i <= 6; i++ {
		e.states[i] = "active"
	}
	if err := e.settle(b, run, kiB); err != nil {
		return err
	}
	r.links[0].kill()
	for _, l := range r.links {
		l.setSpeed(speed{rtt: smallTrip})
	}
	if err := e.measure("small", "repair", "--lost", "b1"); err != nil {
		return err
	}
	times := s["small time"]
	s.add("rate", float64(files)/times[len(times)-1])
	return nil
}
