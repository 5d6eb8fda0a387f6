package object

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"shardraid/backends"
	"shardraid/erasure"
	"shardraid/manifest"
	"shardraid/vault"
)

// putSegments reads the source once, in order, and stores its segments, as
// many at once as the memory budget lets through.
func (p *put) putSegments(ctx context.Context, v *view) error {
	p.resume(v)
	g, groupCtx := errgroup.WithContext(ctx)
	p.lanes = newLanes(groupCtx, len(p.store.pool))
	defer p.lanes.end()
	for i := range p.m.Segments {
		buf, err := p.store.budget.acquire(groupCtx, p.code.BufferSize(p.m.Segments[i].Length))
		if err != nil {
			break // the group has the cause, or ctx has
		}
		if err := p.read(i, buf); err != nil {
			p.store.budget.release(buf)
			g.Go(func() error { return err })
			break
		}
		g.Go(func() error {
			defer p.store.budget.release(buf)
			return p.putSegment(groupCtx, i, buf)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// read fills buf with a segment of the source and its padding.
func (p *put) read(i int, buf []byte) error {
	n := p.m.ContentLength(i)
	if err := readFull(p.src, buf[:n], p.m.Offset(i)); err != nil {
		return err
	}
	clear(buf[n:p.m.Segments[i].Length])
	return nil
}

// resume takes over the segments that an interrupted store has finished, if
// what it wrote is still there and nobody has condemned it.
func (p *put) resume(v *view) {
	if p.journal == nil || p.journal.head.Incarnation == p.m.Incarnation {
		return
	}
	inc := v.incs[p.journal.head.Incarnation]
	if inc == nil || len(inc.tombAt)+len(inc.doomAt)+len(inc.copies) > 0 {
		p.journal.restart(p.head(p.m.Size)) // a journal that cannot be written shows at the first segment
		return
	}
	p.m.Incarnation = inc.id
	p.m.Supersedes = slices.DeleteFunc(p.m.Supersedes, func(id vault.Incarnation) bool { return id == inc.id })
	for i, seg := range p.journal.segments {
		if i < 0 || i >= len(p.m.Segments) || seg.Length != p.m.Segments[i].Length || len(seg.Shards) != p.code.Shards() {
			continue
		}
		whole := *p.m
		whole.Segments = make([]manifest.Segment, i+1)
		whole.Segments[i] = seg
		seen, _, _ := p.store.countShards(v, &incarnation{id: inc.id, manifest: &whole, shards: inc.shards}, i)
		if seen >= p.store.layout.WriteQuorum {
			p.m.Segments[i] = seg
		}
	}
}

// putSegment seals, codes and tags the segment in buf and stores its shards.
// Of a segment that was stored before it only makes sure that it is the same.
func (p *put) putSegment(ctx context.Context, i int, buf []byte) error {
	s, seg := p.store, &p.m.Segments[i]
	stored := seg.Shards != nil
	if !stored {
		rand.Read(seg.Nonce[:])
	}
	seg.TagKey = s.vault.TagKey(p.m.Incarnation, seg.Nonce)
	shards, tags, err := s.encode(ctx, p.code, p.m, i, buf)
	if err != nil {
		return err
	}
	if stored {
		for j, sh := range seg.Shards {
			if sh.Tag != tags[j] {
				return p.changed(i)
			}
		}
		p.meter.add(int64(p.m.ContentLength(i)))
		return nil
	}
	out, causes := p.putShards(ctx, i, shards, tags)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	count := 0
	for _, sh := range out {
		if sh.Backend != "" {
			count++
		}
	}
	if count < s.layout.WriteQuorum {
		return &QuorumError{Have: count, Need: s.layout.WriteQuorum, What: fmt.Sprintf("shards of segment %d stored (write_quorum)", i), Causes: causes}
	}
	seg.Shards = out
	return p.journal.note(i, *seg)
}

// changed says that the source is not what an interrupted store has read: the
// journal is given up and the store begins anew.
func (p *put) changed(i int) error {
	head := p.head(p.m.Size)
	head.Incarnation = manifest.NewIncarnation()
	p.journal.restart(head)
	return fmt.Errorf("segment %d has changed since the store was interrupted: %w", i, errInterfered)
}

// putShard stores one shard under a new name, twice if it must.
func (s *Store) putShard(ctx context.Context, m *manifest.Manifest, segment, shard, at int, data []byte) (manifest.Shard, error) {
	b := s.pool[at]
	var err error
	for range 2 {
		name := manifest.Name{
			Incarnation: m.Incarnation, Kind: manifest.KindShard,
			Segment: uint32(segment), Shard: uint8(shard), Copy: manifest.NewCopyID(),
		}
		var hash string
		end := b.upload.begin(len(data))
		hash, err = b.store.Put(ctx, b.path(m.Object, name), data)
		b.stored(len(data), err)
		switch {
		case err == nil:
			end(nil)
			return manifest.Shard{Backend: b.ID, Copy: name.Copy, Hash: hash}, nil
		case ctx.Err() != nil:
			end(errNotNeeded)
			return manifest.Shard{}, context.Cause(ctx)
		case errors.Is(err, backends.ErrFull):
			end(errNotNeeded) // that is none of its speed
			return manifest.Shard{}, err
		}
		end(err)
	}
	return manifest.Shard{}, err
}

// encode makes the shards of the segment in buf.
func (s *Store) encode(ctx context.Context, code *erasure.Code, m *manifest.Manifest, i int, buf []byte) ([][]byte, []erasure.Tag, error) {
	if err := s.cpu.Acquire(ctx, 1); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	defer s.cpu.Release(1)
	return code.Encode(buf, m.Segments[i].Length, s.secrets(m, i), s.position(m, i))
}

func (s *Store) secrets(m *manifest.Manifest, i int) *erasure.Secrets {
	nonce := m.Segments[i].Nonce
	return &erasure.Secrets{Content: s.vault.ContentKey(m.Incarnation), Tag: s.vault.TagKey(m.Incarnation, nonce), Nonce: nonce}
}

func (s *Store) position(m *manifest.Manifest, i int) erasure.Position {
	return erasure.Position{Incarnation: m.Incarnation, Index: uint32(i), Last: i == len(m.Segments)-1}
}

// sameContent reports whether src holds the content of a manifest: every
// segment, sealed with the same nonce, has the same tags.
func (s *Store) sameContent(ctx context.Context, m *manifest.Manifest, src io.ReaderAt, size int64) (bool, error) {
	if m.Inlined() {
		content := make([]byte, size)
		err := readFull(src, content, 0)
		return slices.Equal(content, m.Content), err
	}
	n, err := s.samePrefix(ctx, m, src, size)
	return n == len(m.Segments), err
}

// samePrefix returns how many segments of a manifest src begins with, of the
// size bytes that it has.
func (s *Store) samePrefix(ctx context.Context, m *manifest.Manifest, src io.ReaderAt, size int64) (int, error) {
	code, err := s.code(m.Data, m.Parity)
	if err != nil {
		return 0, err
	}
	for i := range m.Segments {
		if m.Offset(i)+int64(m.ContentLength(i)) > size {
			return i, nil
		}
		buf, err := s.budget.acquire(ctx, code.BufferSize(m.Segments[i].Length))
		if err != nil {
			return i, err
		}
		same, err := s.sameSegment(ctx, code, m, i, src, buf)
		s.budget.release(buf)
		if !same || err != nil {
			return i, err
		}
	}
	return len(m.Segments), nil
}

func (s *Store) sameSegment(ctx context.Context, code *erasure.Code, m *manifest.Manifest, i int, src io.ReaderAt, buf []byte) (bool, error) {
	n := m.ContentLength(i)
	if err := readFull(src, buf[:n], m.Offset(i)); err != nil {
		return false, err
	}
	clear(buf[n:m.Segments[i].Length])
	_, tags, err := s.encode(ctx, code, m, i, buf)
	if err != nil {
		return false, err
	}
	for j, sh := range m.Segments[i].Shards {
		if sh.Tag != tags[j] {
			return false, nil
		}
	}
	return true, nil
}

var errShortSource = errors.New("the file is shorter than its size said: it has changed")

func readFull(src io.ReaderAt, buf []byte, offset int64) error {
	n, err := src.ReadAt(buf, offset)
	if n == len(buf) {
		return nil
	}
	if err == io.EOF {
		err = errShortSource
	}
	return fmt.Errorf("read source: %w", err)
}

// fanOut calls fn for every item at once and returns one error each.
func fanOut[T any](items []T, fn func(T) error) []error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = fn(item) })
	}
	wg.Wait()
	return errs
}

// meter adds up what many goroutines have done.
type meter struct {
	mu     sync.Mutex
	sum    float64
	report func(bytes int64)
}

func (m *meter) add(bytes int64) { m.addShare(bytes, 1) }

func (m *meter) addShare(bytes int64, of int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum += float64(bytes) / float64(of)
	m.report(int64(m.sum))
}
