package object

import (
	"context"
	"time"
)

// hedge runs what next returns, as many at once as are still wanted, until want
// of them were good or next returns nil and all have ended. Where that takes
// longer than patience one more is begun, again and again: the first to come
// counts. It returns how many were good, and none runs on. next and good are
// called by one goroutine, which is the caller's.
func hedge[T any](ctx context.Context, want int, patience time.Duration, next func() func(context.Context) T, good func(T) bool) (got int) {
	ctx, cancel := context.WithCancelCause(ctx)
	results := make(chan T)
	running := 0
	late := time.NewTicker(patience)
	defer late.Stop()
	begin := func(n int) {
		for ; n > 0; n-- {
			task := next()
			if task == nil {
				late.Stop()
				return
			}
			running++
			go func() { results <- task(ctx) }()
		}
	}
	defer func() {
		cancel(errNotNeeded)
		for ; running > 0; running-- {
			<-results
		}
	}()
	begin(want)
	for got < want && running > 0 {
		select {
		case r := <-results:
			running--
			if good(r) {
				got++
			} else {
				begin(want - got - running)
			}
		case <-late.C:
			begin(1)
		}
	}
	return got
}
