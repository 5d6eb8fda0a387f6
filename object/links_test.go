package object

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends"
	"shardraid/manifest"
)

// link is the way to a store: so many bytes a second, one after the other, and
// a while for each request. Time is that of synctest.
type link struct {
	backends.Store
	rate  float64
	delay time.Duration

	line chan struct{} // who holds it is on the way

	mu    sync.Mutex
	got   int64 // bytes
	stall int64 // after so many of these, nothing comes; 0 = never
}

func (l *link) pass(ctx context.Context, n int) error {
	if n <= 64<<10 { // fits in between
		return sleepFor(ctx, l.delay+time.Duration(float64(n)/l.rate*float64(time.Second)))
	}
	select {
	case l.line <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l.mu.Lock()
	l.got += int64(n)
	wait := time.Duration(float64(n) / l.rate * float64(time.Second))
	if l.stall > 0 && l.got > l.stall {
		wait = time.Minute // then the watchdog comes
	}
	l.mu.Unlock()
	err := sleepFor(ctx, wait)
	<-l.line
	if err == nil {
		err = sleepFor(ctx, l.delay)
	}
	return err
}

func sleepFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *link) Get(ctx context.Context, name string, dst []byte) (int, error) {
	n, err := l.Store.Get(ctx, name, dst)
	if err == nil {
		err = l.pass(ctx, n)
	}
	return n, err
}

func (l *link) Put(ctx context.Context, name string, data []byte) (string, error) {
	if err := l.pass(ctx, len(data)); err != nil {
		return "", err
	}
	return l.Store.Put(ctx, name, data)
}

// overLinks is a rig whose backends are behind links, of so many MB/s each.
func overLinks(t *testing.T, k, m int, rates []float64, more ...string) (*rig, []*link) {
	r := newJournalRig(t, k, m, len(rates), more...)
	r.config.Layout.ShardSize = 8 << 20
	r.config.Patience = 0
	var links []*link
	for i, b := range r.config.Layout.Backends {
		links = append(links, &link{Store: r.mem[i], rate: rates[i] * 1e6, delay: 50 * time.Millisecond, line: make(chan struct{}, 1)})
		r.config.Stores[b.ID] = links[i]
	}
	s, err := New(r.config)
	if err != nil {
		t.Fatal(err)
	}
	r.Store = s
	return r, links
}

// took returns how long something takes, in seconds of the links.
func took(t *testing.T, what func() error) float64 {
	t.Helper()
	begin := time.Now()
	if err := what(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin).Seconds()
}

// retrieve gets an object into a file.
func (r *rig) retrieve(t *testing.T, want []byte) float64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out")
	d := took(t, func() error { return r.Get(ctx, testKey, file, r.job()) })
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	return d
}

const linkTest = 64 << 20

func storeOver(t *testing.T, r *rig, data []byte) float64 {
	t.Helper()
	return took(t, func() error { return r.Put(ctx, testKey, bytes.NewReader(data), int64(len(data)), r.job()) })
}

// within compares with the least that the links allow.
func within(t *testing.T, what string, took, least, factor, more float64) {
	t.Helper()
	t.Logf("%s: %.2f s, the links allow %.2f: %.3f", what, took, least, took/least)
	if took > least*factor+more {
		t.Errorf("%s: too slow", what)
	}
}

func total(links []*link) (bytes int64) {
	for _, l := range links {
		l.mu.Lock()
		bytes += l.got
		l.mu.Unlock()
	}
	return bytes
}

// All links carry one file, both ways.
func TestAllLinksCarryOneFile(t *testing.T) {
	for _, c := range [][2]int{{4, 2}, {4, 4}} {
		synctest.Test(t, func(t *testing.T) {
			n := c[0] + c[1]
			r, _ := overLinks(t, c[0], c[1], []float64{10, 10, 10, 10, 10, 10, 10, 10}[:n])
			data := bytesOf(1, linkTest)
			one := linkTest / 10e6
			within(t, "up", storeOver(t, r, data), one/float64(c[0]), 1.1, 0.5)
			within(t, "down", r.retrieve(t, data), one/float64(n), 1.12, 0.3)
		})
	}
}

// A link that stalls and one at a tenth of the speed hold nobody, and little is
// read twice.
func TestSlowAndStalledLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, links := overLinks(t, 4, 2, []float64{10, 10, 10, 10, 10, 10})
		data := bytesOf(1, linkTest)
		storeOver(t, r, data)
		r.retrieve(t, data) // so that it is known how fast they are
		links[1].stall = links[1].got + 5e6
		links[4].rate = 1e6
		before := total(links)
		within(t, "down", r.retrieve(t, data), linkTest/41e6, 1.15, 2)
		if extra := float64(total(links)-before)/linkTest - 1; extra > 0.15 {
			t.Errorf("%.0f %% were read in vain", 100*extra)
		} else {
			t.Logf("%.1f %% more bytes", 100*extra)
		}
	})
}

// A store does not wait for a link that is slow beyond the quorum; what is
// missing there is filled in later.
func TestStoreDoesNotWaitBeyondTheQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := bytesOf(1, linkTest)
		r, _ := overLinks(t, 4, 2, []float64{10, 10, 10, 10, 10, 10}, "write_quorum: 5")
		fast := storeOver(t, r, data)
		r, links := overLinks(t, 4, 2, []float64{10, 10, 10, 0.2, 10, 10}, "write_quorum: 5")
		within(t, "up", storeOver(t, r, data), fast, 1.15, 0)
		if n, err := Pending(r.config.Journal); n != 1 || err != nil {
			t.Errorf("%d objects are noted as degraded", n)
		}
		links[3].rate = 10e6
		if n, err := r.FillIn(ctx, r.job()); n != 1 || err != nil {
			t.Errorf("%d filled in, %v", n, err)
		}
		if h := r.mustScrub(testKey, false); !h.Whole() {
			t.Errorf("filled in: %v", h)
		}
	})
}

// Objects go where they are stored soonest: three slow links help four fast
// ones, and hold none of them back.
func TestUnequalLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, links := overLinks(t, 3, 2, []float64{15, 15, 2, 15, 2, 15, 2})
		const size, count, jobs = 20 << 20, 20, 4
		store := func(prefix string, n int) float64 {
			return took(t, func() error {
				var g sync.WaitGroup
				next := make(chan int, n)
				for i := range n {
					next <- i
				}
				close(next)
				for range jobs {
					g.Go(func() {
						for i := range next {
							if err := r.Put(ctx, prefix+string(rune('a'+i)), bytes.NewReader(bytesOf(byte(i), size)), size, r.job()); err != nil {
								t.Error(err)
							}
						}
					})
				}
				g.Wait()
				return nil
			})
		}
		store("first", jobs) // so that it is known how fast they are
		for _, l := range links {
			l.got = 0
		}
		within(t, "up", store("then", count), size*count/18e6, 18.0/15, 0)
		for i, l := range links {
			t.Logf("link %d: %.1f MB, %.1f s; %v", i, float64(l.got)/1e6, float64(l.got)/l.rate, r.pool[i].upload.expected(1<<20))
		}
	})
}

// What was stored is what is there: a slow shard that was given up is not
// named by the manifest.
func TestGivenUpShardsAreNotNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := overLinks(t, 4, 2, []float64{10, 10, 10, 0.2, 10, 10}, "write_quorum: 5")
		storeOver(t, r, bytesOf(1, 16<<20))
		m := r.manifestOf(testKey)
		if named, stored := countNamed(m), r.count(testKey, manifest.KindShard); named > stored {
			t.Errorf("%d shards are named, %d are there", named, stored)
		}
	})
}

func countNamed(m *manifest.Manifest) (n int) {
	for _, seg := range m.Segments {
		for _, sh := range seg.Shards {
			if sh.Backend != "" {
				n++
			}
		}
	}
	return n
}
