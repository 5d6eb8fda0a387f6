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
	case b.room.known && b.room.free < int64(size)+recordRoom:
		return fmt.Errorf("%w: %d MiB are free, and %d MiB are kept for records: make room there", backends.ErrFull, max(b.room.free, 0)>>20, recordRoom>>20)
	}
	return nil
}

// stored notes how a put of a shard ended.
func (b *member) stored(size int, err error) {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	if err == nil {
		b.room.free -= int64(size)
	} else if errors.Is(err, backends.ErrFull) {
		b.room.full = time.Now().Add(fullFor)
	}
}
