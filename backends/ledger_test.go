package backends

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Two processes with four jobs each have one limit together.
func TestLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "limits", "b1-upload")
		began := time.Now()
		var jobs sync.WaitGroup
		for range 2 {
			l := byteLimiter(1 << 20).share(file)
			defer l.close()
			for range 4 {
				jobs.Go(func() {
					for range 16 {
						if err := wait(t.Context(), l, 64<<10); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		jobs.Wait()
		if took := time.Since(began); took < 7900*time.Millisecond || took > 8100*time.Millisecond { // 8 MiB
			t.Errorf("8 MiB at 1 MiB/s took %v", took)
		}
	})
}

func TestLedgerBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "requests")
		l := requestLimiter(0.1).share(file)
		defer l.close()
		if err := wait(t.Context(), l, 1); err != nil {
			t.Error(err)
		}
		// Who cannot have his turn in time gives it back.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := wait(ctx, l, 1); !errors.Is(err, errLate) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := wait(t.Context(), l, 1); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// A clock that was set back holds nobody.
		future := time.Now().Add(1000 * time.Hour).UnixNano()
		if err := os.WriteFile(file, []byte{byte(future >> 56), byte(future >> 48), byte(future >> 40), 0, 0, 0, 0, 0}, 0o600); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		if err := wait(t.Context(), l, 1); err != nil || time.Since(began) > 65*10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
	// Without a file a limit is still one of this process.
	l := byteLimiter(1 << 30).share("/dev/null/limits/b1-upload")
	if err := wait(t.Context(), l, 1); err != nil {
		t.Error(err)
	}
	if byteLimiter(0).share("x").ledger != nil {
		t.Error("no limit has a ledger")
	}
}

func TestLinkLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := NewLink(1<<20, 0, "")
		slow, fast := byteLimiter(256<<10).over(link.upload), byteLimiter(0).over(link.upload)
		if slow.Burst() != 64<<10 || slow.Limit() != 256<<10 || fast.Limit() != 1<<20 {
			t.Errorf("%d, %v, %v", slow.Burst(), slow.Limit(), fast.Limit())
		}
		began := time.Now()
		for range 64 {
			wait(t.Context(), fast, 64<<10)
		}
		if took := time.Since(began); took < 3900*time.Millisecond || took > 4*time.Second {
			t.Errorf("4 MiB at 1 MiB/s took %v", took)
		}
	})
}
