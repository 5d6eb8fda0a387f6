package layout

import (
	"fmt"
	"testing"
)

func TestPropose(t *testing.T) {
	for _, c := range []struct {
		domains      []int // backends in each
		data, parity int
	}{
		{[]int{1, 1, 1}, 2, 1},
		{[]int{1, 1, 1, 1}, 2, 2},
		{[]int{1, 1, 1, 1, 1, 1}, 4, 2},
		{[]int{1, 1, 1, 1, 1, 1, 1}, 4, 2}, // one to spare
		{[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 8, 3},
		{[]int{3, 1, 1, 1}, 3, 2},
		{[]int{2, 2}, 2, 2},
		{[]int{5, 1}, 1, 2},
	} {
		l, err := Propose(inDomains(c.domains))
		if err != nil {
			t.Errorf("%v: %v", c.domains, err)
		} else if l.Data != c.data || l.Parity != c.parity {
			t.Errorf("%v: %d+%d, want %d+%d", c.domains, l.Data, l.Parity, c.data, c.parity)
		}
	}
	for _, none := range [][]int{{1, 1}, {4}} {
		if l, err := Propose(inDomains(none)); err == nil {
			t.Errorf("%v: %d+%d", none, l.Data, l.Parity)
		}
	}
}

func inDomains(domains []int) (list []Backend) {
	for d, n := range domains {
		for i := range n {
			name := fmt.Sprintf("b%d-%d", d, i)
			list = append(list, Backend{Name: name, Remote: name + ":annex", Domain: fmt.Sprintf("d%d", d)})
		}
	}
	return list
}
