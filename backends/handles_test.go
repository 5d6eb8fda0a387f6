package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
)

// openCounted is a backend with the file dir/a, and counts how often one is looked for.
func openCounted(t *testing.T) (f *oddFs, r *Rclone, looked *int) {
	f, r = openOdd(t)
	for _, name := range []string{"dir/a", "top"} {
		if _, err := r.Put(ctx, name, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	looked = new(int)
	f.newObject = func(ctx context.Context, name string) (fs.Object, error) {
		*looked++
		return f.Fs.NewObject(ctx, name)
	}
	return f, r, looked
}

func mustList(t *testing.T, r *Rclone, dir string) {
	t.Helper()
	if _, err := r.List(ctx, dir); err != nil {
		t.Fatal(err)
	}
}

func mustGet(t *testing.T, r *Rclone, name string) {
	t.Helper()
	dst := make([]byte, 5)
	if n, err := r.Get(ctx, name, dst); n != 5 || err != nil || string(dst) != "hello" {
		t.Errorf("get %s: %q, %v", name, dst[:n], err)
	}
}

// What was listed is read without being looked for, once.
func TestHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, looked := openCounted(t)
		step := func(what string, want int) {
			t.Helper()
			if *looked != want {
				t.Errorf("%s: looked %d times, want %d", what, *looked, want)
			}
			*looked = 0
		}
		mustGet(t, r, "dir/a")
		step("without a listing", 1)
		mustList(t, r, "dir")
		mustGet(t, r, "dir/a")
		step("listed", 0)
		mustGet(t, r, "dir/a")
		step("read before", 1)
		mustList(t, r, "dir")
		time.Sleep(handleAge + time.Second)
		mustGet(t, r, "dir/a")
		step("listed long ago", 1)
		mustList(t, r, "")
		mustGet(t, r, "top")
		step("listed in the root", 1)
		mustList(t, r, "dir")
		if err := r.Remove(ctx, "dir/a"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Get(ctx, "dir/a", make([]byte, 5)); !errors.Is(err, ErrNotFound) {
			t.Errorf("get of what was removed: %v", err)
		}
		step("listed and removed", 2)
		mustList(t, r, "dir")
	})
}

// odd is an object of a listing that is not, or no more, what is there.
type odd struct {
	fs.Object
	size int64
	err  error
}

func (o *odd) Size() int64 { return o.size }

func (o *odd) Open(ctx context.Context, options ...fs.OpenOption) (io.ReadCloser, error) {
	if o.err != nil {
		return nil, o.err
	}
	return o.Object.Open(ctx, options...)
}

// A listing that is out of date, or wrong, changes no answer; an error is one.
func TestHandlesOutOfDate(t *testing.T) {
	f, r, looked := openCounted(t)
	listed, err := f.Fs.List(ctx, "dir")
	if err != nil {
		t.Fatal(err)
	}
	a := listed[0].(fs.Object)
	for name, found := range map[string][]fs.DirEntry{
		"gone":       {&odd{a, 5, fs.ErrorObjectNotFound}},
		"was empty":  {&odd{a, 0, nil}},
		"was longer": {&odd{a, 6, nil}},
		"was bigger": {&odd{a, 4000, nil}},
		"two":        {&odd{a, 4, nil}, a},
	} {
		*looked = 0
		f.list = func(context.Context, string) (fs.DirEntries, error) { return found, nil }
		mustList(t, r, "dir")
		mustGet(t, r, "dir/a")
		if *looked != 1 {
			t.Errorf("%s: looked %d times", name, *looked)
		}
	}
	refused := errors.New("too busy")
	f.list = func(context.Context, string) (fs.DirEntries, error) { return fs.DirEntries{&odd{a, 5, refused}}, nil }
	mustList(t, r, "dir")
	if _, err := r.Get(ctx, "dir/a", make([]byte, 5)); !errors.Is(err, refused) {
		t.Errorf("get: %v", err)
	}
}

// Handles do not pile up.
func TestHandlesAreBounded(t *testing.T) {
	h, f := &handles{}, &oddFs{}
	a := &odd{}
	for i := range 10 {
		files := map[string]fs.Object{}
		for j := range maxHandles / 4 {
			files[fmt.Sprintf("%d/%d", i, j)] = a
		}
		h.keep(f, fmt.Sprint(i), time.Now(), files)
		n := 0
		for _, l := range h.dirs {
			n += len(l.files)
		}
		if n != h.count || n > maxHandles || n < len(files) {
			t.Fatalf("%d files are kept, %d counted", n, h.count)
		}
	}
	if h.take(f, "9/1") == nil || h.take(f, "9/1") != nil || h.take(&oddFs{}, "9/2") != nil {
		t.Error("take")
	}
	h.keep(f, "9", time.Now(), nil)
	if h.take(f, "9/3") != nil {
		t.Error("what a new listing does not have is still there")
	}
	h.keep(f, "old", time.Now().Add(-2*handleAge), map[string]fs.Object{"old/1": a})
	h.swept = time.Time{}
	h.keep(f, "new", time.Now(), map[string]fs.Object{"new/1": a})
	if _, ok := h.dirs["old"]; ok || h.take(f, "new/1") == nil {
		t.Error("what is old is still there")
	}
}
