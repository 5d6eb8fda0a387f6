package object

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"shardraid/vault"
)

// Health is what was found of one object.
type Health struct {
	Key  string
	Size int64
	// Incarnation is the attempt to store it that was looked at.
	Incarnation vault.Incarnation
	// Shards are how many there should be; Missing of them are not where a
	// record says, on backends that answer, or have no backend of their own;
	// Damaged are there and are not what was stored; Silent are where nothing
	// can be read now.
	Shards, Missing, Damaged, Silent int
	// Spare is how many more backends may be lost for sure: m where the object
	// is whole, below 0 where it cannot be had now.
	Spare int
	// Copies are the backends that have a good copy of each of its records, of Need.
	Copies, Need int
	// Lost: it could not be had if all silent backends came back.
	Lost bool
	// Checked are the shards that were read, or compared by the hash that their
	// backend reports; of all others only the size was seen.
	Checked int
}

// Whole reports whether nothing is missing.
func (h Health) Whole() bool {
	return h.Missing+h.Damaged+h.Silent == 0 && h.Copies >= h.Need
}

// ScrubOptions say how deep a scrub looks.
type ScrubOptions struct {
	Hashes bool    // compare the hashes that backends report without reading
	Sample float64 // read this share of the shards that have no such hash, drawn anew each time
	Deep   bool    // read every shard
}

// Kind is the depth in a word, "" where sizes alone are looked at.
func (o ScrubOptions) Kind() string {
	switch {
	case o.Deep:
		return "deep"
	case o.Sample > 0:
		return "sample"
	case o.Hashes:
		return "hashes"
	}
	return ""
}

// Scrub looks what is left of an object and changes nothing. The error is that
// of what could not be looked at; ErrAbsent where there is no such object.
func (s *Store) Scrub(ctx context.Context, key string, o ScrubOptions, job *Job) (Health, error) {
	v, inc, err := s.examine(ctx, key, job)
	if err != nil {
		return Health{}, err
	}
	found := newScrubbed()
	for i := range inc.manifest.Segments {
		switch {
		case o.Deep:
			err = s.scrubSegment(ctx, v, inc, i, found, job)
		case o.Hashes || o.Sample > 0:
			err = s.sampleSegment(ctx, inc, i, o, found, job)
		}
		if err != nil {
			return Health{}, err
		}
	}
	h := s.health(v, inc, found.damaged, found.unread, len(inc.valid))
	h.Checked = found.checked
	return h, nil
}

// examine looks with proof at all that there is of an object, and returns what
// a reader would take.
func (s *Store) examine(ctx context.Context, key string, job *Job) (*view, *incarnation, error) {
	v, err := s.look(ctx, s.vault.ObjectID(key), looking{prove: true, copies: len(s.pool), patience: s.patience}, job)
	if err != nil {
		return nil, nil, err
	}
	if err := s.quorum(v, nil); err != nil {
		return nil, nil, err
	}
	inc, err := s.best(v)
	return v, inc, err
}

// best returns the incarnation that a reader would take, be it lost, or why
// there is none.
func (s *Store) best(v *view) (*incarnation, error) {
	if list := s.candidates(v); len(list) > 0 {
		return list[0], nil
	}
	for _, inc := range v.sorted() {
		if st, err := s.judge(v, inc); st == unknown {
			return nil, err
		}
	}
	if err := s.quorum(v, v.broken(s.diedHere(v.id))); err != nil {
		return nil, err
	}
	return nil, ErrAbsent
}

// scrubbed is what a scrub has found of shards beyond what is listed.
type scrubbed struct {
	damaged, unread map[place]bool
	checked         int
}

func newScrubbed() *scrubbed { return &scrubbed{damaged: map[place]bool{}, unread: map[place]bool{}} }

// scrubSegment reads all shards of a segment and notes those that are damaged,
// and those that cannot be read.
func (s *Store) scrubSegment(ctx context.Context, v *view, inc *incarnation, i int, found *scrubbed, job *Job) error {
	f, release, err := s.openFetch(ctx, v, inc, i, job)
	if err != nil {
		return err
	}
	defer release()
	f.readAll(ctx) // what is missing shows in the listing
	for _, src := range f.spoiled {
		found.damaged[src.at] = true
	}
	for _, src := range f.unread {
		found.unread[src.at] = true
	}
	found.checked += f.count() + len(f.spoiled)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// health counts what a look has found of an incarnation, of whose manifest there
// are so many good copies.
func (s *Store) health(v *view, inc *incarnation, damaged, unread map[place]bool, copies int) Health {
	m := inc.manifest
	h := Health{Key: m.Key, Size: m.Size, Incarnation: inc.id, Spare: m.Parity, Copies: copies, Need: s.parity + 1}
	for i, seg := range m.Segments {
		h.Shards += len(seg.Shards)
		good, silent := 0, 0
		has := s.matched(inc, i, func(at place) bool { return s.hasSize(inc, at) && !damaged[at] && !unread[at] })
		for j := range seg.Shards {
			places := s.places(inc, i, j)
			switch {
			case has[j] >= 0:
				good++
			case slices.ContainsFunc(places, func(at place) bool { return damaged[at] }):
				h.Damaged++
			case slices.ContainsFunc(places, func(at place) bool { return unread[at] || s.silent(v, at.backend) }):
				silent++
			default:
				h.Missing++
			}
		}
		h.Silent += silent
		h.Spare = min(h.Spare, good-m.Data)
		h.Lost = h.Lost || good+silent < m.Data
	}
	for _, moves := range s.poorMoves(v, inc, nil) {
		h.Copies = min(h.Copies, len(moves[0].holders))
	}
	h.Spare = min(h.Spare, h.Copies-1)
	if s.quorum(v, nil) != nil { // they may also have the records that say where shards are now
		h.Lost = false
	}
	return h
}

// silent reports whether a backend gave no answer and may still have what it
// had: it is not given up.
func (s *Store) silent(v *view, backend int) bool {
	return v.errs[backend] != nil && v.errs[backend] != errGivenUp
}

func (h Health) String() string {
	switch {
	case h.Lost:
		return "lost"
	case h.Whole():
		return "whole"
	}
	var parts []string
	add := func(n int, format string, args ...any) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(h.Missing, "%d of %d shards missing", h.Missing, h.Shards)
	add(h.Damaged, "%d of %d shards damaged", h.Damaged, h.Shards)
	add(h.Silent, "%d of %d shards on silent backends", h.Silent, h.Shards)
	add(h.Need-h.Copies, "%d of %d copies of its records", h.Copies, h.Need)
	text := strings.Join(parts, ", ")
	if h.Spare < 0 {
		return text + ": not to be had now"
	}
	return text + fmt.Sprintf(": %d more backends may be lost", h.Spare)
}
