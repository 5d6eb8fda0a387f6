package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"shardraid/backends"
	"shardraid/manifest"
	"shardraid/vault"
)

// simWorld is one simulated run: clones with their processes, backends, a
// schedule and what was promised.
type simWorld struct {
	seed   uint64
	rng    *rand.Rand
	shape  *simShape
	plan   simPlan
	memory int64
	dir    string
	job    *Job
	gate   *simGate
	mem    []*simMemory
	clones []*simClone
	oracle *Store     // sees all backends that are not lost
	still  sync.Mutex // of the backends, where the product runs without the gate

	step      int
	reqs      []*simReq // in the order in which they began
	incs      map[vault.Incarnation]int
	stored    []map[string]*simStored
	tombs     map[vault.Incarnation]map[int]bool
	late      []*simOp // of callers that have left: they may yet be carried out
	down      []bool   // answers nothing
	bad       []bool   // may lose and garble what it has
	lost      []bool   // for the oracle
	snapshot  []*simMemory
	lies      bool           // a bad backend has lied
	degraded  int            // shards that are missing from the beginning
	lossSince int            // the last step at which a bad backend lost something
	lane      int            // who was let through last
	phase     map[int][2]int // what each lane was about to do
	crashes   int

	schedule func(*simWorld, []*simOp) *simOp // instead of chance
	die      int                              // lane 1 is killed at this operation of it
	enough   bool                             // this run has been made before

	hash      uint64
	trace     []string
	tracing   bool
	violation string
}

// simPlan is what kinds of things may happen in a run.
type simPlan struct {
	clones, keys, requests  int
	crash, fault, down, lie float64 // chance at each step
	lateness                float64
	jump                    float64 // of time
	switchLane, switchPhase float64
	first                   float64
	days                    bool // days pass
	slow                    int  // a backend that is let through last, or -1
	maxDown, maxCrashes     int
}

func (w *simWorld) log(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%4d ", w.step)+fmt.Sprintf(format, args...))
	}
}

// note makes what has happened part of the run's fingerprint.
func (w *simWorld) note(values ...int) {
	h := w.hash
	for _, v := range values {
		h = (h ^ uint64(v+1)) * 1099511628211
	}
	w.hash = h
}

func (w *simWorld) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// simulate makes the run of a seed.
func simulate(t *testing.T, seed uint64, dir string, tracing bool) *simWorld {
	return simulateWith(t, seed, dir, tracing, (*simWorld).choose, nil, nil, 0)
}

// simulateWith makes a run in which others have chosen: what may happen, what
// is there at the beginning, and who is let through when.
func simulateWith(t *testing.T, seed uint64, dir string, tracing bool, choose, begin func(*simWorld), schedule func(*simWorld, []*simOp) *simOp, die int) *simWorld {
	var w *simWorld
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		w = newSimWorld(seed, dir, tracing, choose)
		w.schedule, w.die = schedule, die
		if begin != nil {
			begin(w)
		}
		w.run()
	})
	return w
}

func newSimWorld(seed uint64, dir string, tracing bool, choose func(*simWorld)) *simWorld {
	w := &simWorld{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5ead)), dir: dir, tracing: tracing,
		phase: map[int][2]int{}, incs: map[vault.Incarnation]int{}, tombs: map[vault.Incarnation]map[int]bool{}, hash: fnv.New64().Sum64()}
	w.job = &Job{Progress: func(int64) {}}
	w.gate = &simGate{world: w, wake: make(chan struct{}, 1)}
	choose(w)
	for i := range w.shape.n {
		w.mem = append(w.mem, newSimMemory())
		w.mem[i].Set(w.shape.markerName[i], w.shape.markers[i])
		w.stored = append(w.stored, map[string]*simStored{})
	}
	w.down, w.lost = make([]bool, w.shape.n), make([]bool, w.shape.n)
	w.oracle = w.newStore(nil, func(i int) backends.Store { return simDirect{w.mem[i], w, i} })
	return w
}

// run drives the world until every program has ended, and then looks at what
// is left.
func (w *simWorld) run() {
	for _, c := range w.clones {
		w.start(c)
	}
	for w.violation == "" && !w.enough {
		synctest.Wait()
		waiting, left, finished := w.gate.take()
		w.settle(left)
		for _, r := range finished {
			w.finish(r)
		}
		if w.violation != "" || !w.restart() && len(waiting) == 0 && w.idle() {
			break
		}
		w.advance(waiting)
		if w.step > simMaxSteps {
			w.violate("I6: no end after %d steps", w.step)
		}
	}
	w.shut()
	if w.violation == "" && !w.enough {
		w.epilogue()
	}
}

const simMaxSteps = 20000

// idle reports whether all programs have ended.
func (w *simWorld) idle() bool {
	w.gate.mu.Lock()
	defer w.gate.mu.Unlock()
	return !slices.ContainsFunc(w.clones, func(c *simClone) bool { return !c.proc.exited || len(c.program) > 0 })
}

// restart starts a process in place of each that died, and says whether it did.
func (w *simWorld) restart() (started bool) {
	for _, c := range w.clones {
		if c.proc.dead && c.proc.exited && len(c.program) > 0 {
			w.start(c)
			started = true
		}
	}
	return started
}

// shut ends all processes.
func (w *simWorld) shut() {
	for _, c := range w.clones {
		w.gate.mu.Lock()
		c.proc.dead = true
		w.gate.mu.Unlock()
		c.proc.cancel()
	}
	synctest.Wait()
}

// advance makes one thing happen.
func (w *simWorld) advance(waiting []*simOp) {
	w.step++
	if w.event(waiting) {
		return
	}
	if len(waiting) == 0 {
		select {
		case <-w.gate.wake: // of earlier times, or something has come
		case <-time.After(time.Hour):
			w.violate("I6: nothing has happened for an hour")
		}
		return
	}
	op := w.pick(waiting)
	if op == nil {
		return
	}
	w.note(op.id.lane, int(op.id.what), op.id.backend, op.id.key, op.id.inc, int(op.id.kind), op.id.segment, op.id.shard)
	if op.id.what == simBegin {
		w.begin(op)
		return
	}
	w.account(op, waiting)
	if w.die > 0 && op.id.lane == 1 && op.req.ops == w.die {
		w.crash(w.clones[1])
		return
	}
	w.carryOut(op)
	w.note(errorNumber(op.err))
	w.log("%v%s", op.id, errText(op.err))
	w.gate.end(op)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func errorNumber(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, backends.ErrNotFound):
		return 1
	}
	return 2
}

// begin lets a request begin.
func (w *simWorld) begin(op *simOp) {
	r := op.req
	op.proc.req = r
	r.state, r.start, r.lane = simRunning, w.step, op.id.lane
	w.reqs = append(w.reqs, r)
	c := w.clones[op.id.lane]
	c.program = c.program[1:]
	w.log("%v begins", r)
	w.gate.end(op)
}

// account notes when a request looks at everything.
func (w *simWorld) account(op *simOp, waiting []*simOp) {
	r := op.req
	r.ops++
	if op.id.what == simList && op.id.key >= 0 { // the root is listed for another reason
		if r.listing == 0 {
			r.looked = w.step
			for _, o := range waiting {
				if o.req == r && o.id.what == simList && o.id.key >= 0 {
					r.listing++
				}
			}
		}
		r.listing = max(0, r.listing-1)
	}
	if w.down[op.id.backendOr0()] && op.id.backend >= 0 {
		r.disturbed = true
	}
}

func (a simID) backendOr0() int { return max(a.backend, 0) }

// finish judges a request that has ended.
func (w *simWorld) finish(r *simReq) {
	if r.state != simRunning {
		return
	}
	r.end = w.step
	r.state = simOK
	if r.err != nil {
		r.state = simFailed
	}
	w.note(100+int(r.state), r.lane, len(r.got))
	w.log("%v %v%s (present: %v)", r, r.state, errText(r.err), r.here)
	w.judge(r)
}

// pick chooses who is let through.
func (w *simWorld) pick(waiting []*simOp) *simOp {
	if w.schedule != nil {
		return w.schedule(w, waiting)
	}
	var lanes []int
	for _, op := range waiting {
		if !slices.Contains(lanes, op.id.lane) {
			lanes = append(lanes, op.id.lane)
		}
	}
	if !slices.Contains(lanes, w.lane) || w.chance(w.plan.switchLane) || w.newPhase(waiting) && w.chance(w.plan.switchPhase) {
		w.lane = lanes[w.rng.IntN(len(lanes))]
	}
	var mine []*simOp
	for _, slow := range []bool{false, true} {
		for _, op := range waiting {
			if op.id.lane == w.lane && slow == (op.id.backend == w.plan.slow) {
				mine = append(mine, op)
			}
		}
		if len(mine) > 0 && !w.chance(0.1) {
			break
		}
	}
	if len(mine) == 0 {
		return waiting[0]
	}
	if w.chance(w.plan.first) {
		return mine[0]
	}
	return mine[w.rng.IntN(len(mine))]
}

// newPhase reports whether a process is about to do something else than
// before: to list, to put manifests, to put tombstones. That is where it
// matters who comes in between.
func (w *simWorld) newPhase(waiting []*simOp) bool {
	for _, op := range waiting {
		if op.id.lane == w.lane {
			phase := [2]int{int(op.id.what), int(op.id.kind)}
			is := phase != w.phase[w.lane]
			w.phase[w.lane] = phase
			return is
		}
	}
	return false
}

// event lets something else happen than an operation, now and then.
func (w *simWorld) event(waiting []*simOp) bool {
	switch {
	case w.chance(w.plan.crash) && w.crashes < w.plan.maxCrashes:
		return w.crash(w.clones[w.rng.IntN(len(w.clones))])
	case w.chance(w.plan.down):
		return w.toggle()
	case len(w.late) > 0 && w.chance(0.05):
		w.land(w.rng.IntN(len(w.late)), true)
		return true
	case w.chance(w.plan.jump):
		w.jump(pick(w, time.Second, 4*time.Second, 31*time.Second, 61*time.Second))
		return true
	case w.plan.days && w.chance(0.01):
		w.jump(pick(w, 25*time.Hour, 49*time.Hour))
		return true
	case w.chance(w.plan.lie):
		return w.lose()
	}
	return false
}

// crash kills the process of a clone.
func (w *simWorld) crash(c *simClone) bool {
	p := c.proc
	if p.dead || p.exited {
		return false
	}
	w.crashes++
	w.log("process of lane %d is killed", c.n)
	w.note(200, c.n)
	w.gate.mu.Lock()
	p.dead = true
	w.gate.mu.Unlock()
	if r := p.req; r != nil && r.state == simRunning {
		r.state, r.end = simDied, w.step
		if w.chance(0.5) { // git-annex tries again
			c.program = append([]*simReq{r.again()}, c.program...)
		}
	}
	p.cancel()
	return true
}

func (w *simWorld) toggle() bool {
	i := w.rng.IntN(w.shape.n)
	if w.plan.lie > 0 && !w.bad[i] {
		return false
	}
	count := 0
	for _, down := range w.down {
		if down {
			count++
		}
	}
	if !w.down[i] && count >= w.plan.maxDown {
		return false
	}
	w.down[i] = !w.down[i]
	w.log("b%d down: %v", i, w.down[i])
	w.note(300, i)
	return true
}

// jump lets time pass. What has waited for longer than a minute fails: the
// watchdog of package backends sees to that.
func (w *simWorld) jump(d time.Duration) {
	w.log("%v pass", d)
	w.note(400, int(d))
	time.Sleep(d)
	synctest.Wait()
	waiting, left, finished := w.gate.take()
	w.settle(left)
	for _, r := range finished {
		w.finish(r)
	}
	if d > time.Hour && w.chance(0.3) {
		return // it was at one operation after the other all the time
	}
	for _, op := range waiting {
		if op.id.what != simBegin && op.id.backend >= 0 && time.Since(op.since) > time.Minute {
			op.err = errSimTimeout
			op.data = bytes.Clone(op.data)
			op.req.disturbed = true
			w.log("%v: %v", op.id, op.err)
			w.postpone(op)
			w.gate.end(op)
			synctest.Wait() // one after the other
		}
	}
}

// settle decides what became of operations whose callers have left.
func (w *simWorld) settle(left []*simOp) {
	for _, op := range left {
		if op.req != nil {
			op.req.disturbed = true
		}
		w.log("%v: its caller has left", op.id)
		if op.part != nil && w.chance(0.5) {
			n := w.rng.IntN(len(op.data) + 1)
			w.log("%v: %d of %d bytes are written", op.id, n, len(op.data))
			op.part(n)
		}
		w.postpone(op)
	}
}

// postpone puts a write aside whose caller does not wait for it any more.
func (w *simWorld) postpone(op *simOp) {
	if op.id.what.writes() && w.chance(w.plan.lateness) {
		op.req.late++
		w.late = append(w.late, op)
		if w.chance(0.3) {
			w.land(len(w.late)-1, true)
		}
	}
}

// land carries a late operation out, or lets it vanish.
func (w *simWorld) land(i int, done bool) {
	op := w.late[i]
	w.late = slices.Delete(w.late, i, i+1)
	op.req.late--
	w.log("%v: late, done: %v", op.id, done)
	w.note(500, i)
	if done {
		w.store(op)
	}
}

// carryOut does what an operation asks for, as well as its backend does it.
func (w *simWorld) carryOut(op *simOp) {
	b := op.id.backend
	if b < 0 {
		if w.plan.lie == 0 && op.id.what == simAppend && w.chance(w.plan.fault/4) {
			op.part(w.rng.IntN(len(op.data) + 1))
			op.err = errors.New("no space left on device")
			return
		}
		op.effect()
		return
	}
	switch {
	case w.down[b]:
		op.err = errDown
		op.req.disturbed = true
	case w.bad[b] && w.chance(w.plan.lie*10):
		op.req.disturbed = true
		w.lies = true
		w.lie(op)
	case (w.plan.lie == 0 || w.bad[b]) && w.chance(w.plan.fault):
		op.req.disturbed = true
		if w.chance(0.5) {
			w.store(op)
		}
		op.err, op.n, op.entries, op.hash = errSimFault, 0, nil, ""
	default:
		w.store(op)
	}
}

// store does what an operation asks for.
func (w *simWorld) store(op *simOp) {
	ctx, m, b := context.Background(), w.mem[op.id.backend], op.id.backend
	if op.id.what.writes() {
		op.req.effect = w.step
	}
	switch op.id.what {
	case simPut:
		op.hash, op.err = m.Put(ctx, op.name, op.data)
		w.stored[b][op.name] = &simStored{op.file, op.req, bytes.Clone(op.data)}
		if op.file.Kind == manifest.KindTombstone {
			w.noteTomb(op.file.Incarnation, b)
		}
		if op.file.Kind == manifest.KindManifest && op.req.state == simRunning { // else it comes too late to count
			op.req.looked = w.step
		}
	case simGet:
		op.n, op.err = m.Get(ctx, op.name, op.dst)
	case simList:
		op.entries, op.err = m.List(ctx, op.name)
	case simRemove:
		w.watchRemove(op)
		op.err = m.Remove(ctx, op.name)
		delete(w.stored[b], op.name)
	}
}
