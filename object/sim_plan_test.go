package object

import "fmt"

// simCodes are the layouts that are simulated: k, m, backends, write_quorum.
var simCodes = [][4]int{
	{1, 1, 2, 2}, {1, 1, 3, 2}, {1, 1, 4, 2},
	{2, 1, 3, 3}, {2, 1, 4, 3},
	{1, 2, 3, 3}, {1, 2, 4, 3}, {1, 2, 4, 2},
	{2, 2, 4, 4}, {2, 2, 4, 3},
}

func pick[T any](w *simWorld, from ...T) T { return from[w.rng.IntN(len(from))] }

// choose draws what may happen in a run: not everything in each, so that what
// happens can go far.
func (w *simWorld) choose() {
	c := simCodes[w.rng.IntN(len(simCodes))]
	w.plan = simPlan{
		clones: pick(w, 1, 2, 2, 2, 3), keys: pick(w, 1, 1, 1, 2), requests: pick(w, 1, 2, 3, 4),
		switchLane: pick(w, 0, 0.01, 0.05, 0.2, 1), switchPhase: pick(w, 0, 0.1, 0.3), first: pick(w, 0, 0.5, 1), slow: -1,
		lateness: pick(w, 0, 0.3, 0.8),
	}
	p := &w.plan
	if w.chance(0.3) {
		p.slow = w.rng.IntN(c[2])
	}
	if w.chance(0.5) {
		p.crash, p.maxCrashes = pick(w, 0.005, 0.02, 0.05), pick(w, 1, 2, 4)
	}
	if w.chance(0.3) {
		p.jump = pick(w, 0.005, 0.02)
	}
	lossy := c[3] == c[0]+c[1] && w.chance(0.3)
	if lossy || w.chance(0.4) {
		p.fault = pick(w, 0, 0.005, 0.02, 0.1)
		p.down, p.maxDown = pick(w, 0, 0.01, 0.03), c[1]
		if !lossy && w.chance(0.3) {
			p.maxDown = c[2]
		}
	}
	w.shape = newSimShape(c[0], c[1], c[2], c[3])
	w.bad, w.snapshot = make([]bool, c[2]), make([]*simMemory, c[2])
	if lossy {
		p.lie = pick(w, 0.003, 0.01, 0.03)
		for range c[1] {
			w.bad[w.rng.IntN(c[2])] = true
		}
	}
	if w.chance(0.5) {
		w.memory = int64(w.shape.code.BufferSize(2 * simShardSize * c[0])) // two segments
	}
	w.programs()
}

// programs draws what each clone asks for.
func (w *simWorld) programs() {
	firstKey, class := w.rng.IntN(simKeys), w.rng.IntN(len(w.shape.contents))
	variants := pick(w, 1, 2, 3)
	verbs := []string{"store", "store", "store", "remove", "remove", "check", "get"}
	if w.chance(0.7) {
		verbs = append(verbs, pick(w,
			[]string{"move", "move", "repair", "scrub", "collect", "fill", "store"},
			[]string{"move", "move", "move", "move", "store"},
			[]string{"collect", "collect", "collect", "store"},
			[]string{"repair", "repair", "move", "store", "fill"})...)
		w.plan.days = w.chance(0.5)
	}
	journals := []*simJournal{}
	for n := range w.plan.clones {
		j := &simJournal{files: map[string]*simFile{}}
		if n > 0 && w.chance(0.2) {
			j = journals[n-1] // two processes of one clone
		}
		journals = append(journals, j)
		c := &simClone{n: n, journal: j}
		for range w.plan.requests {
			key := (firstKey + w.rng.IntN(w.plan.keys)) % simKeys
			r := &simReq{key: key, what: verbs[w.rng.IntN(len(verbs))], deep: w.chance(0.5)}
			switch r.what {
			case "store":
				if w.chance(0.05) {
					class = w.rng.IntN(len(w.shape.contents))
				}
				r.content = w.shape.contents[class][w.rng.IntN(variants)]
			case "move":
				r.from = fmt.Sprint("b", w.rng.IntN(w.shape.n))
				if w.chance(0.5) {
					r.to = fmt.Sprint("b", w.rng.IntN(w.shape.n))
				}
			}
			c.program = append(c.program, r)
		}
		w.clones = append(w.clones, c)
	}
}
