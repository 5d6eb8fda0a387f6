package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const kB = 1000

// near fails unless a time is what it should be, but for the bytes that a
// bucket holds at first.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got > want+burst || got < want-100*time.Millisecond {
		t.Errorf("%s: %v instead of %v", what, got, want)
	}
}

func pass(t *testing.T, b *bucket, bytes int) {
	t.Helper()
	for bytes > 0 {
		n := min(bytes, b.chunk())
		if err := b.wait(nil, n); err != nil {
			t.Error(err)
			return
		}
		bytes -= n
	}
}

func TestBucketSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, begin := newBucket(1000*kB), time.Now()
		var wg sync.WaitGroup
		for range 4 { // connections share the link
			wg.Go(func() { pass(t, b, 500*kB) })
		}
		wg.Wait()
		near(t, "four at once", time.Since(begin), 2*time.Second)

		b.setSpeed(100 * kB)
		begin = time.Now()
		pass(t, b, 300*kB)
		near(t, "slow", time.Since(begin), 3*time.Second)

		b.setSpeed(0)
		begin = time.Now()
		pass(t, b, 100*miB)
		near(t, "without limit", time.Since(begin), 0)
	})
}

func TestBucketIdleGainsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(1000 * kB)
		time.Sleep(time.Hour)
		begin := time.Now()
		pass(t, b, 1000*kB)
		near(t, "after an hour", time.Since(begin), time.Second)
	})
}

func TestBucketShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, begin := newBucket(0), time.Now()
		b.shut()
		b.shut()
		time.AfterFunc(time.Minute, b.reopen)
		pass(t, b, 1)
		near(t, "stall", time.Since(begin), time.Minute)

		b.shut()
		done := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(done) })
		if err := b.wait(done, 1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("wait of a closed connection: %v", err)
		}
	})
}

// A connection is slow in both directions, and each has a limit of its own.
func TestConnSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{up: newBucket(100 * kB), down: newBucket(50 * kB), conns: map[*conn]bool{}}
		near1, far := net.Pipe()
		c := &conn{Conn: near1, link: l, done: make(chan struct{})}
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := far.Write(make([]byte, 1000*kB)); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if n, err := io.CopyN(io.Discard, far, 500*kB); n != 500*kB {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := c.Write(make([]byte, 500*kB)); err != nil {
				t.Error(err)
			}
		})
		if _, err := io.ReadFull(c, make([]byte, 1000*kB)); err != nil {
			t.Error(err)
		}
		wg.Wait()
		near(t, "both at once", time.Since(begin), 10*time.Second)
		if up, down := l.bytes(); up != 1000*kB || down != 500*kB {
			t.Errorf("counted %d up, %d down", up, down)
		}
		c.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a closed connection gives bytes")
		}
	})
}
