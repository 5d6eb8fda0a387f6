package object

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"shardraid/backends/backendtest"
)

var allFaultSets = flag.Bool("allfaultsets", false, "let every fault kind go wrong on every set of backends (minutes)")

// faultKind is one way in which a backend goes wrong for as long as it is on.
type faultKind struct {
	name string
	op   string // the operation that goes wrong; "" for all
	on   func(f *backendtest.Faulty, m, before *backendtest.Memory)
	off  func(m *backendtest.Memory)
	did  func(m *backendtest.Memory) bool // where that is no fault which counts for itself

	prompt bool // others answer in its place before it does
	slow   bool // calls may take hours; else none takes more than a minute
	plain  bool // it is but another error
	hides  bool // files are there that are not listed
	spoils bool // files are listed that cannot be read, on a backend that seems to be well
	lags   bool // what is there changes from one call to the next

	met atomic.Int64 // calls
}

// faultKinds are all actions on all calls of an operation that they suit, and what happens to
// a backend as a whole.
func faultKinds() (kinds []*faultKind) {
	for _, op := range []string{"put", "get", "list", "remove", "free"} {
		for _, a := range backendtest.Actions(op) {
			kinds = append(kinds, actionKind(op, a, "", nil))
			if op == "get" {
				kinds = append(kinds, actionKind(op, a, " but of the marker", inDirectory))
			}
			if op == "get" && a.Waits {
				kind := actionKind(op, a, " of shards", ofShard)
				kind.prompt = true
				kinds = append(kinds, kind)
			}
		}
	}
	return append(kinds, wholeKinds()...)
}

func inDirectory(name string) bool { return strings.Contains(name, "/") }

func ofShard(name string) bool { return strings.Contains(name, ".s.") }

func actionKind(op string, a backendtest.NamedAction, which string, match func(string) bool) *faultKind {
	return &faultKind{
		name: op + which + ": " + a.Name, op: op,
		on: func(f *backendtest.Faulty, _, _ *backendtest.Memory) {
			f.Add(backendtest.Fault{Op: op, Match: match, Do: a.Do})
		},
		slow:   a.Name == "byte a second",
		plain:  strings.HasPrefix(a.Name, "throttled") || a.Name == "login lost" || a.Name == "full",
		hides:  op == "list" && a.Lies && a.Name != "each twice",
		lags:   strings.Contains(a.Name, "after") || strings.Contains(a.Name, "listing"),
		spoils: op == "get" && (match != nil || a.Name == "another file") || op == "put" && a.Name == "bit flip",
	}
}

func wholeKinds() []*faultKind {
	all := func(name string, fault backendtest.Fault) *faultKind {
		return &faultKind{name: "all: " + name, lags: fault.Call > 0, on: func(f *backendtest.Faulty, _, _ *backendtest.Memory) { f.Add(fault) }}
	}
	full := func(name string, room int64, tells bool) *faultKind {
		return &faultKind{
			name: "all: " + name,
			on: func(f *backendtest.Faulty, m, _ *backendtest.Memory) {
				m.Limit(1<<40, true)
				free, _ := m.Free(ctx)
				m.Limit(1<<40-free+room, true)
				if !tells {
					f.Add(backendtest.Fault{Op: "free", Do: backendtest.ErrorInstead(errors.ErrUnsupported)})
				}
			},
			off: func(m *backendtest.Memory) { m.Limit(1<<40, false) },
			did: func(m *backendtest.Memory) bool { return m.Refused() > 0 },
		}
	}
	return []*faultKind{
		all("hang", backendtest.Fault{Do: backendtest.Hang()}),
		all("wrong account", backendtest.Fault{Do: backendtest.Elsewhere()}),
		all("login lost", backendtest.Fault{Do: backendtest.ErrorInstead(backendtest.ErrLogin)}),
		all("login lost after 2 calls", backendtest.Fault{Call: 3, Repeat: backendtest.ForEver, Do: backendtest.ErrorInstead(backendtest.ErrLogin)}),
		full("full, as it says", 0, true), full("full", 0, false), full("full after 300 bytes", 300, false), full("full after 2500 bytes", 2500, false),
		{name: "all: as it was", hides: true, on: func(f *backendtest.Faulty, _, before *backendtest.Memory) {
			f.Add(backendtest.Fault{Do: backendtest.Stale(before)})
		}},
		{name: "all: in upper case", hides: true,
			on:  func(_ *backendtest.Faulty, m, _ *backendtest.Memory) { m.Fold(true) },
			off: func(m *backendtest.Memory) { m.Fold(false) },
			did: func(m *backendtest.Memory) bool { return m.Names()[0] != strings.ToLower(m.Names()[0]) },
		},
	}
}

// faultPhase is what somebody does while backends go wrong.
type faultPhase struct {
	name string
	ops  string // whose faults it meets
	do   func(r *faultRun)
}

var faultPhases = []faultPhase{
	{"get", "get list", (*faultRun).get},
	{"put", "put get list free", (*faultRun).put},
	{"put again", "put get list remove free", (*faultRun).put},
	{"remove", "put get list remove", (*faultRun).remove},
}

// Every fault kind, on every operation that it suits, on up to m backends and on m+1. Of the
// smallest code every set of backends goes wrong in every way; of the others, whose sets are
// many, each way meets another one or two, so that each set meets many ways.
func TestEveryFaultKind(t *testing.T) {
	kinds := faultKinds()
	var planned, runs atomic.Int64
	t.Run("all", func(t *testing.T) {
		for _, code := range [][3]int{{2, 1, 3}, {2, 2, 4}, {3, 2, 6}} {
			empty := cheapRig(t, code)
			for _, size := range []int{100, 1500, 5000} { // inlined, one segment, several
				stored := empty.fork(t)
				stored.mustPut(testKey, bytesOf(1, size))
				for i, phase := range faultPhases {
					planned.Add(1)
					t.Run(fmt.Sprintf("%s, %d+%d of %d, %d bytes", phase.name, code[0], code[1], code[2], size), func(t *testing.T) {
						t.Parallel()
						runs.Add(1)
						for n, kind := range kinds {
							if !strings.Contains(phase.ops, kind.op) {
								continue
							}
							for _, bad := range faultySets(code, phase.name, kind, size, n*len(faultPhases)+i) {
								planned.Add(1)
								t.Run(fmt.Sprint(kind.name, " on ", bad), func(t *testing.T) {
									runs.Add(1)
									synctest.Test(t, func(t *testing.T) { runFault(t, phase, kind, bad, size, empty, stored) })
								})
							}
						}
					})
				}
			}
		}
	})
	for _, kind := range kinds {
		if kind.met.Load() == 0 && runs.Load() == planned.Load() { // else somebody chose among them
			t.Errorf("%s: was never met", kind.name)
		}
	}
	t.Logf("%d kinds, %d runs and groups of runs", len(kinds), runs.Load())
}

// faultySets chooses the sets of up to m+1 backends that go wrong. Turn is another number for
// each kind and phase.
func faultySets(code [3]int, phase string, kind *faultKind, size, turn int) (sets [][]int) {
	of := make([][][]int, code[1]+2) // by how many they are
	for set := 1; set < 1<<code[2]; set++ {
		if bad := bits(set); len(bad) <= code[1]+1 {
			of[len(bad)] = append(of[len(bad)], bad)
			sets = append(sets, bad)
		}
	}
	if *allFaultSets || len(sets) == 6 && size == 5000 && !kind.plain && phase != "put again" {
		return sets
	}
	third := (turn+size)%3 == 0
	if again := phase == "put again"; again && !third || !again && third && len(sets) > 6 {
		return nil
	}
	m, turn := code[1], turn+size/1000
	some := of[[]int{m, m + 1, 1, m + 1, m}[turn%5]]
	return [][]int{some[turn%len(some)]}
}
