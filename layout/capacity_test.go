package layout

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestCapacity: as many files of one byte a shard as it says fit when each is
// placed on the emptiest backends, and no way of placing takes one more.
func TestCapacity(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data, parity := 1+draw.IntN(2), 1+draw.IntN(2)
		free, domains := make([]int64, 2+draw.IntN(4)), []string(nil)
		for i := range free {
			free[i] = draw.Int64N(5)
			domains = append(domains, fmt.Sprint(draw.IntN(4)))
		}
		got := Capacity(free, domains, data, parity)
		if want := int64(mostFiles(free, domains, data+parity, parity, map[string]int64{}) * data); got != want {
			t.Errorf("%d+%d on %v in %v: %d, want %d", data, parity, free, domains, got, want)
		}
	}
}

// mostFiles tries every way.
func mostFiles(free []int64, domains []string, n, perDomain int, known map[string]int64) int {
	at := fmt.Sprint(free)
	if best, ok := known[at]; ok {
		return int(best)
	}
	best := 0
	var place func(from, left int, in map[string]int)
	place = func(from, left int, in map[string]int) {
		if left == 0 {
			best = max(best, 1+mostFiles(free, domains, n, perDomain, known))
			return
		}
		for i := from; i < len(free); i++ {
			if free[i] > 0 && in[domains[i]] < perDomain {
				free[i]--
				in[domains[i]]++
				place(i+1, left-1, in)
				free[i]++
				in[domains[i]]--
			}
		}
	}
	place(0, n, map[string]int{})
	known[at] = int64(best)
	return best
}

func TestCapacityOfLargeAccounts(t *testing.T) {
	const gb = 1e9
	for _, c := range []struct {
		free []int64
		want int64
	}{
		{[]int64{15 * gb, 15 * gb, 15 * gb, 15 * gb, 15 * gb, 15 * gb}, 60 * gb},
		{[]int64{15 * gb, 15 * gb, 15 * gb, 15 * gb, 15 * gb}, 0}, // one too few
		{[]int64{100 * gb, 10 * gb, 10 * gb, 10 * gb, 10 * gb, 10 * gb}, 40 * gb},
	} {
		domains := []string{"a", "b", "c", "d", "e", "f"}[:len(c.free)]
		if got := Capacity(c.free, domains, 4, 2); got != c.want {
			t.Errorf("%v: %d, want %d", c.free, got, c.want)
		}
	}
}
