package object

import (
	"context"
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

	store *Store

	mu   sync.Mutex
	over []int64 // bytes of shards beyond the share, by backend; below 0 where there is room
}

// Share is one backend's, in bytes of shards.
type Share struct {
	Name       string
	State      layout.State
	Has, Share int64
}

// Balance lists every backend. It needs all but m of them, and those that do
// not answer keep what they have.
func (s *Store) Balance(ctx context.Context, job *Job) (*Balance, error) {
	free := make(chan []int64, 1)
	go func() { free <- s.free(ctx) }()
	all, err := s.listPool(ctx)
	bytes := <-free
	if err == nil {
		err = s.quorum(&view{errs: all.errs}, nil)
	}
	if err != nil {
		return nil, err
	}
	has, room := make([]int64, len(s.pool)), make([]int64, len(s.pool))
	for i, m := range s.pool {
		if all.errs[i] != nil {
			continue
		}
		for _, files := range all.dirs[i] {
			has[i] += shardBytes(files)
		}
		if m.State == layout.Active {
			room[i] = m.capacity(has[i], bytes[i])
		}
	}
	b := &Balance{store: s, over: make([]int64, len(s.pool))}
	for i, share := range fairShares(has, room, s.layout.Data+s.layout.Parity) {
		b.over[i] = has[i] - share
		b.Shares = append(b.Shares, Share{s.pool[i].Name, s.pool[i].State, has[i], share})
	}
	return b, s.eachListed(ctx, all, job, func(l Listed) {
		if b.concerns(s.vault.ObjectID(l.Key), all) {
			b.Keys = append(b.Keys, l.Key)
		}
	})
}

// capacity is how many bytes of shards a backend could have that has some now,
// and says that so many are free (-1 where it does not).
func (b *member) capacity(has, free int64) int64 {
	n := int64(b.weight())
	if free >= 0 {
		n = has + max(0, free-recordRoom)
	}
	if most := b.Limits.Storage; most > 0 {
		n = min(n, most)
	}
	return n
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
// none gets more than one of every shards: a backend takes one of a segment.
func fairShares(has, room []int64, shards int) []int64 {
	var total int64
	for _, n := range has {
		total += n
	}
	most := (total + int64(shards) - 1) / int64(shards)
	shares, full := make([]int64, len(has)), make([]bool, len(has))
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
			if shares[i] > most {
				shares[i], full[i], again = most, true, true
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
	return many(ctx, b.Keys, done, func(key string) Moved {
		m := Moved{Key: key}
		emptied := b.emptied()
		if len(emptied) == 0 && b.Excess() == 0 {
			return m
		}
		m.Err = b.store.moveObject(ctx, b.store.vault.ObjectID(key), emptied, emptied, func(r *relocation, segment int, src source) (int, error) {
			to, err := b.choose(r, segment, src)
			if to >= 0 {
				m.Shards++
				m.Bytes += int64(shardSize(r.inc.manifest, segment))
			}
			return to, err
		}, job)
		return m
	})
}

// emptied are the backends that shall be.
func (b *Balance) emptied() (indexes []int) {
	for i, m := range b.store.pool {
		if m.State == layout.Drain && m.store != nil {
			indexes = append(indexes, i)
		}
	}
	return indexes
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
	takers := r.store.takers(r.v, r.inc, segment, src.shard, map[int]bool{from: true})
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
