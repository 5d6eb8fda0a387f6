package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const mostMemory = 256 // MiB, promised in the README

// memoryUse measures the peak of memory on local disks, and the calls at
// servers whose links have no limit.
func memoryUse(b *bench, s sheet) ([]figure, error) {
	sizes := []struct {
		name string
		size int64
		runs int
	}{{"64 MiB", b.bytes(64 * miB), b.runs}, {"1 GiB", b.bytes(giB), b.runs}}
	if b.big {
		sizes = append(sizes, struct {
			name string
			size int64
			runs int
		}{"16 GiB", b.bytes(16 * giB), 1})
	}
	r, err := b.newRig(equal(6, speed{}))
	if err != nil {
		return nil, err
	}
	defer r.close()
	disks, err := r.raid("disks", 4, 2, 6, r.onDisk(6, "disks"))
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, size := range sizes {
		for run := range size.runs {
			if err := peaks(s, disks, size.name, size.size, run); err != nil {
				return nil, err
			}
		}
		figures = append(figures,
			s.ours("peak memory, store "+size.name, "MiB", size.name+" up").atMost(mostMemory),
			s.ours("peak memory, get "+size.name, "MiB", size.name+" down").atMost(mostMemory))
	}
	calls, err := callsPerGiB(b, s, r)
	return append(figures, calls...), err
}

// peaks stores and gets an object, in a process each. Only small ones are of
// random bytes; the others are sparse.
func peaks(s sheet, m *remote, name string, size int64, run int) error {
	source, back := filepath.Join(m.rig.dir, "source"), m.rig.back()
	defer os.Remove(source)
	defer os.Remove(back)
	if err := writeRandom(source, min(size, giB), m.rig.b.seed); err != nil {
		return err
	}
	if err := os.Truncate(source, size); err != nil {
		return err
	}
	key := keyOf(size, "memory", run)
	measured := func(what string, do func(*session) error) error {
		return m.with(func(p *session) error {
			err := do(p)
			peak, peakErr := p.peak()
			s.add(what, peak)
			return errors.Join(err, peakErr)
		})
	}
	if err := measured(name+" up", func(p *session) error { return p.store(key, source) }); err != nil {
		return err
	}
	if err := measured(name+" down", func(p *session) error { return p.retrieve(key, back, nil) }); err != nil {
		return err
	}
	if err := sameFiles(source, back); err != nil {
		return err
	}
	return m.with(func(p *session) error { return p.remove(key) })
}

// callsPerGiB counts what the servers are asked for a store and a get.
func callsPerGiB(b *bench, s sheet, r *rig) ([]figure, error) {
	m, err := r.raid("servers", 4, 2, 6, r.onLinks(6, "servers"))
	if err != nil {
		return nil, err
	}
	size, source := b.bytes(giB), filepath.Join(r.dir, "source")
	if err := writeRandom(source, size, b.seed); err != nil {
		return nil, err
	}
	var up, down string
	for run := range b.runs {
		key := keyOf(size, "calls", run)
		counted := func(name string, do func() error) (string, error) {
			before := r.calls()
			err := do()
			n, text := newCalls(before, r.calls())
			s.add(name, float64(n)*giB/float64(size))
			return text, err
		}
		if up, err = counted("calls up", func() error { _, err := m.timedStore(key, source); return err }); err != nil {
			return nil, err
		}
		if down, err = counted("calls down", func() error { _, err := m.timedGet(key, source, nil); return err }); err != nil {
			return nil, err
		}
		if err := m.with(func(p *session) error { return p.remove(key) }); err != nil {
			return nil, err
		}
	}
	return []figure{
		s.ours("calls per GiB, store", "", "calls up").note(up + " (last run, not scaled)"),
		s.ours("calls per GiB, get", "", "calls down").note(down + " (last run, not scaled)"),
	}, nil
}

// newCalls are the calls that have been added, in all and by method.
func newCalls(before, after map[string]tally) (n int, text string) {
	var parts []string
	for _, method := range slices.Sorted(maps.Keys(after)) {
		if more := after[method].Requests - before[method].Requests; more > 0 {
			n += more
			parts = append(parts, fmt.Sprintf("%d %s", more, method))
		}
	}
	return n, strings.Join(parts, ", ")
}
