package backends

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// openRecorded is a backend on a real server, and what was asked of it since the last time.
func openRecorded(t *testing.T) (r *Rclone, dir string, asked func() string) {
	var mu sync.Mutex
	var methods []string
	r, dir = openDAV(t, func(req *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		methods = append(methods, req.Method)
		return 0
	})
	r.checker.begun.Store(true)
	r.checker.pick = func() bool { return false }
	return r, dir, func() string {
		mu.Lock()
		defer mu.Unlock()
		text := strings.Join(methods, " ")
		methods = nil
		return text
	}
}

// WebDAV is asked no more than it needs to be.
func TestDAVRequests(t *testing.T) {
	r, dir, asked := openRecorded(t)
	put := func(name string) {
		t.Helper()
		if _, err := r.Put(ctx, name, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, want string) {
		t.Helper()
		if got := asked(); got != want {
			t.Errorf("%s: %s; want %s", what, got, want)
		}
	}
	put("marker")
	want("a file in the root", "PUT PROPFIND")
	put("aa/bb/c")
	want("a new directory in a new one", "MKCOL MKCOL PUT PROPFIND")
	put("aa/cc/c")
	want("a new directory in a known one", "MKCOL PUT PROPFIND")
	if err := os.RemoveAll(filepath.Join(dir, "aa")); err != nil {
		t.Fatal(err)
	}
	put("aa/bb/c")
	want("where the known one is gone", "MKCOL PROPFIND MKCOL MKCOL PUT PROPFIND")

	mustList(t, r, "aa/bb")
	mustGet(t, r, "aa/bb/c")
	want("a file that was listed", "PROPFIND GET")
	mustGet(t, r, "marker")
	want("a file in the root", "PROPFIND GET")
	mustGet(t, r, "marker")
	want("the same again", "GET")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { mustGet(t, r, "marker") })
	}
	wg.Wait()
	want("by several at once", "GET GET GET GET")
	if err := os.WriteFile(filepath.Join(dir, "marker"), []byte("hallo"), 0o644); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 5)
	if n, err := r.Get(ctx, "marker", dst); string(dst[:n]) != "hallo" || err != nil {
		t.Errorf("another file of that name: %q, %v", dst[:n], err)
	}
	if err := os.Remove(filepath.Join(dir, "marker")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(ctx, "marker", dst); !errors.Is(err, ErrNotFound) {
		t.Errorf("when it is gone: %v", err)
	}
}

// rclone's look after an upload is enough to see that it was cut off.
func TestDAVTruncates(t *testing.T) {
	r, dir := openDAV(t, func(req *http.Request) int {
		if req.Method == http.MethodPut {
			req.Body = io.NopCloser(io.LimitReader(req.Body, 3))
		}
		return 0
	})
	if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || !strings.Contains(err.Error(), "stored 3 bytes of 5") {
		t.Errorf("put: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
