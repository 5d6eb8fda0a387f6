package layout

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// Candidate is a backend that an object could be stored on.
type Candidate struct {
	ID     string  // of the backend
	Weight float64 // its share of objects relative to the others, such as its free space
	Domain string  // of the backend
	Class  int     // those of a lower one are preferred
}

// draw is a candidate's place in one object's order; it depends on nothing but
// the object and the candidate, so others coming or going do not change it.
type draw struct {
	index int
	id    string
	hash  uint64
	score float64
}

// Order returns the indexes of the candidates in the object's own order:
// weighted rendezvous hashing. With h = the first 53 bits of
// SHA-256(object id, backend id), plus a half, over 2^53, the candidate with the
// highest -weight/ln(h) comes first. Weights that are not above 0 come last, by h.
// Adding or removing a candidate does not change the order of the others.
func Order(object [32]byte, candidates []Candidate) []int {
	draws := make([]draw, len(candidates))
	for i, c := range candidates {
		draws[i] = newDraw(object, i, c)
	}
	slices.SortStableFunc(draws, func(a, b draw) int {
		return cmp.Or(
			cmp.Compare(b.score, a.score),
			cmp.Compare(b.hash, a.hash),
			cmp.Compare(a.id, b.id),
		)
	})
	order := make([]int, len(draws))
	for i, d := range draws {
		order[i] = d.index
	}
	return order
}

func newDraw(object [32]byte, index int, c Candidate) draw {
	sum := sha256.Sum256(append(object[:], c.ID...))
	hash := binary.BigEndian.Uint64(sum[:]) >> 11
	d := draw{index: index, id: c.ID, hash: hash, score: -1} // below every score
	if c.Weight > 0 {
		// The half keeps h off 0 and 1. Processors may differ in the last bit
		// of a logarithm; that would only make two of them prefer another
		// backend, and where a shard went stands in the manifest.
		h := (float64(hash) + 0.5) / (1 << 53)
		d.score = -c.Weight / math.Log(h)
	}
	return d
}

// Place picks n of the candidates, those of a lower class first, each class in
// the object's order, so that no domain gets
// more than perDomain of them. It returns fewer than n only where the domains
// do not allow more: passing over a candidate of a full domain never costs a
// place elsewhere, so taking the first that fits is the best there is.
func Place(object [32]byte, candidates []Candidate, n, perDomain int) []int {
	var chosen []int
	taken := map[string]int{}
	order := Order(object, candidates)
	slices.SortStableFunc(order, func(a, b int) int { return candidates[a].Class - candidates[b].Class })
	for _, i := range order {
		if len(chosen) >= n {
			break
		}
		if domain := candidates[i].Domain; taken[domain] < perDomain {
			taken[domain]++
			chosen = append(chosen, i)
		}
	}
	return chosen
}
