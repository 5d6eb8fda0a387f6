package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"shardraid/layout"
	"shardraid/manifest"
)

// relocation gives shards of one incarnation new places: first the copies,
// then the records that name them, then a second look, and only then goes
// what they replace (docs/format.md, section 11, MOVE).
type relocation struct {
	store   *Store
	job     *Job
	v       *view
	inc     *incarnation
	lost    []int // backends given up
	emptied []int // backends that have lost much, as a person says
	leaving []int // backends that shall hold nothing that is needed
	done    []relocated
	began   time.Time
}

// relocated is a shard at its new place.
type relocated struct {
	shardID
	to      place
	from    []place // what it replaces: copies here or damaged ones
	hash    string  // as the backend reports it
	adopted bool    // it was there, and no record named it
}

// maxBatch is how many shards are moved before the records are written: few
// enough that a crash wastes little.
const maxBatch = 64

// errCrowded: two movers at once have given two shards of a segment to one
// backend, or too many to a domain.
var errCrowded = errors.New("another clone has put a shard of the same segment there, or in its domain, meanwhile: try again")

// put stores a shard at its new place.
func (r *relocation) put(ctx context.Context, segment, shard int, data []byte, to int, from ...place) error {
	began := time.Now()
	sh, err := r.store.putShard(ctx, r.inc.manifest, segment, shard, to, data)
	if err != nil {
		return err
	}
	if r.began.IsZero() {
		r.began = began
	}
	at := place{to, manifest.Name{Incarnation: r.inc.id, Kind: manifest.KindShard, Segment: uint32(segment), Shard: uint8(shard), Copy: sh.Copy}}
	r.inc.shards[at] = int64(len(data))
	r.note(relocated{shardID{uint32(segment), uint8(shard)}, at, from, sh.Hash, false})
	return nil
}

// adopt names a good copy that no record names: somebody died before he did.
func (r *relocation) adopt(at place) {
	if r.began.IsZero() {
		r.began = time.Now()
	}
	r.note(relocated{shardID{at.Segment, at.Shard}, at, nil, "", true})
}

// note counts a shard at its new place from now on.
func (r *relocation) note(d relocated) {
	r.done = append(r.done, d)
	r.inc.learn(r.move(d))
}

func (r *relocation) move(d relocated) manifest.Move {
	return manifest.Move{
		Object: r.v.id, Incarnation: r.inc.id, Segment: d.segment, Shard: d.shard,
		Backend: r.store.pool[d.to.backend].ID, Copy: d.to.Copy, Hash: d.hash,
	}
}

// step flushes when enough has come together.
func (r *relocation) step(ctx context.Context) error {
	if len(r.done) < maxBatch {
		return nil
	}
	return r.flush(ctx)
}

// flush writes the records of what was put, looks again, and takes what was
// replaced away.
func (r *relocation) flush(ctx context.Context) error {
	if len(r.done) == 0 {
		return nil
	}
	batch := r.done
	r.done = nil
	defer func() { r.began = time.Time{} }()
	if err := r.record(ctx, batch); err != nil {
		return err // the copies stay: the next repair names them
	}
	v, err := r.store.look(ctx, r.v.id, looking{prove: true, copies: 1, without: r.lost, emptied: r.emptied}, r.job)
	if err == nil {
		err = r.store.quorum(v, nil)
	}
	if err != nil {
		return fmt.Errorf("look again: %w", err)
	}
	if longerThan(maxResume, r.began) {
		return errors.New("it took over a day: others may take the copies for garbage by now; try again")
	}
	now := v.incs[r.inc.id]
	if now == nil || now.inDoubt() {
		r.takeBack(ctx, batch)
		return errInterfered
	}
	var errs []error
	for _, d := range batch {
		if err := r.settle(ctx, now, d); err != nil {
			errs = append(errs, err)
		}
	}
	return joinLine(errs)
}

// record puts the moves on m+1 backends.
func (r *relocation) record(ctx context.Context, batch []relocated) error {
	var moves []manifest.Move
	for _, d := range batch {
		moves = append(moves, r.move(d))
	}
	holders, err := r.store.putMoves(ctx, r.v, r.inc, moves, nil, r.leaving)
	for _, move := range moves {
		r.inc.learn(move, holders...)
	}
	return err
}

// putMoves puts a record of moves on more backends until m+1 have one that are
// not leaving, and returns all that have.
func (s *Store) putMoves(ctx context.Context, v *view, inc *incarnation, moves []manifest.Move, have, leaving []int) ([]int, error) {
	return s.spread(v, inc, have, "its move record", func(b *member) error {
		if slices.Contains(leaving, s.index(b.ID)) {
			return errLeaving
		}
		message, err := manifest.SealMoves(s.vault, moves)
		if err != nil {
			return err
		}
		_, err = b.putRecord(ctx, v.id, inc.id, manifest.KindMove, message)
		return err
	})
}

// settle looks whether a shard may stay at its new place, and then removes
// what it replaces.
func (r *relocation) settle(ctx context.Context, now *incarnation, d relocated) error {
	b := r.store.pool[d.to.backend]
	where := fmt.Sprintf("shard %d of segment %d on %s", d.shard, d.segment, b.Name)
	seen := &incarnation{id: now.id, manifest: r.inc.manifest, shards: now.shards, moves: now.moves, movesUnread: now.movesUnread}
	if !r.store.hasSize(seen, d.to) {
		return fmt.Errorf("%s: it was stored and is not listed", where)
	}
	// Who put another shard there meanwhile and has not named it yet will see ours.
	if crowded, perDomain := r.store.around(seen, int(d.segment), int(d.shard)); crowded[d.to.backend] || perDomain[b.Domain] >= r.store.parity {
		r.takeBack(ctx, []relocated{d})
		return fmt.Errorf("%s: %w", where, errCrowded)
	}
	if len(d.from) == 0 {
		return nil
	}
	if d.hash == "" { // nobody has vouched for the copy yet
		if err := r.verify(ctx, d); err != nil {
			return fmt.Errorf("%s: read back: %w", where, err)
		}
	}
	left := r.store.deleteAll(ctx, r.v, d.from, r.job) // one copy too many
	for _, at := range d.from {
		if !slices.Contains(left, at) {
			delete(r.inc.shards, at)
		}
	}
	return nil
}

// verify reads a shard at its new place and checks its tag.
func (r *relocation) verify(ctx context.Context, d relocated) error {
	data := make([]byte, shardSize(r.inc.manifest, int(d.segment)))
	err := r.store.readShard(ctx, r.inc.manifest, d.to, data)
	if errors.Is(err, errDamagedShard) {
		r.job.damaged(r.store.pool[d.to.backend].Name, "shard")
	}
	return err
}

// takeBack removes copies that this relocation has put. Nobody relies on them:
// whoever removes a copy of a shard has put another one himself.
func (r *relocation) takeBack(ctx context.Context, batch []relocated) {
	var own []place
	for _, d := range batch {
		if !d.adopted {
			own = append(own, d.to)
			delete(r.inc.shards, d.to)
		}
	}
	left := r.store.deleteAll(ctx, r.v, own, r.job) // what stays is for the collector
	for _, at := range own {
		if !slices.Contains(left, at) { // it was not listed yet
			r.store.pool[at.backend].count(-int64(shardSize(r.inc.manifest, int(at.Segment))))
		}
	}
}

// target chooses a backend for a shard: the one that had it, where it answers,
// or the next in the object's order that has no shard of the segment, within
// the domain's share. It returns -1 where there is none.
func (s *Store) target(v *view, inc *incarnation, segment, shard int, not map[int]bool) int {
	takers, _ := s.takers(v, inc, segment, shard, not)
	if len(takers) == 0 {
		return -1
	}
	own := inc.manifest.Segments[segment].Shards[shard].Backend
	var candidates []layout.Candidate
	for _, i := range takers {
		b := s.pool[i]
		if b.ID == own {
			return i
		}
		candidates = append(candidates, layout.Candidate{ID: b.ID, Weight: b.weight(), Domain: b.Domain})
	}
	return takers[layout.Order(v.id, candidates)[0]]
}

// takers are the backends that may take a shard: active, with room, without
// another shard of the segment, and of a domain that may have one more. Full are
// those that lack room alone.
func (s *Store) takers(v *view, inc *incarnation, segment, shard int, not map[int]bool) (indexes []int, full []Cause) {
	crowded, perDomain := s.around(inc, segment, shard)
	for i, b := range s.pool {
		if b.State != layout.Active || v.errs[i] != nil || not[i] || crowded[i] || perDomain[b.Domain] >= s.parity {
			continue
		}
		if err := b.noRoom(shardSize(inc.manifest, segment)); err != nil {
			full = append(full, Cause{b.Name, err})
			continue
		}
		indexes = append(indexes, i)
	}
	return indexes, full
}

// around says where records name other shards of a segment, and they are there,
// and how many each domain has or may have. Where such a shard is nowhere its
// places are kept for it: they have lost it, and nothing else is trusted to them
// meanwhile. Copies that no record names do not count: puts that failed leave
// them, and nobody relies on them. But where a record could not be read each
// copy may be named.
func (s *Store) around(inc *incarnation, segment, shard int) (crowded map[int]bool, perDomain map[string]int) {
	crowded, perDomain = map[int]bool{}, map[string]int{}
	for at := range inc.shards {
		if inc.movesUnread && at.Segment == uint32(segment) && at.Shard != uint8(shard) && s.hasSize(inc, at) {
			crowded[at.backend] = true
		}
	}
	for j := range inc.manifest.Segments[segment].Shards {
		if j == shard {
			continue
		}
		places := s.places(inc, segment, j)
		taken := s.held(inc, places)
		if len(taken) == 0 {
			taken = places
		}
		for _, at := range taken {
			crowded[at.backend] = true
		}
		var domains []string // of a move under way both
		for _, at := range taken {
			domains = append(domains, s.pool[at.backend].Domain)
		}
		slices.Sort(domains)
		for _, d := range slices.Compact(domains) {
			perDomain[d]++
		}
	}
	return crowded, perDomain
}
