package backends_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/webdav"
	"shardraid/backends"
	"shardraid/backends/backendtest"
)

var ctx = context.Background()

func TestLocal(t *testing.T) {
	backendtest.Test(t, func(t *testing.T) backends.Store {
		return backends.Open(backends.Options{Name: "disk", Remote: t.TempDir()})
	})
}

func TestLocalMissingRoot(t *testing.T) {
	backendtest.Test(t, func(t *testing.T) backends.Store {
		return backends.Open(backends.Options{Name: "disk", Remote: filepath.Join(t.TempDir(), "a", "b")})
	})
}

func TestRcloneMemory(t *testing.T) {
	backendtest.Test(t, func(t *testing.T) backends.Store {
		bucket := filepath.Base(filepath.Dir(t.TempDir())) // one that no other run has used
		r := backends.Open(backends.Options{Name: "mem", Remote: ":memory:" + bucket})
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		return r
	})
}

// What we store is in lower case, and some servers list it otherwise.
func TestListUpperCase(t *testing.T) {
	dir := t.TempDir()
	r := backends.Open(backends.Options{Name: "disk", Remote: dir})
	for _, name := range []string{"AB/X2.S", "AB/Mixed", "AB/CD/X"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[string]string{"": "[{ab/ -1}]", "AB": "[{Mixed 1} {cd/ -1} {x2.s 1}]"} {
		entries, err := r.List(ctx, at)
		slices.SortFunc(entries, func(a, b backends.Entry) int { return strings.Compare(a.Name, b.Name) })
		if got := fmt.Sprint(entries); got != want || err != nil {
			t.Errorf("list %q: %s, %v, want %s", at, got, err, want)
		}
	}
}

// A store without hashes, on a real server.
func TestWebDAV(t *testing.T) {
	backendtest.Test(t, func(t *testing.T) backends.Store {
		server := httptest.NewServer(&webdav.Handler{FileSystem: webdav.Dir(t.TempDir()), LockSystem: webdav.NewMemLS()})
		r := backends.Open(backends.Options{Name: "dav", Remote: ":webdav,url='" + server.URL + "',pacer_min_sleep=1us:"})
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			server.Close()
		})
		return r
	})
}

func TestHashWhereItIsFree(t *testing.T) {
	mem := backends.Open(backends.Options{Remote: ":memory:hashes"})
	hash, err := mem.Put(ctx, "a", []byte("hello"))
	if want := "md5:5d41402abc4b2a76b9719d911017c592"; hash != want || err != nil {
		t.Errorf("memory: %q, %v; want %q", hash, err, want)
	}
	disk := backends.Open(backends.Options{Remote: t.TempDir()})
	if hash, err := disk.Put(ctx, "a", []byte("hello")); hash != "" || err != nil {
		t.Errorf("disk: %q, %v; want none, it would have to read the file", hash, err)
	}
}

func TestFree(t *testing.T) {
	disk := backends.Open(backends.Options{Remote: t.TempDir()})
	if free, err := disk.Free(ctx); err != nil || free <= 0 {
		t.Errorf("disk: %d, %v", free, err)
	}
	mem := backends.Open(backends.Options{Remote: ":memory:about"})
	if _, err := mem.Free(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("memory knows its free space: %v", err)
	}
}

func TestLimits(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 100_000)
	r := backends.Open(backends.Options{Remote: t.TempDir(), Upload: 200_000, Download: 200_000})
	took := func(f func() error) time.Duration {
		t.Helper()
		start := time.Now()
		if err := f(); err != nil {
			t.Error(err)
		}
		return time.Since(start)
	}
	put := func() error { _, err := r.Put(ctx, "a", data); return err }
	get := func() error { _, err := r.Get(ctx, "a", make([]byte, len(data))); return err }
	// 100 kB less a burst of 50 kB, at 200 kB/s
	for _, op := range []func() error{put, get} {
		if d := took(op); d < 200*time.Millisecond || d > 30*time.Second {
			t.Errorf("took %v, want 250ms", d)
		}
	}
	r = backends.Open(backends.Options{Remote: t.TempDir(), Requests: 10})
	list := func() (err error) {
		for range 13 {
			if _, err = r.List(ctx, ""); err != nil {
				return err
			}
		}
		return nil
	}
	if d := took(list); d < 250*time.Millisecond || d > 30*time.Second {
		t.Errorf("13 lists took %v, want 300ms", d)
	}
}

func TestLimitHonoursContext(t *testing.T) {
	dir := t.TempDir()
	r := backends.Open(backends.Options{Remote: dir, Upload: 1000})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := r.Put(short, "ab/cd", make([]byte, 100_000))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 30*time.Second {
		t.Errorf("put: %v after %v", err, time.Since(start))
	}
	if _, err := os.Stat(filepath.Join(dir, "ab/cd")); !os.IsNotExist(err) {
		t.Errorf("leftover: %v", err)
	}
}

func TestErrorTexts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk := backends.Open(backends.Options{Name: "disk", Remote: dir})
	_, err := disk.Get(ctx, "ab/cd", nil)
	if want := "disk: get ab/cd: not found"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, r := range []*backends.Rclone{
		backends.Open(backends.Options{Name: "odd", Remote: "nosuch:path"}),
		backends.Open(backends.Options{Name: "odd", Remote: filepath.Join(dir, "file")}),
	} {
		_, err := r.Put(ctx, "x", []byte("y"))
		if err == nil || !strings.HasPrefix(err.Error(), "odd: put x: ") || errors.Is(err, backends.ErrNotFound) {
			t.Errorf("put: %v", err)
		}
		if _, again := r.List(ctx, ""); again == nil {
			t.Error("list of what cannot be opened")
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Get(ctx, "sub", nil); err == nil || errors.Is(err, backends.ErrNotFound) {
		t.Errorf("get of a directory: %v", err)
	}
	if _, err := disk.List(ctx, "file"); err == nil {
		t.Error("list of a file")
	}
}
