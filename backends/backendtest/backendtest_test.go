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

func TestMemory(t *testing.T) {
	Test(t, func(*testing.T) backends.Store { return NewMemory() })
}

func TestFaultyWithoutFaults(t *testing.T) {
	Test(t, func(*testing.T) backends.Store { return NewFaulty(NewMemory()) })
}

func TestMemoryHelpers(t *testing.T) {
	m := NewMemory()
	m.Set("b/x", []byte("hello"))
	m.Set("a", nil)
	if got := m.Names(); !slices.Equal(got, []string{"a", "b/x"}) {
		t.Errorf("names: %v", got)
	}
	if !m.Corrupt("b/x") || m.Corrupt("a") || m.Corrupt("missing") {
		t.Error("corrupt hits what has bytes, and nothing else")
	}
	files := m.Files()
	if got := files["b/x"]; len(got) != 5 || string(got) == "hello" {
		t.Errorf("after Corrupt: %q", got)
	}
	clear(files["b/x"])
	if m.Files()["b/x"][0] != 'h' {
		t.Error("Files is no copy")
	}
	if !m.Delete("b/x") || m.Delete("b/x") {
		t.Error("delete does not say whether the file was there")
	}
}

var errOdd = errors.New("odd")

// Each fault hits a put of "new", or a get, list or remove of "old", which holds "hello", as
// "ola" does "wrong" and "other" does "world".
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, op string
		do       Action
		err      error
		want     string // what is stored (put) or was read (get); "-" is nothing
	}{
		{"error instead", "put", ErrorInstead(errOdd), errOdd, "-"},
		{"error after", "put", ErrorAfter(errOdd), errOdd, "hello"},
		{"truncate", "put", Truncate(2), nil, "he"},
		{"drop", "put", Drop(), nil, "-"},
		{"all but one", "put", Truncate(-1), nil, "hell"},
		{"flip stored", "put", FlipBit(), nil, "he|lo"},
		{"longer", "put", Longer(2), nil, "helloxx"},
		{"broken", "put", Break(3, errOdd), errOdd, "hel"},
		{"later", "put", Later(ForEver), nil, "-"},
		{"lag", "put", Lag(1), nil, "hello"},
		{"elsewhere", "put", Elsewhere(), nil, "-"},
		{"error instead", "get", ErrorInstead(errOdd), errOdd, ""},
		{"flip read", "get", FlipBit(), nil, "he|lo"},
		{"short", "get", Short(3), nil, "hel"},
		{"broken", "get", Break(3, errOdd), errOdd, "hel"},
		{"longer", "get", Longer(2), nil, "helloxx"},
		{"too long", "get", Longer(9), backends.ErrTooLarge, "helloxxxx"},
		{"swapped", "get", Swap(), nil, "world"},
		{"stale", "get", Stale(NewMemory()), backends.ErrNotFound, ""},
		{"elsewhere", "get", Elsewhere(), backends.ErrNotFound, ""},
		{"not found", "get", NotFound(), backends.ErrNotFound, ""},
		{"empty", "list", Empty(), nil, ""},
		{"hide", "list", Hide(func(n string) bool { return n == "old" }), nil, "ola5 other5"},
		{"stale", "list", Stale(NewMemory()), nil, ""},
		{"never listed", "list", StaleList(), nil, ""},
		{"elsewhere", "list", Elsewhere(), nil, ""},
		{"twice", "list", Duplicate(-1), nil, "ola5 ola4 old5 old4 other5 other4"},
		{"reverse", "list", Reverse(), nil, "other5 old5 ola5"},
		{"list fails", "list", ErrorInstead(errOdd), errOdd, ""},
		{"drop", "remove", Drop(), nil, "hello"},
		{"answer lost", "remove", ErrorAfter(errOdd), errOdd, "-"},
		{"not found", "remove", NotFound(), backends.ErrNotFound, "hello"},
		{"later", "remove", Later(ForEver), nil, "hello"},
		{"elsewhere", "remove", Elsewhere(), backends.ErrNotFound, "hello"},
		{"full", "put", ErrorInstead(Full()), backends.ErrFull, "-"},
	} {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			m := NewMemory()
			m.Set("old", []byte("hello"))
			m.Set("ola", []byte("wrong"))
			m.Set("other", []byte("world"))
			f := NewFaulty(m)
			f.Add(Fault{Op: c.op, Do: c.do})
			got, err := hit(f, m, c.op)
			if !errors.Is(err, c.err) || got != c.want {
				t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.err)
			}
			f.Verify(t)
		})
	}
}

func hit(f *Faulty, m *Memory, op string) (string, error) {
	stored := func(name string) string {
		if data, ok := m.Files()[name]; ok {
			return string(data)
		}
		return "-"
	}
	switch op {
	case "put":
		hash, err := f.Put(ctx, "new", []byte("hello"))
		if err == nil && hash != md5Of([]byte("hello")) {
			return "", errors.New("the hash gives the fault away")
		}
		return stored("new"), err
	case "get":
		buf := make([]byte, 9)
		n, err := f.Get(ctx, "old", buf)
		return string(buf[:n]), err
	case "list":
		entries, err := f.List(ctx, "")
		var seen []string
		for _, e := range entries {
			seen = append(seen, fmt.Sprint(e.Name, e.Size))
		}
		return strings.Join(seen, " "), err
	}
	err := f.Remove(ctx, "old")
	return stored("old"), err
}

func TestFaultCalls(t *testing.T) {
	f := NewFaulty(NewMemory())
	f.Add(Fault{Op: "put", Match: func(n string) bool { return strings.HasPrefix(n, "b") }, Call: 2, Repeat: 2, Do: ErrorInstead(errOdd)})
	var failed []string
	for _, name := range []string{"ba", "a", "bb", "bc", "bd"} {
		if _, err := f.Put(ctx, name, nil); err != nil {
			failed = append(failed, name)
		}
	}
	if !slices.Equal(failed, []string{"bb", "bc"}) {
		t.Errorf("failed: %v", failed)
	}
	if f.Count("put") != 5 || f.Count("get") != 0 {
		t.Errorf("counts: %d puts, %d gets", f.Count("put"), f.Count("get"))
	}
}

func TestDownAndGarbage(t *testing.T) {
	f := NewFaulty(NewMemory())
	mustPut(t, f, "a", []byte("hello"))
	f.Down(errOdd)
	if _, err := f.List(ctx, ""); !errors.Is(err, errOdd) {
		t.Errorf("list while down: %v", err)
	}
	f.Up()
	mustHave(t, f, "a", []byte("hello"))
	f.Garbage()
	buf := make([]byte, 5)
	if n, err := f.Get(ctx, "a", buf); n != 5 || err != nil || bytes.Equal(buf, []byte("hello")) {
		t.Errorf("garbage: %q, %v", buf[:n], err)
	}
}

func TestHangAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFaulty(NewMemory())
		f.Add(Fault{Op: "put", Call: 1, Do: Hang()})
		f.Add(Fault{Op: "put", Call: 2, Do: Delay(time.Hour)})
		ran := false
		f.Add(Fault{Op: "list", Do: Run(func() { ran = true })})
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, err := f.Put(short, "a", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hang: %v", err)
		}
		start := time.Now()
		if _, err := f.Put(ctx, "a", nil); err != nil || time.Since(start) != time.Hour {
			t.Errorf("delay: %v after %v", err, time.Since(start))
		}
		if _, err := f.List(ctx, ""); err != nil || !ran {
			t.Errorf("run: %v, %v", ran, err)
		}
		f.Verify(t)
	})
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestVerifyFails(t *testing.T) {
	f := NewFaulty(NewMemory())
	f.Add(Fault{Op: "get", Call: 2, Do: NotFound()})
	_, _ = f.Get(ctx, "a", nil)
	r := &recorder{TB: t}
	if f.Verify(r); !r.failed {
		t.Error("a fault that was never met is not noticed")
	}
}
