package object

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// turn lets a lane make so many operations.
type turn struct{ lane, ops int }

const toTheEnd = 1 << 20

// inTurns runs a config in turns; what is left then goes on lane by lane. It
// returns how many operations each lane has made.
func (c interConfig) inTurns(t *testing.T, dir string, tracing bool, turns ...turn) (*simWorld, [2]int) {
	var made [2]int
	at, used := 0, 0
	schedule := func(w *simWorld, waiting []*simOp) *simOp {
		next := nextOps(waiting)
		for ; at < len(turns); at, used = at+1, 0 {
			if lane := turns[at].lane; next[lane] != nil && used < turns[at].ops {
				used++
				made[lane]++
				return next[lane]
			}
		}
		made[waiting[0].id.lane]++
		return waiting[0]
	}
	seed := uint64(len(turns))
	for _, u := range turns {
		seed = seed*31 + uint64(u.lane*7+u.ops)
	}
	return simulateWith(t, seed, dir, tracing, c.choose, c.begin, schedule, c.die), made
}

// switches goes through schedules with up to two changes from one lane to the
// other, and through those in which lane 1 dies meanwhile. It makes so many of
// them, by chance, or all if limit is 0.
func (c interConfig) switches(t *testing.T, dir string, limit int) (runs int) {
	_, made := c.inTurns(t, dir, false, turn{0, toTheEnd}, turn{1, toTheEnd})
	_, other := c.inTurns(t, dir, false, turn{1, toTheEnd}, turn{0, toTheEnd})
	ops := [2]int{max(made[0], other[0]) + 1, max(made[1], other[1]) + 1}
	try := func(c interConfig, turns ...turn) {
		if t.Failed() {
			return
		}
		w, _ := c.inTurns(t, dir, false, turns...)
		runs++
		if w.violation != "" {
			again, _ := c.inTurns(t, dir, true, turns...)
			t.Errorf("%v, turns %v: %s\n%s", c, turns, w.violation, strings.Join(again.trace, "\n"))
		}
	}
	all := func(yield func(die, first, a, b int)) {
		for first := range 2 {
			for a := range ops[first] {
				for b := 1; b < ops[1-first]; b++ {
					yield(0, first, a, b)
				}
			}
		}
		for die := 1; die < ops[1]; die++ {
			for a := range ops[0] {
				yield(die, 0, a, toTheEnd)
			}
		}
	}
	count := 0
	all(func(die, first, a, b int) { count++ })
	rng := rand.New(rand.NewPCG(uint64(count), 1))
	all(func(die, first, a, b int) {
		if limit > 0 && rng.IntN(count) >= limit {
			return
		}
		d := c
		d.die = die
		try(d, turn{first, a}, turn{1 - first, b}, turn{first, toTheEnd})
	})
	return runs
}

// TestInterleavings lets two requests of two clones meet in every state of an
// object: in schedules that differ in the order of operations of which the
// order matters, in those with up to two changes between them, and in those
// where one dies. SHARDRAID_SCHEDULES is how many of each kind it makes of each
// pair, by a fixed choice; 0 for all there are, of the first kind at most 3000.
func TestInterleavings(t *testing.T) {
	limit := int(envNumber("SHARDRAID_SCHEDULES", 1))
	part, parts := simPart(t, limit != 1)
	if parts == 0 {
		return
	}
	dir := simDir(t)
	runs, whole, configs := 0, 0, 0
	for i, c := range interConfigs() {
		tight := limit == 1 && slices.Contains(interTight, c.String())
		mine := uint64(i)%parts == part && (limit != 1 || i%10 == 0 || tight) // a taste
		if !mine || !strings.Contains(c.String(), os.Getenv("SHARDRAID_PAIR")) {
			continue
		}
		x := &explorer{t: t, config: c, dir: dir, limit: limit}
		limit := limit
		if limit == 0 {
			x.limit = 3000
		}
		if tight {
			limit, x.limit = 60, 60
		}
		all := x.explore()
		if all {
			whole++
		}
		configs++
		switches := 0
		if !t.Failed() {
			switches = c.switches(t, dir, limit)
		}
		runs += x.runs + switches
		t.Logf("%v: %d orders (all: %v), %d changes and deaths", c, x.runs, all, switches)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d schedules of %d pairs; of %d all orders that matter", runs, configs, whole)
}

// interTight are pairs that only keep their promises because both look again:
// of these it makes more.
var interTight = []string{
	"1+1 of 2, absent, size 1: store and collect",
	"1+1 of 2, whole, size 1: store and remove",
	"1+1 of 3, whole, size 1: move and move",
	"1+1 of 3, whole, size 1: remove and move",
	"1+1 of 3, whole, size 1: move and repair",
	"2+1 of 4, degraded, size 1: move and scrub", // tried again what it did not want any more
}

func interConfigs() (all []interConfig) {
	for _, code := range [][4]int{{1, 1, 2, 1}, {1, 1, 3, 1}, {2, 1, 3, 1}, {2, 1, 4, 1}, {1, 1, 2, 2}} {
		for _, state := range interStates {
			for i, a := range interVerbs {
				for _, b := range interVerbs[i:] {
					moves := a == "move" || b == "move"
					if code[2] == code[0]+code[1] && moves || code[2] == 4 && !moves {
						continue // nowhere to move to; much the same
					}
					all = append(all, interConfig{k: code[0], m: code[1], n: code[2], state: state, verbs: [2]string{a, b}, class: code[3]})
				}
			}
		}
	}
	return all
}
