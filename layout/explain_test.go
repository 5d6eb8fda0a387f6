package layout

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"testing"
)

// domainLayout is a layout with so many backends in each domain.
func domainLayout(data, parity int, members ...int) *Layout {
	l := &Layout{Version: 1, Data: data, Parity: parity, WriteQuorum: data + parity, ShardSize: defaultShardSize}
	for d, n := range members {
		for i := range n {
			l.Backends = append(l.Backends, Backend{Name: fmt.Sprintf("b%d-%d", d, i), Remote: fmt.Sprintf("/%d/%d", d, i), Domain: fmt.Sprintf("d%d", d), State: Active})
		}
	}
	return l
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(a, b) }

// The table of README.md.
func TestLossIsThatOfTheREADME(t *testing.T) {
	for name, want := range map[string][4]string{
		"4+2": {"1.5e-04", "2.2e-03", "1.6e-02", "9.9e-02"},
		"4+4": {"1.7e-07", "1.5e-05", "4.3e-04", "1.0e-02"},
		"8+4": {"2.3e-06", "1.8e-04", "4.3e-03", "7.3e-02"},
		"6+6": {"9.3e-10", "4.9e-07", "5.0e-05", "3.9e-03"},
	} {
		var data, parity int
		if _, err := fmt.Sscanf(name, "%d+%d", &data, &parity); err != nil {
			t.Fatal(err)
		}
		l := &Layout{Data: data, Parity: parity}
		for i, p := range LossOdds {
			if got := fmt.Sprintf("%.1e", l.LossByAccount(p)); got != want[i] {
				t.Errorf("%s at %v: %s, want %s", name, p, got, want[i])
			}
		}
	}
}

// bruteLoss counts over all subsets of groups that die.
func bruteLoss(counts []int, spare int, p float64) (loss float64) {
	for dead := range uint(1) << len(counts) {
		lost := 0
		for i, n := range counts {
			if dead>>i&1 == 1 {
				lost += n
			}
		}
		if lost > spare {
			n := bits.OnesCount(dead)
			loss += math.Pow(p, float64(n)) * math.Pow(1-p, float64(len(counts)-n))
		}
	}
	return loss
}

var someOdds = []float64{0, 0.001, 0.02, 0.2, 0.5, 0.9, 1}

func TestLossByAccountIsThatOfAllSubsets(t *testing.T) {
	for data := 1; data <= 6; data++ {
		for parity := 1; parity <= 5; parity++ {
			l := &Layout{Data: data, Parity: parity}
			for _, p := range someOdds {
				want := bruteLoss(ones(data+parity), parity, p)
				if got := l.LossByAccount(p); !near(got, want) || got < 0 || got > 1 {
					t.Errorf("%d+%d at %v: %v, want %v", data, parity, p, got, want)
				}
			}
		}
	}
}

// placements calls back with the shards in each domain, for all ways to place
// them that a layout allows.
func placements(members []int, shards, parity int, found func(counts []int)) {
	var place func(counts []int, left int)
	place = func(counts []int, left int) {
		if len(counts) == len(members) {
			if left == 0 {
				found(counts)
			}
			return
		}
		for n := range min(members[len(counts)], parity, left) + 1 {
			place(append(counts, n), left-n)
		}
	}
	place(nil, shards)
}

// Where all backends of all domains are needed there is one placement.
func TestLossByDomainWithoutChoice(t *testing.T) {
	for _, members := range [][]int{{2, 1, 1}, {2, 2, 2}, {3, 3, 1, 1}, {1, 1, 1, 1}, {2, 2}, {5, 3, 1}, {9, 9, 1}} {
		for parity := 1; parity <= 5; parity++ {
			var only []int
			shards := 0
			for _, n := range members {
				only = append(only, min(n, parity))
				shards += min(n, parity)
			}
			l := domainLayout(shards-parity, parity, members...)
			for _, p := range someOdds {
				if got, want := l.LossByDomain(p), bruteLoss(only, parity, p); l.Data > 0 && !near(got, want) {
					t.Errorf("%d+%d over %v at %v: %v, want %v", l.Data, parity, members, p, got, want)
				}
			}
		}
	}
}

// What is said holds for a placement that the layout allows, and is no better
// than without domains.
func TestLossByDomainIsThatOfAPlacement(t *testing.T) {
	for _, members := range [][]int{{2, 2, 1, 1, 1, 1}, {3, 3, 3}, {4, 1, 1, 1, 1}, {2, 2, 2, 2}, {1, 3, 2}} {
		l := domainLayout(2, 2, members...)
		for _, p := range LossOdds {
			got, met := l.LossByDomain(p), false
			placements(members, 4, 2, func(counts []int) { met = met || near(got, bruteLoss(counts, 2, p)) })
			if !met || got < l.LossByAccount(p) {
				t.Errorf("%v at %v: %v, by account %v", members, p, got, l.LossByAccount(p))
			}
		}
	}
	// Domains of one backend each are accounts.
	l := domainLayout(4, 2, 1, 1, 1, 1, 1, 1, 1, 1)
	for _, p := range someOdds {
		if got, want := l.LossByDomain(p), l.LossByAccount(p); !near(got, want) {
			t.Errorf("at %v: %v, want %v", p, got, want)
		}
	}
}

func explain(t *testing.T, l *Layout) string {
	t.Helper()
	lines := l.Explain()
	for _, line := range lines {
		if strings.ContainsAny(line, "\n") || len(line) > 200 || strings.Contains(line, "%!") {
			t.Errorf("line %q", line)
		}
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

func TestExplain(t *testing.T) {
	text := yamlOf(4, 2, "a /a", "b /b", "c /c", "d /d", "e /e", "f /f", "g /g", "old /o drain", "gone /x off")
	text = strings.NewReplacer(`"/a"`, `/a, domain: north`, `"/b"`, `/b, domain: north`).Replace(text) + "write_quorum: 5\n"
	got := explain(t, mustParse(t, text))
	for _, want := range []string{
		"4 data + 2 parity shards over 7 active backends in 6 domains: 1.50 bytes stored per byte",
		"any 2 backends may be lost: yes (",
		"any one domain may be lost: yes (the largest, north, has 2 backends and gets 2 shards of a segment at most)",
		"a store succeeds with 5 of 6 shards; until the rest is filled in, such a file survives the loss of 1 backend\n",
		"files up to 64KiB are kept whole, in 3 places",
		"probability           2 %       5 %      10 %      20 %\n",
		"independently               1.5e-04   2.2e-03   1.6e-02   9.9e-02\n",
		fmt.Sprintf("worst places  %8.1e", mustParse(t, text).LossByDomain(0.02)),
		fmt.Sprintf("with   5 shards only             %8.1e", bruteLoss(ones(5), 1, 0.02)),
		"\n1 backend to spare: so many may be down while files are stored whole\n",
		"\nbackend old is drain: it gets no new shards\n",
		"\nbackend gone is off: it gets no new shards\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// What does not apply is not said.
func TestExplainOfASmallLayout(t *testing.T) {
	got := explain(t, mustParse(t, small))
	for _, want := range []string{
		"over 2 active backends in 2 domains: 2.00 bytes", "any 1 backend may be lost", "has 1 backend and gets 1 shard of",
		"no spare backend: nothing is stored while one backend is down",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	for _, not := range []string{"worst places", "shards only", "to spare", "no new shards"} {
		if strings.Contains(got, not) {
			t.Errorf("%q is said in\n%s", not, got)
		}
	}
	text := yamlOf(2, 2, "a /a", "b /b", "c /c", "d /d") + "write_quorum: 3\n"
	if got := explain(t, mustParse(t, text)); !strings.Contains(got, "no spare backend: at most 1 may be down while files are stored\n") {
		t.Errorf("with a quorum:\n%s", got)
	}
}
