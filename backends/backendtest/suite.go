package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shardraid/backends"
)

// Test is the conformance suite. open returns a store with nothing in it.
func Test(t *testing.T, open func(t *testing.T) backends.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s backends.Store)
	}{
		{"RoundTrip", testRoundTrip},
		{"NotFound", testNotFound},
		{"TooLarge", testTooLarge},
		{"List", testList},
		{"ManyFiles", testManyFiles},
		{"Hash", testHash},
		{"Remove", testRemove},
		{"Concurrent", testConcurrent},
		{"CancelledBefore", testCancelledBefore},
		{"CancelledMeanwhile", testCancelledMeanwhile},
		{"Isolation", testIsolation},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

var ctx = context.Background()

// bytesOf returns n bytes that differ from one seed to the next.
func bytesOf(n int, seed byte) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = seed + byte(i) + byte(i>>8) + byte(i>>16)
	}
	return data
}

func mustPut(t *testing.T, s backends.Store, name string, data []byte) {
	t.Helper()
	hash, err := s.Put(ctx, name, data)
	if err != nil {
		t.Fatal(err)
	}
	if kind, value, ok := strings.Cut(hash, ":"); hash != "" && (!ok || kind == "" || value == "") {
		t.Fatalf("put %s: hash %q is not type:hex", name, hash)
	}
}

func mustHave(t *testing.T, s backends.Store, name string, want []byte) {
	t.Helper()
	got := make([]byte, len(want)+10)
	n, err := s.Get(ctx, name, got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:n], want) {
		t.Fatalf("get %s: %d bytes, not the %d that were put", name, n, len(want))
	}
}

func mustList(t *testing.T, s backends.Store, dir string, want ...backends.Entry) {
	t.Helper()
	got, err := s.List(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b backends.Entry) int { return strings.Compare(a.Name, b.Name) })
	if !slices.Equal(got, want) {
		t.Fatalf("list %q: got %v, want %v", dir, got, want)
	}
}

func testRoundTrip(t *testing.T, s backends.Store) {
	long := strings.Repeat("a", 20) + "/" + strings.Repeat("b", 20) + "/" + strings.Repeat("7", 47)
	for i, size := range []int{0, 1, 1000, 1 << 20} {
		data := bytesOf(size, byte(i))
		for _, dir := range []string{"", "ab/", "ab/cd/", long} {
			name := dir + string(rune('a'+i))
			mustPut(t, s, name, data)
			mustHave(t, s, name, data)
			if n, err := s.Get(ctx, name, make([]byte, size)); n != size || err != nil {
				t.Fatalf("get into an exact buffer: %d, %v", n, err)
			}
		}
	}
}

func testNotFound(t *testing.T, s backends.Store) {
	for _, name := range []string{"nothing", "ab/nothing", "ab/cd/nothing"} {
		if _, err := s.Get(ctx, name, make([]byte, 10)); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("get %s: %v, want ErrNotFound", name, err)
		}
	}
	mustPut(t, s, "ab/cd/file", nil)
	if _, err := s.Get(ctx, "ab/cd/fil", nil); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("get of a beginning: %v, want ErrNotFound", err)
	}
}

func testTooLarge(t *testing.T, s backends.Store) {
	mustPut(t, s, "file", bytesOf(1000, 1))
	for _, size := range []int{0, 1, 999} {
		if _, err := s.Get(ctx, "file", make([]byte, size)); !errors.Is(err, backends.ErrTooLarge) {
			t.Errorf("get into %d bytes: %v, want ErrTooLarge", size, err)
		}
	}
}

func testList(t *testing.T, s backends.Store) {
	mustList(t, s, "")
	mustList(t, s, "missing")
	mustPut(t, s, "ab/x", bytesOf(7, 0))
	mustList(t, s, "ab/missing")
	mustPut(t, s, "ab/y", nil)
	mustPut(t, s, "ab/cd/z", bytesOf(1<<20, 0))
	mustPut(t, s, "abc/other", nil)
	mustList(t, s, "ab", backends.Entry{Name: "cd/", Size: -1},
		backends.Entry{Name: "x", Size: 7}, backends.Entry{Name: "y", Size: 0})
	mustList(t, s, "ab/cd", backends.Entry{Name: "z", Size: 1 << 20})
	mustList(t, s, "", backends.Entry{Name: "ab/", Size: -1}, backends.Entry{Name: "abc/", Size: -1})
}

func testManyFiles(t *testing.T, s backends.Store) {
	var want []backends.Entry
	for i := range 300 {
		e := backends.Entry{Name: fmt.Sprintf("%c%c", 'a'+i/20, 'a'+i%20), Size: int64(i)}
		mustPut(t, s, "dir/"+e.Name, bytesOf(i, 0))
		want = append(want, e)
	}
	mustList(t, s, "dir", want...)
}

func testRemove(t *testing.T, s backends.Store) {
	mustPut(t, s, "ab/x", bytesOf(10, 1))
	mustPut(t, s, "ab/y", bytesOf(10, 2))
	if err := s.Remove(ctx, "ab/x"); err != nil {
		t.Fatal(err)
	}
	mustList(t, s, "ab", backends.Entry{Name: "y", Size: 10})
	mustHave(t, s, "ab/y", bytesOf(10, 2))
	for _, name := range []string{"ab/x", "never/was"} {
		if err := s.Remove(ctx, name); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("remove %s: %v, want ErrNotFound", name, err)
		}
	}
}

// What Put reports Hash reports, too, also of a file that was listed.
func testHash(t *testing.T, s backends.Store) {
	want, err := s.Put(ctx, "ab/hash", bytesOf(1000, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []bool{false, true} {
		if list {
			if _, err := s.List(ctx, "ab"); err != nil {
				t.Fatal(err)
			}
		}
		switch got, err := s.Hash(ctx, "ab/hash"); {
		case want == "" && !errors.Is(err, errors.ErrUnsupported):
			t.Errorf("hash: %q, %v where Put reports none", got, err)
		case want != "" && (got != want || err != nil):
			t.Errorf("hash: %q, %v, Put said %q", got, err, want)
		}
	}
	if got, err := s.Hash(ctx, "ab/missing"); !errors.Is(err, backends.ErrNotFound) && (want != "" || !errors.Is(err, errors.ErrUnsupported)) {
		t.Errorf("hash of nothing: %q, %v", got, err)
	}
}

func testConcurrent(t *testing.T, s backends.Store) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			name := fmt.Sprintf("dir/%c", 'a'+i)
			data := bytesOf(50_000+i, byte(i))
			for range 3 {
				if _, err := s.Put(ctx, name, data); err != nil {
					t.Error(err)
				}
				got := make([]byte, len(data))
				if n, err := s.Get(ctx, name, got); err != nil || !bytes.Equal(got[:n], data) {
					t.Errorf("get %s: %d bytes, %v", name, n, err)
				}
				if err := s.Remove(ctx, name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	mustList(t, s, "dir")
}

func testCancelledBefore(t *testing.T, s backends.Store) {
	mustPut(t, s, "present", nil)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	start := time.Now()
	if _, err := s.Put(gone, "dir/file", bytesOf(1<<20, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want Canceled", err)
	}
	mustList(t, s, "dir")
	if _, err := s.Get(gone, "missing", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v, want Canceled", err)
	}
	if _, err := s.List(gone, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v, want Canceled", err)
	}
	if err := s.Remove(gone, "present"); !errors.Is(err, context.Canceled) {
		t.Errorf("remove: %v, want Canceled", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("leaving took %v", took)
	}
	mustHave(t, s, "present", nil)
}

// A Put that is cut off is there as a whole when it said so, and only then.
func testCancelledMeanwhile(t *testing.T, s backends.Store) {
	for i := range 10 {
		going, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Duration(i*i)*50*time.Microsecond, cancel)
		_, err := s.Put(going, fmt.Sprintf("dir/%c", 'a'+i), bytesOf(1<<20, byte(i)))
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v, want Canceled", err)
		}
		entries, listErr := s.List(ctx, "dir")
		if listErr != nil {
			t.Fatal(listErr)
		}
		there := slices.Contains(entries, backends.Entry{Name: string(rune('a' + i)), Size: 1 << 20})
		if there != (err == nil) {
			t.Errorf("put said %v, but whole file there: %v", err, there)
		}
	}
}

func testIsolation(t *testing.T, s backends.Store) {
	want := bytesOf(1000, 3)
	data := slices.Clone(want)
	mustPut(t, s, "file", data)
	clear(data)
	mustHave(t, s, "file", want)
	got := make([]byte, 1000)
	if _, err := s.Get(ctx, "file", got); err != nil {
		t.Fatal(err)
	}
	clear(got)
	mustHave(t, s, "file", want)
}
