package backends

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
	"golang.org/x/time/rate"
)

// A transfer must move 1 KiB/s, taken over any 60 s: not more, not less.
func TestGetSpeed(t *testing.T) {
	for _, c := range []struct {
		name     string
		size     int
		in       slowReader
		download int64
		err      string // "" for none
		took     time.Duration
	}{
		{"fast enough for ever", 1 << 20, slowReader{each: time.Second, step: 1100}, 0, "", 954 * time.Second},
		{"in spurts", 1 << 20, slowReader{each: 50 * time.Second, step: 64 << 10}, 0, "", 850 * time.Second},
		{"one byte a second", 1 << 20, slowReader{each: time.Second, step: 1}, 0, "only (59|60) bytes in 60s", time.Minute},
		{"too slow", 1 << 20, slowReader{each: time.Second, step: 1000}, 0, "only (59|60)000 bytes in 60s", time.Minute},
		{"silent", 1 << 20, slowReader{each: time.Hour, step: 1000}, 0, "nothing moved for 60s", time.Minute + grace},
		{"small and slow, but done", 500, slowReader{each: 100 * time.Millisecond, step: 1}, 0, "", 50100 * time.Millisecond},
		{"our own limit is slower", 50_000, slowReader{each: time.Millisecond, step: 100}, 100, "", 0},
		{"half of our own limit", 5000, slowReader{each: 490 * time.Millisecond, step: 25}, 100, "", 0},
		{"less than half of our own limit", 5000, slowReader{each: 560 * time.Millisecond, step: 25}, 100, "bytes in 60s", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.in.n = c.size
				r := openSlow(t, c.size, &c.in)
				r.download = byteLimiter(c.download)
				start := time.Now()
				n, err := r.Get(ctx, "a", make([]byte, c.size))
				took := time.Since(start)
				if (err == nil) != (c.err == "") || err != nil && !regexp.MustCompile(c.err).MatchString(err.Error()) || err == nil && n != c.size {
					t.Errorf("got %d bytes, %v; want %q", n, err, c.err)
				}
				if c.took > 0 && (took < c.took-time.Second || took > c.took+2*time.Second) {
					t.Errorf("took %v, want %v", took, c.took)
				}
				time.Sleep(2 * time.Hour) // for what was left behind
			})
		})
	}
}

// The limits of a backend are no reason to call it slow, however long they hold a job.
func TestWaitingForOurselvesIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.noHash = true                    // so that a Put takes two requests more
		r.requests = requestLimiter(0.005) // one in 200 s
		r.upload, r.download = byteLimiter(10), byteLimiter(10)
		data := bytes.Repeat([]byte("x"), 3000)
		start := time.Now()
		if _, err := r.Put(ctx, "a", data); err != nil {
			t.Errorf("put: %v", err)
		}
		if n, err := r.Get(ctx, "a", make([]byte, 3000)); n != 3000 || err != nil {
			t.Errorf("get: %d, %v", n, err)
		}
		if took := time.Since(start); took < 15*time.Minute {
			t.Errorf("took %v: the limits were not in force", took)
		}
	})
}

// drip is a Put that reads n bytes at a time, and sends only then.
func drip(f *oddFs, n int, each time.Duration) func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
	return func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		var all bytes.Buffer
		for {
			m, err := io.CopyN(&all, in, int64(n))
			if m > 0 {
				time.Sleep(each)
			}
			if err == io.EOF {
				return f.Fs.Put(ctx, &all, src)
			}
			if err != nil {
				return nil, err
			}
		}
	}
}

func TestPutSpeed(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		size  int
		chunk int
		each  time.Duration
		err   string
	}{
		{"streams", mib, 1100, time.Second, ""},
		{"streams too slowly", mib, 900, time.Second, "bytes in 60s"},
		{"a byte a second", mib, 1, time.Second, "only (59|60|61) bytes in 60s"},
		{"chunk after chunk", 4 * mib, mib, 50 * time.Second, ""},
		// It reads everything, then sends it at slowestSend, or almost so.
		{"reads first", mib, 2 * mib, 60*time.Second + 15*time.Second, ""},
		{"reads first, then hangs", mib, 2 * mib, 60*time.Second + 30*time.Second, "nothing moved for 76s"},
		{"nothing much", 10, 20, 59 * time.Second, ""},
		{"nothing much, and hangs", 10, 20, 70 * time.Second, "nothing moved for 60"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, r := openOdd(t)
				f.put = drip(f, c.chunk, c.each)
				_, err := r.Put(ctx, "a", make([]byte, c.size))
				if (err == nil) != (c.err == "") || err != nil && !regexp.MustCompile(c.err).MatchString(err.Error()) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &Job{timeout: time.Minute, moved: time.Now()}
		must := func(want time.Duration, text string) {
			t.Helper()
			if left, why := j.patience(); left != want || fmt.Sprint(why) != text {
				t.Errorf("%v, %v; want %v, %s", left, why, want, text)
			}
		}
		must(time.Minute, "nothing moved for 60s")
		time.Sleep(10 * time.Second)
		must(50*time.Second, "nothing moved for 60s")
		j.transfer(rate.Inf)
		time.Sleep(time.Second)
		_, _ = j.copy(make([]byte, 100), make([]byte, 100))
		must(59*time.Second, "only 100 bytes in 60s")
		_, _ = j.copy(make([]byte, 60<<10), make([]byte, 60<<10))
		must(time.Minute, "nothing moved for 60s")
		limit := requestLimiter(1)
		_ = j.wait(ctx, limit, 1) // at once
		_ = j.wait(ctx, limit, 1) // after a second, which does not count
		must(time.Minute, "nothing moved for 60s")
		j.held = time.Now().Add(-time.Hour)
		must(time.Second, "<nil>")
		j.held = time.Time{}
		j.alive(7 * time.Second)
		must(67*time.Second, "nothing moved for 67s")
	})
}

// slowHash is an object that reports its hash after a while.
type slowHash struct{ fs.Object }

func (o *slowHash) Hash(ctx context.Context, kind hash.Type) (string, error) {
	time.Sleep(10 * time.Second)
	return o.Object.Hash(ctx, kind)
}

// Asking for the hash has time of its own, however long the sending took.
func TestHashAfterSlowSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		put := drip(f, 2<<20, 75*time.Second) // of 76
		f.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
			o, err := put(ctx, in, src)
			return &slowHash{o}, err
		}
		if _, err := r.Put(ctx, "a", make([]byte, 1<<20)); err != nil {
			t.Errorf("put: %v", err)
		}
	})
}
