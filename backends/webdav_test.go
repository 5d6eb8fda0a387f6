package backends

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/rclone/rclone/backend/webdav"
	"golang.org/x/net/webdav"
)

// openDAV is a backend on a real server, which answers a status instead where one is told.
func openDAV(t *testing.T, answer func(*http.Request) int) (r *Rclone, dir string) {
	dir = t.TempDir()
	handler := &webdav.Handler{FileSystem: webdav.Dir(dir), LockSystem: webdav.NewMemLS()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if code := answer(req); code != 0 {
			_, _ = io.Copy(io.Discard, req.Body)
			w.WriteHeader(code)
			return
		}
		handler.ServeHTTP(w, req)
	}))
	r = Open(Options{Name: "dav", Remote: ":webdav,url='" + server.URL + "',pacer_min_sleep=1us:"})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return r, dir
}

func onPut(code int) func(*http.Request) int {
	return func(req *http.Request) int {
		if req.Method == http.MethodPut {
			return code
		}
		return 0
	}
}

func TestWebDAVFull(t *testing.T) {
	r, _ := openDAV(t, onPut(http.StatusInsufficientStorage))
	if _, err := r.Put(ctx, "a", []byte("hello")); !errors.Is(err, ErrFull) {
		t.Errorf("put: %v", err)
	}
	if _, err := r.Free(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("free: %v", err)
	}
}

func TestWebDAVSlow(t *testing.T) {
	var puts atomic.Int32
	r, _ := openDAV(t, func(req *http.Request) int {
		if req.Method == http.MethodPut && puts.Add(1) == 1 {
			return http.StatusTooManyRequests
		}
		return 0
	})
	start := time.Now()
	if _, err := r.Put(ctx, "a", []byte("hello")); err != nil || puts.Load() != 2 || time.Since(start) < minPause {
		t.Errorf("%d puts in %v, %v", puts.Load(), time.Since(start), err)
	}
}

// Servers lock a directory while one request makes it, and refuse the others meanwhile.
func TestWebDAVLocked(t *testing.T) {
	var made atomic.Int32
	r, _ := openDAV(t, func(req *http.Request) int {
		if req.Method == "MKCOL" && made.Add(1) <= maxFailures {
			return http.StatusLocked
		}
		return 0
	})
	if _, err := r.Put(ctx, "ab/a", []byte("hello")); err != nil || made.Load() <= maxFailures {
		t.Errorf("%d attempts, %v", made.Load(), err)
	}
}

func TestWebDAVLogin(t *testing.T) {
	r, _ := openDAV(t, func(*http.Request) int { return http.StatusUnauthorized })
	if _, err := r.List(ctx, ""); err == nil {
		t.Error("list succeeded")
	}
	if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("ready: %v", err)
	}
}

// The server keeps what it has of an upload that was cut off.
func TestWebDAVCutOff(t *testing.T) {
	r, dir := openDAV(t, func(*http.Request) int { return 0 })
	r.upload = byteLimiter(1 << 20)
	data := make([]byte, 2<<20)
	for _, name := range []string{"ab/a", "ab/b", "ab/c"} {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := r.Put(short, name, data)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put: %v", err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "ab"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
