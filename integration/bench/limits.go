package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// limits stores objects by two processes, eight at once each, over three
// backends that the layout limits to 1 MiB/s of upload.
func limits(b *bench, s sheet) ([]figure, error) {
	r, err := b.newRig(equal(3, speed{}))
	if err != nil {
		return nil, err
	}
	defer r.close()
	text := "shardraid: 1\ndata: 2\nparity: 1\nbackends:\n"
	for _, l := range r.links {
		text += fmt.Sprintf("  - {name: %s, remote: \"%s:raid\", limits: {upload: 1MiB/s}}\n", l.name, l.name)
	}
	layout := filepath.Join(r.dir, "layout.yaml")
	if err := os.WriteFile(layout, []byte(text), 0o644); err != nil {
		return nil, err
	}
	m, err := r.newRemote("raid", filepath.Join(r.b.bin, "git-annex-remote-shardraid"), map[string]string{"layout": layout})
	if err != nil {
		return nil, err
	}
	source := filepath.Join(r.dir, "source")
	if err := writeRandom(source, miB, b.seed); err != nil {
		return nil, err
	}
	for run := range b.runs {
		before, _ := r.bytes()
		took, err := seconds(func() error { return storeInTwo(m, source, run, b.count(32, 4)) })
		if err != nil {
			return nil, err
		}
		after, _ := r.bytes()
		s.add("rate", float64(after-before)/3/took/miB)
	}
	return []figure{
		s.ours("upload to each of 3 backends limited to 1 MiB/s, two processes, 8 jobs each", "MiB/s", "rate").atMost(1.1),
		s.ours("the same, not below", "MiB/s", "rate").atLeast(0.9),
	}, nil
}

// storeInTwo stores so many objects, half of them by each of two processes.
func storeInTwo(m *remote, source string, run, objects int) error {
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i := range errs {
		both.Go(func() {
			errs[i] = m.with(func(p *session) error {
				return atOnce(objects/2, 8, func(n int) error { return p.store(keyOf(miB, fmt.Sprintf("limits%d-%d", run, i), n), source) })
			})
		})
	}
	both.Wait()
	return errors.Join(errs...)
}
