package object

import (
	"context"
	"slices"
)

// Explanation is where everything of an object is, as a look has found it.
type Explanation struct {
	Health   Health
	Data     int
	Parity   int
	Segments int // 0 where the content is in the manifest
	Holders  []Holder
	// Groups are the sets of backends, by name, over which segments lie; most
	// objects have one.
	Groups []Group
	// Manifest is where good copies of the manifest are, one of which is needed.
	Manifest Group
}

// Holder is what one backend has of an object.
type Holder struct {
	Name, Domain string
	Err          error // why it gave no answer, nil if it did
	Shards       int   // seen there, each where a record says so
	Bytes        int64 // of these
	Manifest     bool  // a good copy
}

// Group is a set of backends with one shard each of so many segments.
type Group struct {
	Backends []string
	Domains  []string // by backend
	Segments int
}

// Explain looks where an object is and changes nothing.
func (s *Store) Explain(ctx context.Context, key string, job *Job) (*Explanation, error) {
	v, inc, err := s.examine(ctx, key, job)
	if err != nil {
		return nil, err
	}
	m := inc.manifest
	e := &Explanation{Health: s.health(v, inc, nil, nil, len(inc.valid)), Data: m.Data, Parity: m.Parity, Segments: len(m.Segments)}
	for i, b := range s.pool {
		e.Holders = append(e.Holders, Holder{Name: b.Name, Domain: b.Domain, Err: v.errs[i], Manifest: slices.Contains(inc.valid, i)})
	}
	for i := range m.Segments {
		at := slices.DeleteFunc(s.matched(inc, i, func(at place) bool { return s.hasSize(inc, at) }), func(b int) bool { return b < 0 })
		for _, b := range at {
			e.Holders[b].Shards++
			e.Holders[b].Bytes += int64(shardSize(m, i))
		}
		e.group(s, at)
	}
	if m.Inlined() {
		e.group(s, inc.valid)
	}
	e.Manifest.fill(s, inc.valid)
	return e, nil
}

func (g *Group) fill(s *Store, at []int) {
	for _, b := range slices.Sorted(slices.Values(at)) {
		g.Backends = append(g.Backends, s.pool[b].Name)
		g.Domains = append(g.Domains, s.pool[b].Domain)
	}
}

// group counts a segment with the others that lie on the same backends.
func (e *Explanation) group(s *Store, at []int) {
	g := Group{Segments: 1}
	g.fill(s, at)
	for i := range e.Groups {
		if slices.Equal(e.Groups[i].Backends, g.Backends) {
			e.Groups[i].Segments++
			return
		}
	}
	e.Groups = append(e.Groups, g)
}

// Need is how many of a group's backends bring its segments back.
func (e *Explanation) Need() int {
	if e.Segments == 0 {
		return 1
	}
	return e.Data
}
