package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
)

// The least that a slow link must take is one of five shards of each object:
// 3 links of 2 MB/s take 6 MB/s of them, and data is three times that.
const unequalIdeal = 18 // MB/s

// unequal stores several objects at once over links of two speeds.
func unequal(b *bench, s sheet) ([]figure, error) {
	r, err := b.newRig(append(equal(4, speed{bytes: 15 * mB}), equal(3, speed{bytes: 2 * mB})...))
	if err != nil {
		return nil, err
	}
	defer r.close()
	m, err := r.raid("pool", 3, 2, 5, r.onLinks(7, "pool"))
	if err != nil {
		return nil, err
	}
	size, objects := b.bytes(20*miB), b.count(20, 4)
	sources := filepath.Join(r.dir, "sources")
	source := func(i int) string { return filepath.Join(sources, fmt.Sprint(i)) }
	for i := range objects {
		if err := writeRandom(source(i), size, b.seed+uint64(i)); err != nil {
			return nil, err
		}
	}
	data := float64(size) * float64(objects) / mB
	for run := range b.runs {
		took, err := seconds(func() error {
			return r.run(r.dir, "rclone", "copy", "--transfers", "4", sources, fmt.Sprintf("link1:plain/%d", run))
		})
		if err != nil {
			return nil, err
		}
		s.add("one", data/took)
		key := func(i int) string { return keyOf(size, fmt.Sprint(run), i) }
		err = m.with(func(p *session) error {
			took, err := seconds(func() error { return atOnce(objects, 4, func(i int) error { return p.store(key(i), source(i)) }) })
			s.add("pool", data/took)
			return errors.Join(err, atOnce(objects, 4, func(i int) error { return p.remove(key(i)) }))
		})
		if err != nil {
			return nil, err
		}
	}
	return []figure{
		s.peers("one link of 15 MB/s, rclone copy", "MB/s", "one"),
		s.ours("3 of 5 over 7 up", "MB/s", "pool").over("the ideal, 18 MB/s", same(b.runs, unequalIdeal)).atLeast(15.0 / 18),
		s.ours("3 of 5 over 7 up, beside one fast link", "MB/s", "pool").over("one link, rclone", s["one"]),
	}, nil
}

// atOnce calls f for 0 to n-1, so many at once, until one fails.
func atOnce(n, jobs int, f func(int) error) error {
	var wg sync.WaitGroup
	work, errs := make(chan int), make(chan error, jobs)
	for range jobs {
		wg.Go(func() {
			for i := range work {
				if err := f(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case work <- i:
		case err = <-errs:
		}
	}
	close(work)
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}
