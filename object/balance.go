package object

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// Balance is what each backend has of all shards, and what its share would be:
// nothing where it shall be emptied, else by how much it can take. Its MoveAll
// moves what is between the two, and nothing else.
type Balance struct {
	Shares []Share
	// Keys are those of the objects that have shards where there are too many,
	// or anything where nothing shall be.
	Keys []string
	// Unknown are directories with shards on backends that shall be emptied, of
	// which no manifest says whose they are.
	Unknown int

	store *Store

	mu   sync.Mutex
	over []int64 // bytes of shards beyond the share, by backend; below 0 where there is room
}

// Share is one backend's, in bytes of shards.
type Share struct {
	Name       string
	State      layout.State
	Has, Share int64
	Err        error // why it keeps what it has, nil if it need not
}

// Balance lists every backend. It needs all but m of them; those that do not
// answer, or fail to say how much is free, keep what they have.
func (s *Store) Balance(ctx context.Context, job *Job) (*Balance, error) {
	all, free, failed, err := s.listAndFree(ctx)
	if err == nil {
		err = s.quorum(&view{errs: all.errs}, nil)
	}
	if err != nil {
		return nil, err
	}
	b := &Balance{store: s, over: make([]int64, len(s.pool)), Shares: make([]Share, len(s.pool))}
	has, capacity := make([]int64, len(s.pool)), make([]int64, len(s.pool))
	for i, m := range s.pool {
		share := &b.Shares[i]
		*share = Share{Name: m.Name, State: m.State, Err: all.errs[i]}
		for _, files := range all.dirs[i] {
			share.Has += shardBytes(files)
		}
		if err := failed[i]; share.Err == nil && m.State == layout.Active && err != nil && !errors.Is(err, errors.ErrUnsupported) {
			share.Err = err
		}
		switch {
		case share.Err != nil:
			continue
		case m.State == layout.Active:
			capacity[i] = m.capacity(share.Has, free[i])
		}
		has[i] = share.Has
	}
	guess(capacity, has)
	for i, share := range fairShares(has, capacity, s.domains(), s.layout.Data, s.parity) {
		if b.Shares[i].Share = share; b.Shares[i].Err != nil {
			b.Shares[i].Share = b.Shares[i].Has
		}
		b.over[i] = has[i] - share
	}
	return b, b.find(ctx, all, job)
}

// find notes the objects that something is to be moved of.
func (b *Balance) find(ctx context.Context, all *listing, job *Job) error {
	s := b.store
	known := map[string]bool{}
	err := s.eachListed(ctx, all, job, func(l Listed) {
		id := s.vault.ObjectID(l.Key)
		for _, m := range s.pool {
			known[m.names.Dir(id)] = true
		}
		if b.concerns(id, all) {
			b.Keys = append(b.Keys, l.Key)
		}
	})
	for i, m := range s.pool {
		for dir, files := range all.dirs[i] {
			if m.State == layout.Drain && !known[dir] && shardBytes(files) > 0 {
				b.Unknown++
			}
		}
	}
	return err
}

func (s *Store) domains() (names []string) {
	for _, b := range s.pool {
		names = append(names, b.Domain)
	}
	return names
}

// unsaid stands for the capacity of a backend that does not say.
const unsaid = -1

// capacity is how many bytes of shards a backend could have that has some now,
// and says that so many are free; unsaid where it does not.
func (b *member) capacity(has, free int64) int64 {
	most := b.forShards()
	switch {
	case free >= 0 && most > 0:
		return min(has+max(0, free-recordRoom), most)
	case free >= 0:
		return has + max(0, free-recordRoom)
	case most > 0:
		return most
	}
	return unsaid
}

// guess takes those that do not say for as large as the others are on average,
// or as each other where none says, and no smaller than what they have.
func guess(capacity, has []int64) {
	sum, n, largest := 0.0, 0, int64(1)
	for i, c := range capacity {
		if c > 0 {
			sum, n = sum+float64(c), n+1
		}
		largest = max(largest, has[i])
	}
	average := largest
	if n > 0 {
		average = int64(sum / float64(n))
	}
	for i, c := range capacity {
		if c == unsaid {
			capacity[i] = max(average, has[i])
		}
	}
}

// Excess is how many bytes of shards are where they should not be.
func (b *Balance) Excess() (bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, over := range b.over {
		bytes += max(0, over)
	}
	return bytes
}

// concerns reports whether an object has shards where there are too many, or
// anything where nothing shall be.
func (b *Balance) concerns(id vault.ObjectID, all *listing) bool {
	for i, m := range b.store.pool {
		files := all.dirs[i][m.names.Dir(id)]
		if m.State == layout.Drain && len(files) > 0 || b.over[i] > 0 && shardBytes(files) > 0 {
			return true
		}
	}
	return false
}

func shardBytes(files []file) (n int64) {
	for _, f := range files {
		if f.Kind == manifest.KindShard {
			n += max(f.size, 0)
		}
	}
	return n
}

// fairShares divides what all backends have by the room that each has, so that
// none gets more than one of every k+m shards, and no domain more than m: a
// segment has no more there.
func fairShares(has, room []int64, domains []string, k, m int) []int64 {
	var total int64
	for _, n := range has {
		total += n
	}
	one := (total + int64(k+m) - 1) / int64(k+m)
	members := map[string][]int{}
	for i, d := range domains {
		members[d] = append(members[d], i)
	}
	names := slices.Sorted(maps.Keys(members))
	rooms, most := make([]int64, len(names)), make([]int64, len(names))
	for d, name := range names {
		n := 0
		for _, i := range members[name] {
			if room[i] > 0 {
				n++
			}
			rooms[d] += room[i]
		}
		most[d] = one * int64(min(m, n))
	}
	shares := make([]int64, len(has))
	for d, share := range divide(total, rooms, most) {
		of := members[names[d]]
		in, most := make([]int64, len(of)), make([]int64, len(of))
		for n, i := range of {
			in[n], most[n] = room[i], one
		}
		for n, part := range divide(share, in, most) {
			shares[of[n]] = part
		}
	}
	return shares
}

// divide divides a total by the room that each has, none getting more than most.
func divide(total int64, room, most []int64) []int64 {
	shares, full := make([]int64, len(room)), make([]bool, len(room))
	for {
		left, rooms := total, 0.0
		for i := range shares {
			if full[i] {
				left -= shares[i]
			} else {
				rooms += float64(room[i])
			}
		}
		again := false
		for i := range shares {
			if full[i] || rooms == 0 {
				continue
			}
			shares[i] = int64(float64(left) * (float64(room[i]) / rooms))
			if shares[i] > most[i] {
				shares[i], full[i], again = most[i], true, true
			}
		}
		if !again {
			return shares
		}
	}
}

// Moved is what became of one object.
type Moved struct {
	Key    string
	Shards int
	Bytes  int64
	Err    error
}

// MoveAll moves shards of the objects of Keys, some at once, until every
// backend has its share, and calls done with each object, one at a time. What it
// could not move stays where it is.
func (b *Balance) MoveAll(ctx context.Context, job *Job, done func(Moved)) error {
	emptied := b.emptied()
	return many(ctx, b.Keys, done, func(key string) Moved {
		m := Moved{Key: key}
		if len(emptied) == 0 && b.Excess() == 0 {
			return m
		}
		how := moving{choose: b.choose, done: func(r *relocation, segment int, src source, to int, err error) {
			size := int64(shardSize(r.inc.manifest, segment))
			if err != nil {
				b.note(to, src.at.backend, size) // it stays
				return
			}
			m.Shards++
			m.Bytes += size
		}}
		m.Err = b.store.moveObject(ctx, b.store.vault.ObjectID(key), emptied, emptied, how, job)
		return m
	})
}

// emptied are the backends that shall be, and answer.
func (b *Balance) emptied() (indexes []int) {
	for i, s := range b.Shares {
		if s.State == layout.Drain && s.Err == nil {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// note counts that so many bytes go from one backend to another.
func (b *Balance) note(from, to int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over[from] -= bytes
	b.over[to] += bytes
}

// choose says where a shard goes, -1 if it stays.
func (b *Balance) choose(r *relocation, segment int, src source) (int, error) {
	from, size := src.at.backend, int64(shardSize(r.inc.manifest, segment))
	drain := r.store.pool[from].State == layout.Drain
	b.mu.Lock()
	defer b.mu.Unlock()
	if !drain && 2*b.over[from] < size {
		return -1, nil
	}
	takers, _ := r.store.takers(r.v, r.inc, segment, src.shard, map[int]bool{from: true})
	if len(takers) == 0 {
		if drain {
			return -1, errNoTaker
		}
		return -1, nil
	}
	to := slices.MinFunc(takers, func(x, y int) int { return int(min(max(b.over[x]-b.over[y], -1), 1)) })
	if !drain && -2*b.over[to] < size {
		return -1, nil
	}
	b.over[from] -= size
	b.over[to] += size
	return to, nil
}
