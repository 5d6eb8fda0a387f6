package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOrderGolden reads what another implementation gave: the order is a
// promise of the format.
func TestOrderGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden/order.txt")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		read++
		id, list, _ := strings.Cut(line, ": ")
		object, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		var want []Candidate
		for _, field := range strings.Fields(list) {
			id, weight, _ := strings.Cut(field, "=")
			w, err := strconv.ParseFloat(weight, 64)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, Candidate{ID: id, Weight: w})
		}
		given := slices.SortedFunc(slices.Values(want), func(a, b Candidate) int { return strings.Compare(a.ID, b.ID) })
		if got := pick(given, Order([32]byte(object), given)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}
	if read != 12 {
		t.Errorf("%d lines read", read)
	}
}

func pick(candidates []Candidate, order []int) []Candidate {
	var out []Candidate
	for _, i := range order {
		out = append(out, candidates[i])
	}
	return out
}

func object(i int) [32]byte { return sha256.Sum256(fmt.Append(nil, "object", i)) }

// randomCandidates have ids, domains and weights from a fixed sequence.
func randomCandidates(r *rand.Rand, n, domains int) []Candidate {
	out := make([]Candidate, n)
	for i := range out {
		out[i] = Candidate{
			ID:     fmt.Sprintf("%013d", r.Uint32()),
			Weight: r.Float64()*20 - 1,
			Domain: strconv.Itoa(r.IntN(domains)),
		}
	}
	return out
}

func TestOrderBalance(t *testing.T) {
	const objects = 40_000
	candidates := []Candidate{{ID: "a", Weight: 1}, {ID: "b", Weight: 2}, {ID: "c", Weight: 4}, {ID: "d", Weight: 8}, {ID: "e", Weight: 0}}
	first := make([]int, len(candidates))
	for i := range objects {
		first[Order(object(i), candidates)[0]]++
	}
	for i, c := range candidates {
		p := c.Weight / 15
		want, sigma := p*objects, math.Sqrt(p*(1-p)*objects)
		if math.Abs(float64(first[i])-want) > 4*sigma {
			t.Errorf("weight %v is first of %d objects, want %.0f ± %.0f", c.Weight, first[i], want, 4*sigma)
		}
	}
}

// TestOrderStable takes one candidate out: the others keep their order, and
// how they are listed does not matter.
func TestOrderStable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		candidates := randomCandidates(r, 2+r.IntN(20), 4)
		all := pick(candidates, Order(object(i), candidates))
		gone := r.IntN(len(candidates))
		rest := slices.Delete(slices.Clone(candidates), gone, gone+1)
		r.Shuffle(len(rest), func(a, b int) { rest[a], rest[b] = rest[b], rest[a] })
		want := slices.DeleteFunc(slices.Clone(all), func(c Candidate) bool { return c.ID == candidates[gone].ID })
		if got := pick(rest, Order(object(i), rest)); !reflect.DeepEqual(got, want) {
			t.Fatalf("without %v: got %v, want %v", candidates[gone], got, want)
		}
	}
}

// TestPlaceMoves lets a candidate join: it takes its share of the shards, and
// nothing moves between the others.
func TestPlaceMoves(t *testing.T) {
	const objects, n = 4000, 6
	var candidates []Candidate
	for i := range 11 {
		candidates = append(candidates, Candidate{ID: fmt.Sprint("c", i), Weight: 1, Domain: fmt.Sprint(i)})
	}
	moved := 0
	for i := range objects {
		before := Place(object(i), candidates[:10], n, 1)
		after := Place(object(i), candidates, n, 1)
		for _, c := range after {
			if c == 10 {
				moved++
			} else if !slices.Contains(before, c) {
				t.Fatalf("object %d: a shard moved from %v to %v", i, before, after)
			}
		}
	}
	if want := objects * n / 11; math.Abs(float64(moved-want)) > 0.08*float64(want) {
		t.Errorf("%d shards moved, want about %d", moved, want)
	}
}

func TestOrderOddWeights(t *testing.T) {
	weights := []float64{math.NaN(), 0, -1, math.Inf(-1), math.SmallestNonzeroFloat64, 1, math.MaxFloat64, math.Inf(1)}
	var candidates []Candidate
	for i, w := range weights {
		candidates = append(candidates, Candidate{ID: strconv.Itoa(i), Weight: w})
	}
	for i := range 100 {
		order := Order(object(i), candidates)
		for _, low := range order[4:] {
			if low > 3 {
				t.Fatalf("weight %v comes behind weights that are not above 0: %v", weights[low], order)
			}
		}
	}
	if got := Order([32]byte{}, nil); len(got) != 0 {
		t.Errorf("no candidates: got %v", got)
	}
}

func TestPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 3000 {
		candidates := randomCandidates(r, r.IntN(14), 1+r.IntN(5))
		n, perDomain := r.IntN(12)-1, r.IntN(5)-1
		chosen := Place(object(i), candidates, n, perDomain)
		counts, room, members := map[string]int{}, 0, map[string]int{}
		for _, c := range candidates {
			if members[c.Domain] < perDomain {
				members[c.Domain]++
				room++
			}
		}
		for _, c := range chosen {
			counts[candidates[c].Domain]++
			if counts[candidates[c].Domain] > perDomain {
				t.Fatalf("domain %s has more than %d of %v", candidates[c].Domain, perDomain, chosen)
			}
		}
		if want := max(0, min(n, room)); len(chosen) != want {
			t.Fatalf("%d chosen, want %d (n=%d, perDomain=%d, %v)", len(chosen), want, n, perDomain, candidates)
		}
		order := Order(object(i), candidates)
		position := func(c int) int { return slices.Index(order, c) }
		if !slices.IsSortedFunc(chosen, func(a, b int) int { return position(a) - position(b) }) {
			t.Fatalf("%v is not in the order %v", chosen, order)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(chosen)))) != len(chosen) {
			t.Fatalf("%v names one twice", chosen)
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	candidates := randomCandidates(rand.New(rand.NewPCG(5, 6)), 12, 6)
	for i := 0; b.Loop(); i++ {
		Place(object(i), candidates, 6, 2)
	}
}
