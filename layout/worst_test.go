package layout

import (
	"fmt"
	"strings"
	"testing"
)

// No placement is worse than what is said.
func TestLossByDomainIsTheWorst(t *testing.T) {
	for _, members := range [][]int{{2, 2, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}, {3, 2, 2, 1, 1, 1, 1}, {4, 4, 4, 1, 1, 1, 1}, {6, 6, 6, 6}, {1, 1, 1, 2, 5}} {
		for data := 1; data <= 8; data++ {
			for parity := 1; parity <= 6; parity++ {
				l := domainLayout(data, parity, members...)
				for _, p := range someOdds {
					worst, fits := 0.0, false
					placements(members, data+parity, parity, func(counts []int) {
						worst, fits = max(worst, bruteLoss(counts, parity, p)), true
					})
					if got := l.LossByDomain(p); fits && !near(got, worst) {
						t.Errorf("%d+%d over %v at %v: %v, want %v", data, parity, members, p, got, worst)
					}
				}
			}
		}
	}
	many := make([]int, 100)
	for i := range many {
		many[i] = 1 + i%7
	}
	if got := domainLayout(150, 50, many...).LossByDomain(0.2); got <= 0 || got > 1 { // counted one by one it would never end
		t.Errorf("%v", got)
	}
}

// As many as are said to be spare may be down, whichever they are.
func TestSparesMayBeAny(t *testing.T) {
	for _, members := range [][]int{{4, 1, 1}, {3, 3}, {2, 2, 2}, {5, 2, 2}, {1, 1, 1, 1, 1, 1}} {
		l := domainLayout(2, 2, members...)
		spare := 0
		for _, line := range l.Explain() {
			if strings.Contains(line, "to spare: so many may be down") {
				fmt.Sscanf(line, "%d", &spare)
			}
		}
		for down := range uint(1) << len(l.Backends) {
			room, n := map[string]int{}, 0
			for i, b := range l.Backends {
				if down>>i&1 == 1 {
					n++
				} else if room[b.Domain] < l.Parity {
					room[b.Domain]++
				}
			}
			if n == spare && sum(room) < 4 {
				t.Errorf("%v: %d are said to be spare, and without %b there is no room", members, spare, down)
				break
			}
		}
	}
}

func TestManyRequestsReadBack(t *testing.T) {
	if got := (Limits{Requests: 1e6}).String(); got != "{requests: 1000000/s}" {
		t.Error(got)
	}
}

// The advice of an error text must help, and what is returned can be written.
func TestForksWithRenames(t *testing.T) {
	root := apply(t, yamlOf(1, 1, "a /a", "b /b"))
	left := apply(t, yamlOf(1, 1, "a /a", "b /b", "new l:x"), root)
	right := apply(t, yamlOf(1, 1, "a /a", "b /b", "new r:x"), root)
	_, err := Successor(yamlOf(1, 1, "a /a", "b /b", "new l:x", "new-r r:x"), []Head{left, right}, newIDs())
	if err != nil && strings.Contains(err.Error(), "give one of them another name") {
		t.Errorf("one has another name: %v", err)
	}
	renamed := apply(t, yamlOf(1, 1, "a2 /a", "b /b"), root)
	kept := apply(t, yamlOf(1, 1, "a /a", "b /b")+"# x\n", root)
	d, err := Successor(yamlOf(1, 1, "a /a", "a2 /a2", "b /b"), []Head{renamed, kept}, newIDs())
	if err == nil {
		_, err = d.Marshal()
		t.Errorf("one backend under two names: %v", err)
	}
}

func TestTypesHaveOneSpelling(t *testing.T) {
	good, err := smallDocument().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := ParseDocument([]byte(strings.Replace(string(good), `"yaml"`, `"types":{},"yaml"`, 1)))
	if err != nil || d.Types != nil {
		t.Errorf("%v, %v", d, err)
	}
}
