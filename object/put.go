package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"shardraid/erasure"
	"shardraid/layout"
	"shardraid/manifest"
)

// maxAttempts is how often a store begins anew when another clone removes or
// collects what it writes.
const maxAttempts = 4

// Put stores size bytes of src under key. When it returns nil the object is
// present: its manifest is on m+1 backends, write_quorum shards of every
// segment are stored, and all of that was read back.
func (s *Store) Put(ctx context.Context, key string, src io.ReaderAt, size int64, job *Job) error {
	var err error
	for range maxAttempts {
		if err = s.putOnce(ctx, key, src, size, job); !errors.Is(err, errInterfered) {
			break
		}
		job.debug("store anew: %v", err)
	}
	return err
}

// put is one attempt to store an object.
type put struct {
	store   *Store
	job     *Job
	seen    *view // of the object, before the store
	code    *erasure.Code
	src     io.ReaderAt
	m       *manifest.Manifest
	journal *journal
	meter   meter
	lanes   *lanes

	reserved map[int]int64 // bytes, by backend

	mu     sync.Mutex
	own    []int // backends by shard; -1 where there is none to take it
	failed []int // backends that have failed in this store
	late   []int // backends that were too slow for some shard
	causes []Cause
}

func (s *Store) putOnce(ctx context.Context, key string, src io.ReaderAt, size int64, job *Job) error {
	id := s.vault.ObjectID(key)
	room := func() {}
	if size > s.layout.Inline { // records go where shards do not
		ctx, cancel := context.WithCancel(ctx)
		room = s.askRoom(ctx)
		defer func() { cancel(); room() }()
	}
	// No patience to save here: a backend that is missed gets no shard.
	v, err := s.look(ctx, id, looking{place: true, copies: s.parity + 1}, job)
	if err != nil {
		return err
	}
	if err := s.quorum(v, nil); err != nil {
		return err
	}
	if stored, err := s.storedAlready(ctx, v, src, size, job); stored || err != nil {
		return err
	}
	room()
	p := &put{store: s, job: job, seen: v, src: src, meter: meter{report: job.progress}}
	defer p.unreserveAll()
	if err := p.plan(v, key, size); err != nil {
		return err
	}
	success := false
	if !p.m.Inlined() {
		if p.journal, err = s.openJournal(id, p.head(size)); err != nil {
			return err
		}
		defer func() { p.journal.close(success) }()
		if err := p.putSegments(ctx, v); err != nil {
			return err
		}
		if err := p.journal.conclude(); err != nil {
			return err
		}
	}
	if err := p.putManifests(ctx, v); err != nil {
		return err
	}
	if err := s.readBack(ctx, p.m, job); err != nil {
		if errors.Is(err, errInterfered) {
			success = true // of no use any more: resume nothing
		}
		return err
	}
	success = true
	job.progress(size)
	if err := p.reportMissing(); err != nil {
		job.info("shards are missing, and that cannot be noted for the next process (run shardraid repair later): %v", err)
	}
	s.buryAll(ctx, v, p.m.Supersedes, job)
	return nil
}

// plan decides where the object goes and fills in all of the manifest but the
// segments' shards.
func (p *put) plan(v *view, key string, size int64) (err error) {
	s := p.store
	p.m = &manifest.Manifest{
		Object: v.id, Incarnation: manifest.NewIncarnation(),
		Data: s.layout.Data, Parity: s.layout.Parity, Key: key, Size: size,
	}
	for _, inc := range s.candidates(v) {
		p.m.Supersedes = append(p.m.Supersedes, inc.id)
	}
	if p.code, err = s.code(p.m.Data, p.m.Parity); err != nil {
		return err
	}
	inlined := size <= s.layout.Inline
	need, each := s.layout.WriteQuorum, int(size/int64(p.m.Data))
	if inlined { // records go where shards do not
		need, each = s.parity+1, forRecords
	}
	p.own = s.placeShards(v, each)
	p.reserved = map[int]int64{}
	for _, at := range p.own {
		p.reserved[at] = int64(max(each, 0))
	}
	if placed := len(p.own); placed < need {
		short := s.shortOf(v, placed, need, "backends can take a shard")
		for i, b := range s.pool {
			if err := b.noRoom(each); b.State == layout.Active && v.errs[i] == nil && err != nil {
				short.Causes = append(short.Causes, Cause{b.Name, err})
			}
		}
		return short
	}
	for len(p.own) < p.code.Shards() {
		p.own = append(p.own, -1)
	}
	if inlined {
		p.m.Content = make([]byte, size)
		return readFull(p.src, p.m.Content, 0)
	}
	length := s.segmentLength(size)
	count := (size + int64(length) - 1) / int64(length)
	if manifest.EstimateBody(count, p.code.Shards()) > manifest.MaxBody {
		return fmt.Errorf("the manifest of %d segments would pass 8 MiB: raise shard_size in the layout, or store files of at most %d GiB",
			count, count*int64(length)*manifest.MaxBody/manifest.EstimateBody(count, p.code.Shards())>>30)
	}
	p.m.Segments = make([]manifest.Segment, count)
	for i := range p.m.Segments {
		p.m.Segments[i].Length = length
	}
	last := int(size - (count-1)*int64(length))
	p.m.Segments[count-1].Length = erasure.Padded(last)
	return nil
}

// placeShards returns the backends for the shards of an object, size bytes on
// each, fewer than k+m where that many do not answer or have no room. They are
// reserved until unreserve.
func (s *Store) placeShards(v *view, size int) []int {
	s.placing.Lock() // what one store reserves the next one sees
	defer s.placing.Unlock()
	var indexes []int
	var candidates []layout.Candidate
	for i, b := range s.pool {
		if b.State == layout.Active && v.errs[i] == nil && b.hasRoom(size) {
			indexes = append(indexes, i)
			candidates = append(candidates, layout.Candidate{ID: b.ID, Weight: b.weight(), Domain: b.Domain})
		}
	}
	s.classify(indexes, candidates, size)
	var own []int
	for _, c := range layout.Place(v.id, candidates, s.layout.Data+s.layout.Parity, s.layout.Parity) {
		own = append(own, indexes[c])
		s.pool[indexes[c]].reserve(int64(max(size, 0)))
	}
	return own
}

// unreserve gives back what this store has not used of a backend, so many bytes
// at most.
func (p *put) unreserve(at int, most int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.reserved[at], most)
	p.reserved[at] -= n
	p.store.pool[at].reserve(-n)
}

func (p *put) unreserveAll() {
	for at := range p.reserved {
		p.unreserve(at, math.MaxInt64)
	}
}

// classify puts the candidates into classes by how soon they would have taken a
// shard: each takes a quarter longer than the one before.
func (s *Store) classify(indexes []int, candidates []layout.Candidate, size int) {
	least := time.Duration(math.MaxInt64)
	for _, i := range indexes {
		least = min(least, s.pool[i].upload.expected(size))
	}
	for c, i := range indexes {
		ratio := float64(s.pool[i].upload.expected(size)+pauseNoted) / float64(least+pauseNoted)
		candidates[c].Class = int(math.Log(ratio) / math.Log(1.25))
	}
}

// pauseNoted is how much longer a backend may take before that counts.
const pauseNoted = 500 * time.Millisecond

// weight is a backend's share of the objects: its storage limit, where the
// layout says one.
func (b *member) weight() float64 {
	if b.Limits.Storage > 0 {
		return float64(b.Limits.Storage)
	}
	return 15 << 30 // of a usual free account
}

// segmentLength chooses the length of an object's segments: so many that all
// links stay busy, within the memory that there is, yet large ones, so that
// requests are few (docs/design.md, "Segments").
func (s *Store) segmentLength(size int64) int {
	k, n := int64(s.layout.Data), int64(s.layout.Data+s.layout.Parity)
	most := min(k*s.layout.ShardSize, erasure.MaxSegment, maxSegmentBuffer*k/n)
	length := min(max(size/32, 4<<20), 16<<20)
	length = max(length, size/maxSegments)
	return erasure.PaddedFloor(int(min(length, most)))
}

// maxSegments is how many segments an object gets before they grow, lest its
// manifest takes long to read.
const maxSegments = 2000

func (p *put) head(size int64) journalHead {
	return journalHead{
		Version: 1, Started: time.Now(), Incarnation: p.m.Incarnation, Size: size,
		Segment: p.m.Segments[0].Length, Data: p.m.Data, Parity: p.m.Parity,
	}
}

// putManifests puts the manifest on the object's own backends, at least m+1.
// As many as may be silent go ahead: if we die in mid-write no more copies than
// that are torn while none is whole, so that a reader can still prove what is
// absent.
func (p *put) putManifests(ctx context.Context, v *view) error {
	s := p.store
	var own []int
	if p.m.Inlined() {
		own = slices.Clone(p.own[:s.parity+1])
	} else {
		own = slices.DeleteFunc(slices.Clone(p.own), func(i int) bool { return i < 0 })
		quick := slices.DeleteFunc(slices.Clone(own), func(i int) bool { return slices.Contains(p.late, i) })
		if len(quick) > s.parity { // who lacks shards need not hold up the success
			own = quick
		}
	}
	spare := s.copyOrder(v, nil)
	stored, causes := 0, []Cause(nil)
	tried := map[int]bool{}
	perDomain := map[string]int{}
	next := func(n int) (batch []int) {
		for _, i := range append(own, spare...) {
			if len(batch) == n {
				break
			}
			domain := s.pool[i].Domain
			if !tried[i] && (slices.Contains(own, i) || stored <= s.parity && perDomain[domain] < s.parity) {
				tried[i] = true
				perDomain[domain]++
				batch = append(batch, i)
			}
		}
		return batch
	}
	for batch := next(s.silence); len(batch) > 0; batch = next(max(s.parity+1-stored, len(own)-len(tried), 0)) {
		errs := fanOut(batch, func(i int) error { return s.putManifest(ctx, s.pool[i], p.m) })
		for j, err := range errs {
			if err == nil {
				stored++
			} else {
				causes = append(causes, Cause{s.pool[batch[j]].Name, err})
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if stored <= s.parity {
		return &QuorumError{Have: stored, Need: s.parity + 1, What: "backends have taken the manifest", Causes: causes}
	}
	return nil
}

func (s *Store) putManifest(ctx context.Context, b *member, m *manifest.Manifest) error {
	message, err := m.Seal(s.vault)
	if err != nil {
		return err
	}
	_, err = b.putRecord(ctx, m.Object, m.Incarnation, manifest.KindManifest, message)
	return err
}

// copyOrder returns the backends that answered and may take a copy of a
// record, those with these ids first.
func (s *Store) copyOrder(v *view, first []string) []int {
	var order, rest []int
	for i, b := range s.pool {
		switch {
		case b.State != layout.Active || v.errs[i] != nil:
		case slices.Contains(first, b.ID):
			order = append(order, i)
		default:
			rest = append(rest, i)
		}
	}
	return append(order, rest...)
}

// readBack makes sure that what was stored is there and that nobody has begun
// to remove or collect it.
func (s *Store) readBack(ctx context.Context, m *manifest.Manifest, job *Job) error {
	v, err := s.look(ctx, m.Object, looking{prove: true, copies: s.parity + 1, patience: 10 * s.patience}, job)
	if err != nil {
		return err
	}
	if err := s.quorum(v, nil); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	inc := v.incs[m.Incarnation]
	if inc == nil {
		return errors.New("read back: nothing of it is listed")
	}
	if len(inc.tombs)+len(inc.dooms) > 0 {
		return errInterfered
	}
	if len(inc.doubt) > 0 {
		return fmt.Errorf("read back: a record of its removal on %s cannot be read", s.list(inc.doubt))
	}
	if len(inc.valid) <= s.parity {
		return fmt.Errorf("read back: %d of at least %d manifests are there", len(inc.valid), s.parity+1)
	}
	need := min(max(s.layout.WriteQuorum, m.Data+1), m.Data+m.Parity) // it may be of another layout
	for i := range inc.manifest.Segments {
		if seen, _, missing := s.countShards(v, inc, i); seen < need {
			return fmt.Errorf("read back: %w", &QuorumError{Have: seen, Need: need, What: fmt.Sprintf("shards of segment %d are there", i), Causes: missing})
		}
	}
	job.placed(s.placement(inc))
	return nil
}

// storedAlready reports whether the incarnation that readers take is healthy
// and holds these very bytes.
func (s *Store) storedAlready(ctx context.Context, v *view, src io.ReaderAt, size int64, job *Job) (bool, error) {
	list := s.candidates(v)
	if len(list) == 0 {
		return false, nil
	}
	inc := list[0]
	if st, _ := s.judge(v, inc); st != present || inc.manifest.Size != size || !s.complete(v, inc) {
		return false, nil
	}
	same, err := s.sameContent(ctx, inc.manifest, src, size)
	if !same || err != nil || s.readBack(ctx, inc.manifest, job) != nil {
		return false, err
	}
	job.debug("incarnation %s holds the same bytes", inc.id)
	job.progress(size)
	return true, nil
}

// complete reports whether every shard of an incarnation is there, each on a
// backend of its own.
func (s *Store) complete(v *view, inc *incarnation) bool {
	h := s.health(v, inc, nil, nil, len(inc.valid))
	return h.Missing+h.Damaged+h.Silent == 0
}

// reportMissing tells the person if the object has fewer shards than it
// should, and notes it for the next process.
func (p *put) reportMissing() error {
	missing := 0
	for _, seg := range p.m.Segments {
		for _, sh := range seg.Shards {
			if sh.Backend == "" {
				missing++
			}
		}
	}
	if missing == 0 {
		return nil
	}
	var names []string
	for i, b := range p.store.pool {
		if b.State == layout.Active && (p.seen.errs[i] != nil || !b.hasRoom(0)) || slices.Contains(p.failed, i) || slices.Contains(p.late, i) {
			names = append(names, b.Name)
		}
	}
	p.job.info("stored and safe, yet %d of %d shards are missing, since these backends did not take them: %s; they will be filled in",
		missing, len(p.m.Segments)*p.code.Shards(), strings.Join(names, ", "))
	return p.store.notePending(p.m.Object, p.m.Incarnation, missing)
}

func (s *Store) shortOf(v *view, have, need int, what string) *QuorumError {
	e := &QuorumError{Have: have, Need: need, What: what}
	for i, err := range v.errs {
		if err != nil {
			e.Causes = append(e.Causes, Cause{s.pool[i].Name, err})
		}
	}
	return e
}

// placement describes where an incarnation is.
func (s *Store) placement(inc *incarnation) Placement {
	m := inc.manifest
	p := Placement{Data: m.Data, Parity: m.Parity, Inlined: m.Inlined(), Complete: true}
	has := map[int]bool{}
	for i, seg := range m.Segments {
		for j := range seg.Shards {
			places := s.places(inc, i, j)
			p.Complete = p.Complete && len(places) > 0
			if here := s.held(inc, places); len(here) > 0 {
				places = here // the others it has left, or they do not answer
			}
			for _, at := range places {
				has[at.backend] = true
			}
		}
	}
	holds := map[int]bool{}
	for _, at := range inc.copies {
		holds[at.backend] = !slices.Contains(inc.broken, at.backend)
	}
	for i, b := range s.pool {
		if has[i] || m.Inlined() && holds[i] {
			p.Backends = append(p.Backends, b.Name)
		}
	}
	return p
}
