package object

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// budget bounds the memory of the segments of all jobs together, and hands
// their buffers round.
type budget struct {
	limit int64
	sem   *semaphore.Weighted

	mu   sync.Mutex
	free [][]byte
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, sem: semaphore.NewWeighted(limit)}
}

// acquire waits for a buffer of size bytes; its content is anything. A job
// that holds several acquires them in the order in which it will finish them,
// so that no two jobs wait for each other.
func (b *budget) acquire(ctx context.Context, size int) ([]byte, error) {
	if err := b.sem.Acquire(ctx, b.weight(size)); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, buf := range b.free {
		if cap(buf) >= size && cap(buf) <= size+size/4 {
			b.free = append(b.free[:i], b.free[i+1:]...)
			return buf[:size], nil
		}
	}
	b.free = nil // of other sizes: the collector may have them
	return make([]byte, size), nil
}

func (b *budget) release(buf []byte) {
	b.mu.Lock()
	b.free = append(b.free, buf)
	b.mu.Unlock()
	b.sem.Release(b.weight(len(buf)))
}

// weight lets a segment larger than the whole budget through alone.
func (b *budget) weight(size int) int64 { return min(int64(size), b.limit) }
