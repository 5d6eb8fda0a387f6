package object

import (
	"slices"
	"testing"
)

// Two shards on one backend count as one, and as many as may be count.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		options [][]int
		want    []int
	}{
		{[][]int{{0, 1}, {0}}, []int{1, 0}},
		{[][]int{{3}, {3}, {}}, []int{3, -1, -1}},
		{[][]int{{0, 1}, {0, 2}, {0}}, []int{1, 2, 0}},
	} {
		if got := match(c.options); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.options, got, c.want)
		}
	}
}
