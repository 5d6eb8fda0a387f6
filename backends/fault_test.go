package backends

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rclone/rclone/fs"
)

var ctx = context.Background()

// oddFs is a remote in memory whose Put, NewObject and List can be replaced.
type oddFs struct {
	fs.Fs
	put       func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error)
	newObject func(context.Context, string) (fs.Object, error)
	features  fs.Features
}

func (f *oddFs) Features() *fs.Features { return &f.features }

func (f *oddFs) Put(ctx context.Context, in io.Reader, src fs.ObjectInfo, o ...fs.OpenOption) (fs.Object, error) {
	if f.put != nil {
		return f.put(ctx, in, src)
	}
	return f.Fs.Put(ctx, in, src, o...)
}

func (f *oddFs) NewObject(ctx context.Context, name string) (fs.Object, error) {
	if f.newObject != nil {
		return f.newObject(ctx, name)
	}
	return f.Fs.NewObject(ctx, name)
}

func openOdd(t *testing.T) (*oddFs, *Rclone) {
	inner, err := fs.NewFs(ctx, ":memory:"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	f := &oddFs{Fs: inner, features: *inner.Features()}
	return f, openFs(f)
}

// openFs is a backend on an Fs that is there already.
func openFs(f fs.Fs) *Rclone {
	return openWith(Options{Name: "odd", Timeout: 100 * time.Millisecond},
		func(context.Context) (fs.Fs, error) { return f, nil })
}

func mustBeEmpty(t *testing.T, f *oddFs) {
	t.Helper()
	entries, err := f.Fs.List(ctx, "")
	if err != nil && !errors.Is(err, fs.ErrorDirNotFound) || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// altered is an Fs.Put that stores something else.
func altered(f *oddFs, alter func([]byte) []byte) func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
	return func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		return f.Fs.Put(ctx, bytes.NewReader(alter(data)), src)
	}
}

func TestPutTruncated(t *testing.T) {
	f, r := openOdd(t)
	f.put = altered(f, func(data []byte) []byte { return data[:3] })
	_, err := r.Put(ctx, "a", []byte("hello"))
	if err == nil || err.Error() != "odd: put a: stored 3 bytes of 5" {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

func TestPutAltered(t *testing.T) {
	f, r := openOdd(t)
	f.put = altered(f, bytes.ToUpper)
	if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || !strings.Contains(err.Error(), "md5") {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

func TestPutFailsLate(t *testing.T) {
	f, r := openOdd(t)
	odd := errors.New("odd")
	f.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		_, _ = f.Fs.Put(ctx, io.LimitReader(in, 2), src)
		return nil, odd
	}
	if _, err := r.Put(ctx, "a", []byte("hello")); !errors.Is(err, odd) {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

// A backend that never asked for the data has nothing to clean up: it is probably down.
func TestPutRefused(t *testing.T) {
	f, r := openOdd(t)
	f.put = func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) { return nil, errors.New("down") }
	f.newObject = func(context.Context, string) (fs.Object, error) {
		t.Error("looked for leftovers")
		return nil, fs.ErrorObjectNotFound
	}
	if _, err := r.Put(ctx, "a", []byte("hello")); err == nil {
		t.Error("put succeeded")
	}
}

// A backend that reads everything before it sends is not silent while it sends.
func TestPutBuffers(t *testing.T) {
	f, r := openOdd(t) // with a timeout of 100 ms
	f.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		data, _ := io.ReadAll(in)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
			return f.Fs.Put(ctx, bytes.NewReader(data), src)
		}
	}
	if _, err := r.Put(ctx, "a", make([]byte, slowestSend)); err != nil {
		t.Errorf("put of a second's bytes: %v", err)
	}
	if _, err := r.Put(ctx, "b", make([]byte, 10)); err == nil || !strings.Contains(err.Error(), "nothing moved") {
		t.Errorf("put of nothing much: %v", err)
	}
}

// A backend that hangs and ignores its context is left behind, and given up after a while.
func TestHang(t *testing.T) {
	f, r := openOdd(t)
	hang := make(chan struct{})
	var after atomic.Int32
	f.put = func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
		<-hang
		if n, err := in.Read(make([]byte, 10)); n > 0 || err == nil {
			t.Error("the caller's data was read after it had left")
		}
		after.Add(1)
		return nil, errors.New("late")
	}
	r.slots = make(chan struct{}, maxStuck)
	start := time.Now()
	var all sync.WaitGroup
	for range maxStuck {
		all.Go(func() {
			if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || !strings.Contains(err.Error(), "nothing moved") {
				t.Errorf("put: %v", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	start = time.Now()
	if _, err := r.Put(ctx, "a", nil); !errors.Is(err, errStuck) || time.Since(start) > time.Second {
		t.Errorf("put on a stuck backend: %v after %v", err, time.Since(start))
	}
	close(hang)
	for range 100 {
		if after.Load() == maxStuck && r.stuck.Load() == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.put = nil
	if _, err := r.Put(ctx, "a", []byte("hello")); err != nil {
		t.Errorf("put after the backend came back: %v", err)
	}
}

func TestConnectOnce(t *testing.T) {
	var tries atomic.Int32
	odd := errors.New("odd https://user:pass@host/path?sig=secret\nmore")
	r := openWith(Options{Name: "x"}, func(context.Context) (fs.Fs, error) { tries.Add(1); return nil, odd })
	for range 5 {
		_, err := r.List(ctx, "ab")
		if !errors.Is(err, odd) || err.Error() != "x: list ab: odd https://host/path" {
			t.Errorf("list: %v", err)
		}
	}
	if tries.Load() != 1 {
		t.Errorf("%d tries within a moment", tries.Load())
	}
	r.retry = time.Now()
	if _, err := r.List(ctx, ""); err == nil || tries.Load() != 2 {
		t.Errorf("%d tries after the pause, %v", tries.Load(), err)
	}
}

func TestFatalIsAnError(t *testing.T) {
	f, r := openOdd(t)
	f.put = func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
		fs.Fatalf(nil, "bad certificate")
		return nil, nil
	}
	if _, err := r.Put(ctx, "a", nil); err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("put: %v", err)
	}
}
