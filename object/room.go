package object

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"shardraid/backends"
	"shardraid/layout"
)

// room is how much of a backend may still be filled with shards. Records are
// small and decide about everything: they get what is kept free of shards.
type room struct {
	mu    sync.Mutex
	asked time.Time
	known bool
	free  int64     // bytes, as last asked, less what was put since
	full  time.Time // until then it takes no shards: it said that it is full

	reserved int64 // bytes of shards that stores under way will put there

	counted bool  // stored is known
	stored  int64 // bytes of ours there, as last listed, and what this process did since
	listed  bool  // since the last Counts
	added   int64 // since then, or since it was listed
}

const (
	// recordRoom is kept free of shards on every backend that says how much
	// is free.
	recordRoom = 16 << 20
	// askAgain is how long an answer about free space is good for.
	askAgain = 5 * time.Minute
	// fullFor is how long a backend that was full gets no shards.
	fullFor = 10 * time.Minute
)

// askRoom begins to ask the backends how much is free, where the last answer is
// old. The function it returns waits for the answers.
func (s *Store) askRoom(ctx context.Context) (wait func()) {
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		s.askRooms(ctx)
	}()
	return func() { <-asked }
}

func (s *Store) askRooms(ctx context.Context) {
	s.each(ctx, s.patience, func(ctx context.Context, i int, b *member) error {
		b.room.mu.Lock()
		stale := b.room.asked.IsZero() || time.Since(b.room.asked) > askAgain
		b.room.mu.Unlock()
		if !stale || b.State != layout.Active {
			return nil
		}
		free, err := b.store.Free(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.room.mu.Lock()
		defer b.room.mu.Unlock()
		b.room.asked, b.room.known, b.room.free = time.Now(), err == nil, free
		return nil // one that cannot say has room until it says no
	})
}

// forRecords is the size that says: no shard, a record.
const forRecords = -1

// hasRoom reports whether a shard of so many bytes may go to the backend.
func (b *member) hasRoom(size int) bool { return b.noRoom(size) == nil }

// noRoom says why a shard of so many bytes may not go to the backend.
func (b *member) noRoom(size int) error {
	if size == forRecords {
		return nil
	}
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	switch {
	case time.Now().Before(b.room.full):
		return fmt.Errorf("%w: it has just said so", backends.ErrFull)
	case b.room.known && b.room.free-b.room.reserved < int64(size)+recordRoom:
		return fmt.Errorf("%w: %d MiB are free, and %d MiB are kept for records: make room there", backends.ErrFull, max(b.room.free, 0)>>20, recordRoom>>20)
	case b.room.counted && b.Limits.Storage > 0 && b.room.stored+b.room.reserved+int64(size) > b.forShards():
		return fmt.Errorf("%w: it has %d MiB of the %d MiB that its limit in the layout allows for shards: raise limits.storage, or add a backend (shardraid status counts anew)", backends.ErrFull, b.room.stored>>20, b.forShards()>>20)
	}
	return nil
}

// forShards is the part of its limit of storage that a backend fills with
// shards: records get the rest. It is 0 where there is no limit.
func (b *member) forShards() int64 {
	return b.Limits.Storage - min(recordRoom, b.Limits.Storage/16)
}

// reserve notes that so many bytes will come, or fewer if below 0.
func (b *member) reserve(bytes int64) {
	b.upload.reserve(bytes)
	b.hold(bytes)
}

// hold keeps room for so many bytes that are on their way, or gives it back if
// below 0.
func (b *member) hold(bytes int64) {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	b.room.reserved += bytes
}

// stored notes how a put of a shard ended.
func (b *member) stored(size int, err error) {
	if err == nil {
		b.count(int64(size))
	}
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	if err == nil {
		b.room.free -= int64(size)
	} else if errors.Is(err, backends.ErrFull) {
		b.room.full = time.Now().Add(fullFor)
	}
}

// count notes that files of so many bytes were put there, or deleted if below 0.
func (b *member) count(bytes int64) {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	b.room.stored += bytes
	b.room.added += bytes
}

// countAll notes what was listed.
func (b *member) countAll(dirs map[string][]file) (files, bytes int64) {
	for _, list := range dirs {
		for _, f := range list {
			files++
			bytes += max(f.size, 0)
		}
	}
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	b.room.counted, b.room.listed, b.room.stored, b.room.added = true, true, bytes, 0
	return files, bytes
}

// Count is what a backend has of this vault's objects, in bytes.
type Count struct {
	All   bool  // Bytes are all: it was listed
	Bytes int64 // else what this process has added, below 0 where it deleted more
}

// Counts returns what was counted since it was called last, by backend id.
func (s *Store) Counts() map[string]Count {
	all := map[string]Count{}
	for _, b := range s.pool {
		b.room.mu.Lock()
		c := Count{b.room.listed, b.room.added}
		if c.All {
			c.Bytes = b.room.stored
		}
		b.room.listed, b.room.added = false, 0
		b.room.mu.Unlock()
		all[b.ID] = c
	}
	return all
}

// ExpectStored tells what backends have, by id, as counted before. A limit of
// storage holds where that is known.
func (s *Store) ExpectStored(bytes map[string]int64) {
	for _, b := range s.pool {
		b.room.mu.Lock()
		if n, ok := bytes[b.ID]; ok {
			b.room.counted, b.room.stored = true, n
		}
		b.room.mu.Unlock()
	}
}
