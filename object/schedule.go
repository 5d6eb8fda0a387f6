package object

import (
	"math"
	"slices"
	"sync"
	"time"
)

// schedule decides which backend reads which shard next, for all segments that
// are being read in this process. A backend that is free takes the oldest
// segment that still wants one of its shards: so all links are busy, a fast one
// does more, and nothing waits in the queue of a slow one.
type schedule struct {
	pool []*member

	mu      sync.Mutex
	queue   []*fetch // oldest first
	reading []int    // by backend
	read    int64    // bytes asked for
	extra   int64    // of these, in place of what is late
}

const (
	// readsAtOnce keep a link busy while one answer is on its way to the next
	// request; small shards are all way.
	readsAtOnce      = 2
	smallReadsAtOnce = 4
	smallShard       = 256 << 10
	// A read is late when it has taken lateFactor times what was expected, and
	// lateAfter; the first of a backend after lateAtFirst.
	lateFactor  = 3
	lateAfter   = time.Second
	lateAtFirst = 3 * time.Second
	// A backend is slow that takes slowFactor times as long as the k-th
	// fastest.
	slowFactor = 3
	// What is read in place of late shards: so much, and a share of all; beyond
	// it only in place of what has taken veryLate, and twice what is late.
	extraBytes = 16 << 20
	extraShare = 16
	veryLate   = 10 * time.Second
)

// reading is one shard on its way.
type reading struct {
	source
	began time.Time
	due   time.Duration // later it is late
	late  bool          // its backend is asked last for now
	lost  bool          // another one is asked for in its place
}

func newSchedule(pool []*member) *schedule {
	return &schedule{pool: pool, reading: make([]int, len(pool))}
}

// join puts a segment in the queue.
func (s *schedule) join(f *fetch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	s.dispatch()
}

// leave takes a segment out of the queue; its reads go on until they end.
func (s *schedule) leave(f *fetch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(other *fetch) bool { return other == f })
	s.dispatch()
}

// ended notes that a read has.
func (s *schedule) ended(f *fetch, src source, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading[src.at.backend]--
	f.reads = slices.DeleteFunc(f.reads, func(r *reading) bool { return r.source == src })
	if good {
		f.have[src.shard] = true
	}
	s.dispatch()
}

// lookForLate asks for another shard in place of each that is late, as long as
// that does not get out of hand. It returns when to look again.
func (s *schedule) lookForLate(f *fetch) (next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next = time.Minute // in case that nothing is under way, for whatever reason
	others := f.others() - max(f.wants(), 0)
	for _, r := range f.reads {
		taken := time.Since(r.began)
		if r.lost {
			continue
		}
		if taken < r.due {
			next = min(next, r.due-taken)
			continue
		}
		if !r.late {
			r.late = true
			s.pool[r.at.backend].pace.late()
		}
		if others <= 0 {
			continue // until something ends
		}
		if left := max(veryLate, 2*r.due) - taken; left > 0 && s.extra+f.size > extraBytes+s.read/extraShare {
			next = min(next, left, lateAfter)
			continue
		}
		others--
		r.lost = true
		s.extra += f.size
	}
	s.dispatch()
	return next
}

// others is how many shards could be asked for in place of those being read.
func (f *fetch) others() (n int) {
	could := make([]bool, len(f.have))
	for _, src := range f.todo {
		could[src.shard] = !f.have[src.shard] && !f.isReading(src.shard)
	}
	for _, c := range could {
		if c {
			n++
		}
	}
	return n
}

// again lets what failed be tried once more, if any of it is still wanted.
func (s *schedule) again(f *fetch, sources *[]source) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(f.todo)
	for _, src := range *sources {
		if !f.have[src.shard] {
			f.todo = append(f.todo, src)
		}
	}
	*sources = nil
	s.dispatch()
	return len(f.todo) > before || len(f.reads) > 0
}

// over reports whether a segment has what it wants, or can get no more.
func (s *schedule) over(f *fetch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.count() >= f.want || len(f.reads) == 0 && !slices.ContainsFunc(f.todo, func(src source) bool { return !f.have[src.shard] })
}

// dispatch gives work to backends that are free, the fastest first.
func (s *schedule) dispatch() {
	for begun := true; begun; {
		begun = false
		for _, b := range s.fastest() {
			begun = s.give(b) || begun
		}
	}
}

// fastest returns the backends, those first that would be done soonest; of
// equal ones those that have the data shards of the oldest segment, for parity
// has to be decoded.
func (s *schedule) fastest() (order []int) {
	if len(s.queue) == 0 {
		return nil
	}
	add := func(b int) { order = addBackend(order, b) }
	for _, src := range s.queue[0].sources {
		add(src.at.backend)
	}
	for b := range s.pool {
		add(b)
	}
	expected := make([]time.Duration, len(s.pool))
	for i, b := range s.pool {
		expected[i] = b.pace.expected(smallShard)
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(expected[a] - expected[b]) })
	return order
}

// give lets a backend read for the oldest segment that wants it to.
func (s *schedule) give(b int) bool {
	ahead := 0 // bytes that older segments want
	for _, f := range s.queue {
		if s.reading[b] >= readsAtOnce && (f.size > smallShard || s.reading[b] >= smallReadsAtOnce) {
			return false
		}
		if n := s.wanted(f, b, ahead); n >= 0 {
			s.begin(f, n)
			return true
		}
		ahead += f.wants() * int(f.size)
	}
	return false
}

// wanted returns which of a segment's sources backend b should read now, -1
// for none.
func (s *schedule) wanted(f *fetch, b, ahead int) int {
	left := f.wants()
	if left <= 0 {
		return -1
	}
	patience := s.patience(f, ahead)
	at, better := -1, 0 // sources that serve sooner than a doubtful or slow one
	for n, src := range f.todo {
		if f.have[src.shard] || f.isReading(src.shard) {
			continue
		}
		good := !src.doubtful && s.expected(f, src) <= patience
		if good {
			better++
		}
		if src.at.backend == b && (at < 0 || good) {
			at = n
		}
	}
	if at < 0 || better >= left && (f.todo[at].doubtful || s.expected(f, f.todo[at]) > patience) {
		return -1
	}
	return at
}

func (s *schedule) expected(f *fetch, src source) time.Duration {
	return s.pool[src.at.backend].pace.expected(int(f.size))
}

// patience is how long a read may take so that nobody waits for it: the time
// of the k-th fastest, with some grace, and until the segment's turn comes.
func (s *schedule) patience(f *fetch, ahead int) time.Duration {
	var all []time.Duration
	rate := 1.0 // of all, in bytes per second
	for _, src := range f.sources {
		if !src.doubtful {
			e := s.expected(f, src)
			all = append(all, e)
			rate += float64(f.size) / max(e.Seconds(), 1e-6)
		}
	}
	if len(all) < f.want {
		return math.MaxInt64
	}
	slices.Sort(all)
	return slowFactor*all[f.want-1] + time.Duration(float64(ahead)/rate*float64(time.Second))
}

func (s *schedule) begin(f *fetch, n int) {
	src := f.todo[n]
	f.todo = slices.Delete(f.todo, n, n+1)
	s.reading[src.at.backend]++
	s.read += f.size
	r := &reading{source: src, began: time.Now(), due: lateAtFirst}
	if s.pool[src.at.backend].pace.known() {
		r.due = max(lateAfter, lateFactor*s.expected(f, src))
	}
	f.reads = append(f.reads, r)
	f.begin(src)
}

// wants is how many shards of a segment are to be asked for.
func (f *fetch) wants() int {
	n := f.want - f.count()
	for _, r := range f.reads {
		if !r.lost && !f.have[r.shard] {
			n--
		}
	}
	return n
}

func (f *fetch) isReading(shard int) bool {
	return slices.ContainsFunc(f.reads, func(r *reading) bool { return r.shard == shard })
}
