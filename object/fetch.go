package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"shardraid/backends"
	"shardraid/erasure"
	"shardraid/manifest"
)

// fetch is one segment being brought back from any k of its shards.
type fetch struct {
	store *Store
	job   *Job
	inc   *incarnation
	id    int // the segment's number
	code  *erasure.Code
	buf   []byte
	have  []bool // shards in buf that passed their tag
	bad   []Cause

	sources []source // where shards may be
	size    int64    // of each
	want    int      // shards asked for
	todo    []source // not yet asked for
	reads   []*reading
	begin   func(source)
	begun   chan struct{} // tells that reads were

	// spoiled are the places of shards that are not what was stored.
	spoiled []source
	// unread are the places of shards that are listed and could not be read,
	// be it only at first.
	unread []source
}

// source is a shard at a place where it may be read.
type source struct {
	shard    int
	at       place
	doubtful bool // it is not listed there, or the listing is not known
}

var (
	errDamagedShard = errors.New("its shard is damaged")
	errNotNeeded    = errors.New("not needed any more")
)

// fetchSegment reads k shards of a segment into their places in buf and
// returns the segment, a part of buf. A shard that is late, missing or damaged
// is replaced by another.
func (s *Store) fetchSegment(ctx context.Context, v *view, inc *incarnation, i int, buf []byte, job *Job) ([]byte, error) {
	m := inc.manifest
	code, err := s.code(m.Data, m.Parity)
	if err != nil {
		return nil, err
	}
	f := s.newFetch(v, inc, i, code, buf, job)
	if err := f.read(ctx, m.Data); err != nil {
		return nil, err
	}
	segment, err := f.open(ctx)
	if !errors.Is(err, erasure.ErrSeal) {
		return segment, err
	}
	// All tags fit and the seal does not: somebody who has the tag key wrote a
	// false shard. Read all there are and try the sets without it.
	job.info("segment %d does not authenticate: a shard on one of %s is false; trying others", i, f.holders())
	clear(f.have) // opening has used them up
	f.find(v)
	if err := f.read(ctx, code.Shards()); f.count() <= m.Data {
		return nil, errors.Join(fmt.Errorf("segment %d: %w", i, erasure.ErrSeal), err)
	}
	return f.openSubset(ctx)
}

func (s *Store) newFetch(v *view, inc *incarnation, i int, code *erasure.Code, buf []byte, job *Job) *fetch {
	f := &fetch{store: s, job: job, inc: inc, id: i, code: code, buf: buf, have: make([]bool, code.Shards())}
	f.find(v)
	return f
}

// openFetch is newFetch with a buffer of the budget, which release gives back.
func (s *Store) openFetch(ctx context.Context, v *view, inc *incarnation, i int, job *Job) (f *fetch, release func(), err error) {
	code, err := s.code(inc.manifest.Data, inc.manifest.Parity)
	if err != nil {
		return nil, nil, err
	}
	buf, err := s.budget.acquire(ctx, code.BufferSize(inc.manifest.Segments[i].Length))
	if err != nil {
		return nil, nil, context.Cause(ctx)
	}
	return s.newFetch(v, inc, i, code, buf, job), func() { s.budget.release(buf) }, nil
}

// find lists where the shards may be.
func (f *fetch) find(v *view) {
	f.sources, f.size = nil, int64(f.code.ShardSize(f.inc.manifest.Segments[f.id].Length))
	for j := range f.have {
		places := f.store.places(f.inc, f.id, j)
		for _, at := range places {
			if f.store.pool[at.backend].store == nil {
				f.bad = append(f.bad, Cause{f.store.pool[at.backend].Name, errOff})
				continue
			}
			doubtful := v.errs[at.backend] != nil || !f.store.hasSize(f.inc, at)
			f.sources = append(f.sources, source{j, at, doubtful})
		}
	}
	f.todo = slices.Clone(f.sources)
}

// quick is how long a read may have taken that is tried again when it failed
// and no other shard is left.
const quick = 10 * time.Second

// read goes on until want shards are in buf.
func (f *fetch) read(ctx context.Context, want int) error {
	type answer struct {
		source
		err  error
		took time.Duration
	}
	ctx, cancel := context.WithCancelCause(ctx)
	answers := make(chan answer, len(f.todo))
	f.want = want
	f.begun = make(chan struct{}, 1)
	f.begin = func(src source) {
		select {
		case f.begun <- struct{}{}:
		default:
		}
		go func() {
			began := time.Now()
			err := f.readShard(ctx, src)
			answers <- answer{src, err, time.Since(began)}
		}()
	}
	plan := f.store.schedule
	plan.join(f)
	defer func() { // whoever still reads must not touch buf when we are gone
		plan.leave(f)
		cancel(errNotNeeded)
		for len(f.reads) > 0 {
			a := <-answers
			plan.ended(f, a.source, a.err == nil)
		}
	}()
	late := time.NewTimer(plan.lookForLate(f))
	defer late.Stop()
	var second []source // to be tried again
	for !plan.over(f) || f.count() < want && plan.again(f, &second) {
		select {
		case a := <-answers:
			if a.err != nil && f.failed(ctx, a.source, a.err) && a.took < quick {
				second = append(second, a.source)
			}
			plan.ended(f, a.source, a.err == nil)
		case <-f.begun:
		case <-late.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		late.Reset(plan.lookForLate(f))
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if f.count() < want {
		return &QuorumError{Have: f.count(), Need: f.inc.manifest.Data, What: fmt.Sprintf("shards of segment %d can be read", f.id), Causes: f.bad}
	}
	return nil
}

func (f *fetch) count() (n int) {
	for _, have := range f.have {
		if have {
			n++
		}
	}
	return n
}

// readShard reads one shard into its place and checks its tag.
func (f *fetch) readShard(ctx context.Context, src source) error {
	dst := f.code.Split(f.buf, f.inc.manifest.Segments[f.id].Length)[src.shard]
	return f.store.readShard(ctx, f.inc.manifest, src.at, dst)
}

// readShard reads the shard at a place into dst, which has its size, and checks
// its tag.
func (s *Store) readShard(ctx context.Context, m *manifest.Manifest, at place, dst []byte) (err error) {
	b, seg := s.pool[at.backend], &m.Segments[at.Segment]
	end := b.pace.begin(len(dst))
	defer func() {
		if err != nil && ctx.Err() != nil {
			end(errNotNeeded)
		} else {
			end(err)
		}
	}()
	n, err := b.store.Get(ctx, b.path(m.Object, at.Name), dst)
	if errors.Is(err, backends.ErrTooLarge) || err == nil && n != len(dst) {
		return errDamagedShard
	}
	if err != nil {
		return err
	}
	tagger, err := erasure.NewTagger(&seg.TagKey)
	if err != nil {
		return err
	}
	if !tagger.Check(int(at.Shard), dst, seg.Shards[at.Shard].Tag) {
		return errDamagedShard
	}
	return nil
}

// failed notes why a shard was not read, and reports whether it may be the next
// time. Each is tried twice at most.
func (f *fetch) failed(ctx context.Context, src source, err error) (again bool) {
	name := f.store.pool[src.at.backend].Name
	f.bad = append(f.bad, Cause{name, err})
	if ctx.Err() == nil {
		f.job.debug("backend %s: shard %d of segment %d: %v", name, src.shard, f.id, err)
	}
	if errors.Is(err, errDamagedShard) {
		f.job.damaged(name, "shard")
		f.spoiled = append(f.spoiled, src)
		return false
	}
	if !f.store.hasSize(f.inc, src.at) || slices.Contains(f.unread, src) {
		return false
	}
	f.unread = append(f.unread, src)
	return true
}

// open rebuilds and opens the segment from the shards in buf, and uses them up.
func (f *fetch) open(ctx context.Context) ([]byte, error) {
	if err := f.store.cpu.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	defer f.store.cpu.Release(1)
	return f.decode(f.buf, f.have)
}

func (f *fetch) decode(buf []byte, have []bool) ([]byte, error) {
	m := f.inc.manifest
	return f.code.Decode(buf, m.Segments[f.id].Length, have, f.store.secrets(m, f.id), f.store.position(m, f.id))
}

// maxSets bounds the search for a false shard.
const maxSets = 1000

// openSubset tries sets of k shards until one authenticates.
func (f *fetch) openSubset(ctx context.Context) ([]byte, error) {
	if err := f.store.cpu.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	defer f.store.cpu.Release(1)
	spare := make([]byte, len(f.buf)) // beyond the budget, once in a lifetime
	tried := 0
	for set := range subsets(f.have, f.inc.manifest.Data) {
		if tried++; tried > maxSets || ctx.Err() != nil {
			break
		}
		copy(spare, f.buf)
		segment, err := f.decode(spare, set)
		if err == nil {
			segment = slices.Clone(segment)
			f.nameFalse(spare)
			return f.buf[:copy(f.buf, segment)], nil
		}
	}
	return nil, fmt.Errorf("segment %d: %w, from %d sets of shards on %s", f.id, erasure.ErrSeal, tried, f.holders())
}

// nameFalse codes the segment in buf again and says which backends hold
// another shard than that gives.
func (f *fetch) nameFalse(buf []byte) {
	m := f.inc.manifest
	length := m.Segments[f.id].Length
	right, _, err := f.code.Encode(buf, length, f.store.secrets(m, f.id), f.store.position(m, f.id))
	if err != nil {
		return
	}
	for j, shard := range f.code.Split(f.buf, length) {
		if f.have[j] && !bytes.Equal(shard, right[j]) {
			places := f.store.places(f.inc, f.id, j)
			f.job.damaged(f.store.pool[places[0].backend].Name, "shard with a right tag: somebody who has the custody key made it")
		}
	}
}

// subsets yields every choice of k of the shards at hand.
func subsets(have []bool, k int) iter.Seq[[]bool] {
	return func(yield func([]bool) bool) {
		set := make([]bool, len(have))
		var choose func(from, left int) bool
		choose = func(from, left int) bool {
			if left == 0 {
				return yield(set)
			}
			for i := from; i < len(have); i++ {
				if !have[i] {
					continue
				}
				set[i] = true
				more := choose(i+1, left-1)
				set[i] = false
				if !more {
					return false
				}
			}
			return true
		}
		choose(0, k)
	}
}

func (f *fetch) holders() string {
	var list []int
	for j, have := range f.have {
		if places := f.store.places(f.inc, f.id, j); have && len(places) > 0 {
			list = addBackend(list, places[0].backend)
		}
	}
	return f.store.list(list)
}
