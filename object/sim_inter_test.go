package object

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shardraid/layout"
	"shardraid/manifest"
)

// interConfig is two requests of two clones that meet over an object in some
// state.
type interConfig struct {
	k, m, n int
	state   string
	verbs   [2]string
	class   int // of the content's size
	die     int // lane 1 is killed at this operation of it; 0 for not at all
}

func (c interConfig) String() string {
	text := fmt.Sprintf("%d+%d of %d, %s, size %d: %s and %s", c.k, c.m, c.n, c.state, c.class, c.verbs[0], c.verbs[1])
	if c.die > 0 {
		text += fmt.Sprintf(", which dies at its operation %d", c.die)
	}
	return text
}

// interStates are what an object may be like when the two begin.
var interStates = []string{"absent", "whole", "degraded", "twice", "half removed", "orphaned"}

// interVerbs are what the two may do.
var interVerbs = []string{"store", "remove", "move", "repair", "collect", "scrub", "check"}

const interKey = 0

// choose makes a world of the config.
func (c interConfig) choose(w *simWorld) {
	w.shape = newSimShape(c.k, c.m, c.n, c.k+c.m)
	w.plan.slow = -1
	w.bad, w.snapshot = make([]bool, c.n), make([]*simMemory, c.n)
	for lane, verb := range c.verbs {
		r := &simReq{key: interKey, what: verb, deep: true, eager: !c.copies(1 - lane)}
		switch {
		case verb == "store":
			r.content = w.shape.contents[c.class][1]
		case verb == "move":
			r.from = c.holder(w.shape, lane)
		}
		w.clones = append(w.clones, &simClone{n: lane, journal: &simJournal{files: map[string]*simFile{}}, program: []*simReq{r}})
	}
}

// copies reports whether a lane puts copies of shards that only the grace time
// keeps from a collector.
func (c interConfig) copies(lane int) bool {
	return c.verbs[lane] == "move" || c.verbs[lane] == "repair"
}

// holder names one of the backends that get a shard, another one for each lane.
func (c interConfig) holder(s *simShape, lane int) string {
	var all []layout.Candidate
	for _, b := range s.layout.Backends {
		all = append(all, layout.Candidate{ID: b.ID, Weight: 1, Domain: b.Domain})
	}
	return s.layout.Backends[layout.Place(s.ids[interKey], all, c.k+c.m, c.m)[lane]].Name
}

// begin brings the object into the state.
func (c interConfig) begin(w *simWorld) {
	s := w.stillStore()
	text, ctx := w.shape.keys[interKey], context.Background()
	store := func(variant int) {
		content := w.shape.contents[c.class][variant]
		if err := s.Put(ctx, text, bytes.NewReader(content), int64(len(content)), w.job); err != nil {
			panic(err)
		}
		w.reqs = append(w.reqs, &simReq{what: "store", key: interKey, content: content, state: simOK, end: -1, looked: -2})
	}
	was := func() (files []*simMemory) {
		for _, m := range w.mem {
			files = append(files, m.Copy())
		}
		return files
	}
	add := func(files []*simMemory, kinds string) {
		for i, m := range files {
			for _, name := range m.Names() {
				if n, ok := w.parse(i, name); ok && strings.ContainsRune(kinds, rune(n.Kind)) {
					data, _ := m.Peek(name)
					w.mem[i].Set(name, data)
				}
			}
		}
	}
	remove := func(kinds string, most int) {
		for i, m := range w.mem {
			for _, name := range m.Names() {
				if n, ok := w.parse(i, name); ok && most > 0 && strings.ContainsRune(kinds, rune(n.Kind)) {
					m.Delete(name)
					most--
				}
			}
		}
	}
	switch c.state {
	case "absent":
	case "whole":
		store(0)
	case "degraded":
		store(0)
		remove("s", 1)
		w.degraded = 1
	case "twice":
		store(0)
		files := was()
		store(2)
		remove("t", 100)
		add(files, "sm")
	case "half removed":
		store(0)
		files := was()
		if err := s.Remove(ctx, text, w.job); err != nil {
			panic(err)
		}
		add(files, "sm")
		remove("s", 1)
		w.reqs = append(w.reqs, &simReq{what: "remove", key: interKey, state: simDied, end: -1})
	case "orphaned":
		store(0)
		remove("m", 100)
		w.reqs = nil
		w.reqs = append(w.reqs, &simReq{what: "store", key: interKey, content: w.shape.contents[c.class][0], state: simDied, end: -1})
	}
	for lane, verb := range c.verbs {
		if verb == "collect" && c.copies(1-lane) {
			w.age(w.clones[lane])
		}
	}
	w.adoptFiles()
}

// age lets a clone's collector see what there is, two days ago.
func (w *simWorld) age(c *simClone) {
	was := make([]*simMemory, len(w.mem))
	for i, m := range w.mem {
		was[i] = m.Copy()
	}
	s := w.storeOf(c)
	if _, err := s.Collect(context.Background(), CollectOptions{Keys: slices.Values(w.shape.keys)}, w.job); err != nil {
		panic(err)
	}
	for i, m := range was {
		*w.mem[i] = *m
	}
	time.Sleep(49 * time.Hour)
}

func (w *simWorld) parse(i int, name string) (manifest.Name, bool) {
	_, base := split(name)
	return manifest.ParseName(w.shape.names[i], base)
}

// adoptFiles notes what lies on the backends as stored.
func (w *simWorld) adoptFiles() {
	for i, m := range w.mem {
		for _, name := range m.Names() {
			if n, ok := w.parse(i, name); ok {
				data, _ := m.Peek(name)
				w.stored[i][name] = &simStored{n, nil, data}
				if n.Kind == manifest.KindTombstone {
					w.noteTomb(n.Incarnation, i)
				}
			}
		}
	}
}

// interStep is one step of a schedule.
type interStep struct {
	lane  int
	next  [2]*simOp // what each lane was about to do; nil where it had ended
	sleep [2]bool   // lanes that need not go first here: that was done
	todo  [2]bool   // lanes that must go first here in some schedule
	done  [2]bool
}

// conflict reports whether the order of two operations matters.
func conflict(a, b *simOp) bool {
	if a.id.backend != b.id.backend || a.id.backend < 0 || !a.id.what.writes() && !b.id.what.writes() {
		return false
	}
	if a.id.what == simList || b.id.what == simList {
		return a.id.key == b.id.key || a.id.key < 0 || b.id.key < 0
	}
	return a.name == b.name
}

// explorer goes through the schedules of a config: those that differ in the
// order of two operations of which it matters (dynamic partial-order
// reduction, with sleep sets). Operations that a process makes at once go in
// their canonical order.
type explorer struct {
	t      *testing.T
	config interConfig
	dir    string
	limit  int
	steps  []*interStep
	runs   int
	ops    int // of the longest run
}

// explore returns whether it has seen all of them.
func (x *explorer) explore() bool {
	for {
		w := x.run(false)
		x.runs++
		if w.violation != "" {
			again := x.run(true)
			x.t.Errorf("%v, schedule %v: %s\n%s", x.config, x.schedule(), w.violation, strings.Join(again.trace, "\n"))
			return false
		}
		if !x.backtrack() {
			return true
		}
		if x.runs >= x.limit {
			return false
		}
	}
}

// backtrack goes back to the last step where another lane must go first.
func (x *explorer) backtrack() bool {
	for len(x.steps) > 0 {
		s := x.steps[len(x.steps)-1]
		s.done[s.lane] = true
		other := 1 - s.lane
		if s.todo[other] && !s.done[other] && !s.sleep[other] {
			s.sleep[s.lane] = true
			s.lane = other
			return true
		}
		x.steps = x.steps[:len(x.steps)-1]
	}
	return false
}

func (x *explorer) schedule() string {
	var text strings.Builder
	for i, s := range x.steps {
		if i > 0 && s.lane != x.steps[i-1].lane {
			text.WriteString(" ")
		}
		fmt.Fprint(&text, s.lane)
	}
	return text.String()
}

// run makes the run of the steps so far and goes on as it likes.
func (x *explorer) run(replay bool) *simWorld {
	at := 0
	known := [2]int{-1, -1}
	schedule := func(w *simWorld, waiting []*simOp) *simOp {
		next := nextOps(waiting)
		if at == len(x.steps) && !replay {
			x.steps = append(x.steps, x.newStep(next))
			if x.steps[at].lane < 0 { // seen before
				x.steps = x.steps[:at]
				w.enough = true
				return nil
			}
		}
		if at >= len(x.steps) {
			return waiting[0]
		}
		s := x.steps[at]
		s.next = next
		op := next[s.lane]
		if op == nil {
			panic("the same steps led elsewhere")
		}
		if !replay {
			x.races(at, s.lane, op, &known)
		}
		at++
		return op
	}
	w := simulateWith(x.t, uint64(len(x.config.String())), x.dir, replay, x.config.choose, x.config.begin, schedule, x.config.die)
	x.ops = max(x.ops, at)
	return w
}

// newStep chooses who goes on: the same lane as before, if it may.
func (x *explorer) newStep(next [2]*simOp) *interStep {
	s := &interStep{lane: -1, next: next}
	first := 0
	if n := len(x.steps); n > 0 {
		last := x.steps[n-1]
		first = last.lane
		op := last.next[last.lane]
		for lane, sleeps := range last.sleep {
			s.sleep[lane] = sleeps && lane != last.lane && last.next[lane] != nil && !conflict(last.next[lane], op)
		}
	}
	for _, lane := range []int{first, 1 - first} {
		if next[lane] != nil && !s.sleep[lane] && s.lane < 0 {
			s.lane = lane
			s.todo[lane] = true
		}
	}
	return s
}

// races notes at the last step that conflicts with this one that its lane
// should have gone first.
func (x *explorer) races(at, lane int, op *simOp, known *[2]int) {
	for j := at - 1; j > known[lane]; j-- {
		s := x.steps[j]
		if s.lane == lane || s.next[s.lane] == nil || !conflict(s.next[s.lane], op) {
			continue
		}
		if s.next[lane] != nil {
			s.todo[lane] = true
		}
		known[lane] = j
		return
	}
}

func nextOps(waiting []*simOp) (next [2]*simOp) {
	for _, op := range slices.Backward(waiting) {
		next[op.id.lane] = op
	}
	return next
}
