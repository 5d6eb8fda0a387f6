package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends"
)

func names(t *testing.T, s backends.Store, dir string) (list []string) {
	t.Helper()
	entries, err := s.List(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name)
	}
	return list
}

func has(s backends.Store, name string) bool {
	_, err := s.Get(ctx, name, make([]byte, 100))
	return err == nil
}

func TestLater(t *testing.T) {
	m := NewMemory()
	f := NewFaulty(m)
	m.Set("old", nil)
	f.Add(Fault{Op: "put", Call: 1, Do: Later(2)})
	f.Add(Fault{Op: "remove", Call: 1, Do: Later(0)})
	f.Add(Fault{Op: "put", Call: 2, Do: Later(ForEver)})
	data := []byte("hello")
	mustPut(t, f, "d/a", data)
	clear(data)
	if has(f, "d/a") || len(names(t, f, "d")) != 0 {
		t.Error("it is there before two more calls")
	}
	mustHave(t, f, "d/a", []byte("hello"))
	if err := f.Remove(ctx, "old"); err != nil || len(m.Names()) != 2 {
		t.Errorf("a remove for later: %v, %v", err, m.Names())
	}
	if has(f, "old") {
		t.Error("the remove was never done")
	}
	mustPut(t, f, "b", nil)
	for range 9 {
		if has(f, "b") {
			t.Error("it landed by itself")
		}
	}
	if f.Land(); !has(f, "b") {
		t.Error("it did not land when it was told to")
	}
	f.Verify(t)
}

func TestLag(t *testing.T) {
	f := NewFaulty(NewMemory())
	f.Add(Fault{Op: "put", Call: 1, Do: Lag(2)})
	mustPut(t, f, "d/a", []byte("hello"))
	mustPut(t, f, "d/b", nil)
	for _, want := range []string{"b", "b", "a b", "a b"} {
		names(t, f, "") // does not count: it would not show it
		mustHave(t, f, "d/a", []byte("hello"))
		if got := strings.Join(names(t, f, "d"), " "); got != want {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
}

func TestStale(t *testing.T) {
	m := NewMemory()
	f := NewFaulty(m)
	m.Set("a", []byte("hello"))
	old := m.Clone()
	names(t, f, "")
	m.Set("b", nil)
	m.Delete("a")
	f.Next(StaleList())
	if got := names(t, f, ""); !slices.Equal(got, []string{"a"}) {
		t.Errorf("stale list: %v", got)
	}
	if got := names(t, f, ""); !slices.Equal(got, []string{"b"}) {
		t.Errorf("after it: %v", got)
	}
	f.Add(Fault{Call: 1, Repeat: ForEver, Do: Stale(old)})
	mustPut(t, f, "c", nil)
	mustHave(t, f, "a", []byte("hello"))
	if got := names(t, f, ""); !slices.Equal(got, []string{"a"}) || has(f, "c") {
		t.Errorf("replayed: %v", got)
	}
	if !slices.Equal(m.Names(), []string{"b", "c"}) {
		t.Errorf("stored meanwhile: %v", m.Names())
	}
	m.Restore(old)
	if !slices.Equal(m.Names(), []string{"a"}) {
		t.Errorf("restored: %v", m.Names())
	}
	f.Verify(t)
}

func TestElsewhere(t *testing.T) {
	m := NewMemory()
	f := NewFaulty(m)
	m.Set("a", nil)
	f.Add(Fault{Do: Elsewhere()})
	if has(f, "a") || len(names(t, f, "")) > 0 || !errors.Is(f.Remove(ctx, "a"), backends.ErrNotFound) {
		t.Error("the other account is not empty")
	}
	mustPut(t, f, "b", nil)
	if !has(f, "b") || !slices.Equal(m.Names(), []string{"a"}) || !slices.Equal(f.Other().Names(), []string{"b"}) {
		t.Errorf("here %v, there %v", m.Names(), f.Other().Names())
	}
}

// Next hits one call, that which it suits, before the faults that were added.
func TestNext(t *testing.T) {
	f := NewFaulty(NewMemory())
	f.Add(Fault{Op: "put", Call: 1, Do: ErrorInstead(errOdd)})
	f.Next(Drop())
	names(t, f, "")
	mustPut(t, f, "a", nil)
	if _, err := f.Put(ctx, "b", nil); err != nil || has(f, "a") || !has(f, "b") {
		t.Errorf("after Next: %v", err)
	}
	r := &recorder{TB: t}
	if f.Verify(r); !r.failed {
		t.Error("the put that was hit by Next counts for the other fault")
	}
}

// What a fault does not suit does not meet it.
func TestNotMet(t *testing.T) {
	for name, do := range map[string]Action{"list": Empty(), "put": Truncate(1), "swap": Swap()} {
		f := NewFaulty(NewMemory())
		mustPut(t, f, "d/alone", []byte("hello"))
		f.Add(Fault{Do: do})
		mustHave(t, f, "d/alone", []byte("hello"))
		r := &recorder{TB: t}
		if f.Verify(r); !r.failed {
			t.Errorf("%s: met by a get of the only file", name)
		}
	}
}

func TestForEver(t *testing.T) {
	f := NewFaulty(NewMemory())
	f.Add(Fault{Call: 3, Repeat: ForEver, Do: ErrorInstead(ErrLogin)})
	for i := range 6 {
		if _, err := f.List(ctx, ""); errors.Is(err, ErrLogin) != (i >= 2) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if f.Met() != 4 {
		t.Errorf("met by %d calls", f.Met())
	}
}

func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFaulty(NewMemory())
		for _, wait := range []time.Duration{0, time.Minute} {
			f.Next(Throttle(wait))
			_, err := f.Get(ctx, "a", nil)
			var says *StatusError
			if !errors.As(err, &says) || says.StatusCode != 429 {
				t.Fatalf("throttled: %v", err)
			}
			until := says.RetryAfter()
			if until.IsZero() != (wait == 0) || wait > 0 && time.Until(until) != wait || (says.Header.Get("Retry-After") == "60") != (wait > 0) {
				t.Errorf("%v: until %v, header %v", wait, until, says.Header)
			}
		}
	})
}

func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		f := NewFaulty(m)
		f.Add(Fault{Do: Trickle()})
		took := func(want time.Duration, do func()) {
			t.Helper()
			start := time.Now()
			if do(); time.Since(start) != want {
				t.Errorf("took %v, want %v", time.Since(start), want)
			}
		}
		took(5*time.Second, func() { mustPut(t, f, "a", []byte("hello")) })
		took(5*time.Second, func() { mustHave(t, f, "a", []byte("hello")) })
		took(time.Second, func() { names(t, f, "") })
		short, cancel := context.WithTimeout(ctx, 2500*time.Millisecond)
		defer cancel()
		if _, err := f.Put(short, "b", []byte("hello")); !errors.Is(err, context.DeadlineExceeded) || string(m.Files()["b"]) != "he" {
			t.Errorf("put that was left: %v, %q", err, m.Files()["b"])
		}
		if _, err := f.Get(short, "a", make([]byte, 9)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get: %v", err)
		}
	})
}

func TestLimit(t *testing.T) {
	m := NewMemory()
	if _, err := m.Free(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("free without a limit: %v", err)
	}
	m.Limit(8, false)
	mustPut(t, m, "a", []byte("hello"))
	wantFree(t, m, 3)
	if _, err := m.Put(ctx, "b", []byte("world")); !errors.Is(err, backends.ErrFull) || has(m, "b") {
		t.Errorf("put beyond the limit: %v, %v", err, m.Names())
	}
	mustPut(t, m, "a", []byte("12345678")) // in its own place
	wantFree(t, m, 0)
	if err := m.Remove(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, m, "b", []byte("world"))
	m.Limit(8, true)
	if _, err := m.Put(ctx, "c", []byte("hello")); !errors.Is(err, backends.ErrFull) || string(m.Files()["c"]) != "hel" {
		t.Errorf("what is left of a put beyond the limit: %v, %q", err, m.Files()["c"])
	}
	wantFree(t, m, 0)
	if m.Refused() != 2 {
		t.Errorf("%d puts refused", m.Refused())
	}
	m.Limit(2, true)
	wantFree(t, m, 0)
	if _, err := m.Put(ctx, "d", []byte("x")); err == nil || has(m, "d") {
		t.Errorf("put into less than nothing: %v", err)
	}
}

func wantFree(t *testing.T, m *Memory, want int64) {
	t.Helper()
	if free, err := m.Free(ctx); free != want || err != nil {
		t.Errorf("free: %d, %v, want %d", free, err, want)
	}
}

func TestFold(t *testing.T) {
	m := NewMemory()
	m.Set("dir/old", []byte("hello"))
	m.Fold(true)
	mustPut(t, m, "dir/b7", nil)
	mustPut(t, m, "Dir/B7", []byte("other"))
	mustHave(t, m, "dir/b7", []byte("other"))
	mustHave(t, m, "dIr/Old", []byte("hello"))
	if got := names(t, m, "dir"); !slices.Equal(got, []string{"b7", "old"}) {
		t.Errorf("listed: %v", got)
	}
	if err := m.Remove(ctx, "DIR/old"); err != nil || len(names(t, m, "dir")) != 1 {
		t.Errorf("remove: %v, %v", err, m.Names())
	}
	if m.Fold(false); !slices.Equal(m.Names(), []string{"dir/b7"}) || has(m, "dir/B7") {
		t.Errorf("after it: %v", m.Names())
	}
}

func TestClone(t *testing.T) {
	m := NewMemory()
	m.Set("a", []byte("hello"))
	m.Limit(6, false)
	c := m.Clone()
	m.Corrupt("a")
	mustHave(t, c, "a", []byte("hello"))
	if _, err := c.Put(ctx, "b", []byte("xx")); err == nil {
		t.Error("the limit was not cloned")
	}
}

// Every action of the lists has its effect: something that a caller sees, or that is seen later.
func TestActions(t *testing.T) {
	for _, op := range []string{"put", "get", "list", "remove", "free"} {
		seen := map[string]bool{}
		for _, a := range Actions(op) {
			if seen[a.Name] {
				t.Errorf("%s: two are called %q", op, a.Name)
			}
			seen[a.Name] = true
			synctest.Test(t, func(t *testing.T) { testAction(t, op, a) })
		}
		if len(seen) < 10 {
			t.Errorf("%s: %d actions only", op, len(seen))
		}
	}
}

func testAction(t *testing.T, op string, a NamedAction) {
	m := NewMemory()
	m.Set("old", bytesOf(500, 1))
	m.Set("other", bytesOf(500, 2))
	m.Limit(10_000, false)
	f := NewFaulty(m)
	f.Next(a.Do)
	right := honestAnswer(t, op, m.Clone())
	limited, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	start := time.Now()
	got, err := answer(limited, f, m, op)
	late := time.Since(start) >= 5*time.Second
	if late != a.Waits {
		t.Errorf("%s %s: took %v", op, a.Name, time.Since(start))
	}
	if a.Lies && err != nil && !errors.Is(err, backends.ErrNotFound) && !errors.Is(err, backends.ErrTooLarge) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%s %s: an honest failure: %v", op, a.Name, err)
	}
	if !a.Lies && err == nil && got != right && a.Name != "in reverse" {
		t.Errorf("%s %s: a lie: %q", op, a.Name, got)
	}
	if err == nil && got == right && time.Since(start) == 0 {
		t.Errorf("%s %s: no effect", op, a.Name)
	}
	f.Verify(t)
}

func honestAnswer(t *testing.T, op string, m *Memory) string {
	got, err := answer(ctx, m, m, op)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// answer is what a call says, and what there is afterwards.
func answer(ctx context.Context, s backends.Store, m *Memory, op string) (string, error) {
	var out bytes.Buffer
	var err error
	switch op {
	case "put":
		_, err = s.Put(ctx, "new", bytesOf(1000, 3))
	case "get":
		dst := make([]byte, 500)
		var n int
		n, err = s.Get(ctx, "old", dst)
		out.Write(dst[:n])
	case "list":
		var entries []backends.Entry
		entries, err = s.List(ctx, "")
		fmt.Fprint(&out, entries)
	case "remove":
		err = s.Remove(ctx, "old")
	case "free":
		var n int64
		n, err = s.Free(ctx)
		fmt.Fprint(&out, n)
	}
	entries, _ := s.List(ctx, "")
	fmt.Fprint(&out, m.Files(), entries)
	return out.String(), err
}
