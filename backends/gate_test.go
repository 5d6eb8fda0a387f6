package backends

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/fserrors"
	"github.com/rclone/rclone/lib/pacer"
)

var errSlow = restError(429, "") // slow down, without a time

// script is a backend whose lists fail as told, then work. Time stands still but for waits.
type script struct {
	*oddFs
	*Rclone
	mu    sync.Mutex
	errs  []error
	calls int
	links int
	shut  atomic.Int32
}

func openScript(t *testing.T, errs ...error) *script {
	s := &script{errs: errs}
	s.oddFs, s.Rclone = openOdd(t)
	s.newFs = func(context.Context) (fs.Fs, error) { s.links++; return s.oddFs, nil }
	s.features.Shutdown = func(context.Context) error { s.shut.Add(1); return nil }
	s.list = func(context.Context, string) (fs.DirEntries, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls++
		if len(s.errs) == 0 {
			return nil, nil
		}
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, err
	}
	return s
}

// must lists, and compares the error, the calls and the time it took.
func (s *script) must(t *testing.T, calls int, took time.Duration, texts ...string) {
	t.Helper()
	before, start := s.calls, time.Now()
	_, err := s.Rclone.List(ctx, "")
	if (err == nil) != (len(texts) == 0) {
		t.Errorf("list: %v, want %q", err, texts)
	}
	for _, text := range texts {
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("list: %v, want %q", err, text)
		}
	}
	if s.calls != before+calls || time.Since(start) != took {
		t.Errorf("%d calls in %v, want %d in %v", s.calls-before, time.Since(start), calls, took)
	}
}

func times(n int, err error) []error {
	var errs []error
	for range n {
		errs = append(errs, err)
	}
	return errs
}

func at(d time.Duration) string { return clock(time.Now().Add(d)) }

func TestThrottleIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, pacer.RetryAfterError(io.EOF, 3*time.Second), fserrors.NewErrorRetryAfter(9*time.Second))
		s.must(t, 3, 9*time.Second) // the second is a time of day
		if s.links != 1 {
			t.Errorf("%d connections", s.links)
		}
	})
}

func TestThrottleDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, times(7, errSlow)...)
		// Tried at 0, 1 and 3 seconds; then again at 7 and 15.
		s.must(t, 3, 3*time.Second, "HTTP error 429", "throttled, asks to be left alone until "+at(7*time.Second)+" (for 4s)")
		s.must(t, 2, 12*time.Second, "for 16s")
		s.must(t, 0, 0, "for 16s")
		time.Sleep(16 * time.Second)
		s.must(t, 1, 0, "for 32s")
		time.Sleep(32 * time.Second)
		s.must(t, 1, 0, "for 60s") // at most
		time.Sleep(time.Minute)
		s.must(t, 1, 0)
		s.errs = times(1, errSlow)
		s.must(t, 2, time.Second) // a success has reset the pause
	})
}

func TestThrottleNamesALongTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, pacer.RetryAfterError(io.EOF, 35*time.Second), pacer.RetryAfterError(io.EOF, 1000*time.Hour))
		s.must(t, 1, 0, "throttled, asks to be left alone until "+at(35*time.Second)+" (for 35s)")
		synctest.Wait()
		if s.shut.Load() != 1 {
			t.Error("the connection stays, with a pacer that would wait")
		}
		if _, err := s.Rclone.Put(ctx, "a", nil); err == nil || !strings.Contains(err.Error(), "for 35s") {
			t.Errorf("put: %v", err)
		}
		if err := s.Ready(); err == nil || !strings.HasPrefix(err.Error(), "odd: use: EOF") {
			t.Errorf("ready: %v", err)
		}
		time.Sleep(35 * time.Second)
		if err := s.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		s.must(t, 1, 0, "for 900s")
		time.Sleep(maxNamed)
		s.must(t, 1, 0)
		if s.links != 3 {
			t.Errorf("%d connections", s.links)
		}
	})
}

// Calls of one time that are all told to slow down are one reason to do so.
func TestThrottleOfManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t)
		s.must(t, 1, 0) // connects
		s.errs = times(8, errSlow)
		list := s.list
		s.list = func(ctx context.Context, dir string) (fs.DirEntries, error) {
			time.Sleep(time.Millisecond)
			return list(ctx, dir)
		}
		start := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := s.Rclone.List(ctx, ""); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took != time.Second+2*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// Of two times that are named the longer one counts.
func TestThrottleIsNotShortened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t)
		s.must(t, 1, 0) // connects
		s.errs = []error{pacer.RetryAfterError(io.EOF, 9*time.Second), pacer.RetryAfterError(io.EOF, 2*time.Second)}
		list := s.list
		s.list = func(ctx context.Context, dir string) (fs.DirEntries, error) {
			entries, err := list(ctx, dir)
			s.mu.Lock()
			left := len(s.errs)
			s.mu.Unlock()
			time.Sleep(time.Duration(4-left) * time.Millisecond) // one after the other
			return entries, err
		}
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				start := time.Now()
				if _, err := s.Rclone.List(ctx, ""); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took < 9*time.Second || took > 10*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
		all.Wait()
	})
}

// Whoever still uses a connection that must go keeps it until then.
func TestDroppedConnectionIsUsedToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, pacer.RetryAfterError(io.EOF, time.Hour))
		s.oddFs.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
			time.Sleep(time.Minute / 2)
			if s.shut.Load() > 0 {
				t.Error("the connection was shut down meanwhile")
			}
			return s.Fs.Put(ctx, in, src)
		}
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Rclone.Put(ctx, "a", []byte("hello")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		s.must(t, 1, 0, "throttled")
		all.Wait()
		synctest.Wait()
		if s.shut.Load() != 1 {
			t.Errorf("shut down %d times", s.shut.Load())
		}
	})
}

// A call that would be refused does not wait behind those that hang.
func TestRefusalWaitsForNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, restError(401, ""))
		for range cap(s.smallSlots) {
			s.smallSlots <- struct{}{}
		}
		s.must(t, 1, 0, "401")
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := s.Rclone.Put(short, "a", nil); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("put: %v", err)
		}
	})
}

func TestThrottleHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, times(3, pacer.RetryAfterError(io.EOF, 9*time.Second))...)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := s.Rclone.List(short, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("list: %v", err)
		}
		if s.calls != 1 {
			t.Errorf("%d calls", s.calls)
		}
	})
}

func TestThrottledPutIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		tries := 0
		f.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
			if tries++; tries < 3 {
				_, _ = f.Fs.Put(ctx, io.LimitReader(in, 2), src)
				return nil, errSlow
			}
			if _, err := f.Fs.NewObject(ctx, "a"); err == nil {
				t.Error("the leftover is still there")
			}
			return f.Fs.Put(ctx, in, src)
		}
		if _, err := r.Put(ctx, "a", []byte("hello")); err != nil || tries != 3 {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := errors.New("no route")
		s := openScript(t, times(11, odd)...)
		for range maxFailures {
			s.must(t, 1, 0, "odd: list: no route")
		}
		s.must(t, 0, 0, "odd: list: no route; not tried again before "+at(minRest))
		if err := s.Ready(); !errors.Is(err, odd) {
			t.Errorf("ready: %v", err)
		}
		for _, rest := range []int{10, 20, 40, 80, 160, 300, 300} {
			time.Sleep(time.Duration(rest)*time.Second - time.Nanosecond)
			s.must(t, 0, 0, "not tried again before "+at(time.Nanosecond))
			time.Sleep(time.Nanosecond)
			if err := s.Ready(); err != nil {
				t.Errorf("not ready for a probe: %v", err)
			}
			s.must(t, 1, 0, "no route")
		}
		time.Sleep(maxRest)
		s.must(t, 1, 0)
		s.must(t, 1, 0)
		s.errs = times(9, odd)
		for range maxFailures { // it begins anew
			s.must(t, 1, 0, "no route")
		}
		s.must(t, 0, 0, at(minRest))
	})
}

// What tells of the file, or of the caller, does not tell of the backend.
func TestBreakerCountsTheBackendOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := r.Put(ctx, "large", make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		f.put = func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
			_, _ = io.Copy(io.Discard, in)
			return nil, restError(507, "")
		}
		for range 2 * maxFailures {
			if _, err := r.Get(ctx, "missing", nil); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			if _, err := r.Get(ctx, "large", nil); !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
			if _, err := r.Put(ctx, "a", []byte("x")); !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			if _, err := r.Get(gone, "large", nil); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		f.list = func(context.Context, string) (fs.DirEntries, error) { return nil, io.ErrNoProgress }
		for range 2 * maxFailures { // never four in a row
			if _, err := r.List(ctx, ""); !errors.Is(err, io.ErrNoProgress) {
				t.Fatal(err)
			}
			if _, err := r.Get(ctx, "missing", nil); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
		}
	})
}

// Of what is asked together one looks whether the backend is back. The others wait for that, a
// little.
func TestBreakerLetsOneCallThrough(t *testing.T) {
	for _, c := range []struct {
		takes           time.Duration
		fails           bool
		worked, refused int
	}{
		{maxLook / 2, false, 5, 0},
		{maxLook + time.Second, false, 1, 4},
		{maxLook / 2, true, 0, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := openScript(t, times(maxFailures, io.ErrNoProgress)...)
			for range maxFailures {
				s.must(t, 1, 0, "")
			}
			time.Sleep(minRest)
			list := s.list
			s.list = func(ctx context.Context, dir string) (fs.DirEntries, error) {
				if err := sleep(ctx, c.takes); err != nil {
					return nil, err
				}
				return list(ctx, dir)
			}
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			if _, err := s.Rclone.List(short, ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a probe whose caller leaves: %v", err)
			}
			if c.fails {
				s.errs = times(5, io.ErrNoProgress)
			}
			var refused, worked int
			var mu sync.Mutex
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					_, err := s.Rclone.List(ctx, "")
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						worked++
					} else if strings.Contains(err.Error(), "not tried again") {
						refused++
					}
				})
			}
			all.Wait()
			if worked != c.worked || refused != c.refused {
				t.Errorf("%+v: %d worked, %d were refused", c, worked, refused)
			}
			if !c.fails {
				s.must(t, 1, c.takes)
			}
		})
	}
}

// What fails at one time counts as one failure.
func TestBreakerCountsOnceWhatFailsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openScript(t, times(20*maxFailures, io.ErrNoProgress)...)
		list := s.list
		s.list = func(ctx context.Context, dir string) (fs.DirEntries, error) {
			time.Sleep(time.Second)
			return list(ctx, dir)
		}
		for i := range maxFailures {
			if err := s.Ready(); err != nil {
				t.Errorf("after %d times: %v", i, err)
			}
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() { s.Rclone.List(ctx, "") })
			}
			all.Wait()
		}
		if err := s.Ready(); err == nil {
			t.Error("it does not count as down")
		}
	})
}

func TestLostLoginOpensAtOnce(t *testing.T) {
	for _, lost := range []error{
		restError(401, ""), restError(403, ""),
		fserrors.FatalError(errors.New("batcher is shutting down")),
		errors.New(`token expired and there's no refresh token - manually refresh with "rclone config reconnect odd:"`),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := openScript(t, lost)
			s.must(t, 1, 0, "rclone config reconnect odd:")
			s.must(t, 0, 0, "rclone config reconnect odd:", "not tried again before "+at(minRest))
			if err := s.Ready(); err == nil || strings.Count(err.Error(), "rclone config reconnect odd:") != 1 {
				t.Errorf("ready: %v", err)
			}
			time.Sleep(minRest)
			s.must(t, 1, 0)
		})
	}
}

// What rclone would try again is tried again, once and at once, unless it has sent data.
func TestBlips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blip := fserrors.RetryError(restError(500, ""))
		s := openScript(t, blip)
		s.must(t, 2, 0)
		s.errs = times(2, blip)
		s.must(t, 2, 0, "HTTP error 500")
		list := s.list
		s.list = func(ctx context.Context, dir string) (fs.DirEntries, error) { time.Sleep(quick); return list(ctx, dir) }
		s.errs = times(2, blip)
		s.must(t, 1, quick, "HTTP error 500")

		for _, n := range []int64{0, 1} {
			tries := 0
			s.oddFs.put = func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
				tries++
				_, _ = io.CopyN(io.Discard, in, n)
				return nil, blip
			}
			if _, err := s.Rclone.Put(ctx, fmt.Sprint(n), bytes.Repeat([]byte("x"), 9)); err == nil || tries != 2-int(n) {
				t.Errorf("%d tries after %d bytes, %v", tries, n, err)
			}
		}
	})
}
