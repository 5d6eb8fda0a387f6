package backends

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
)

// slowObject is read through in.
type slowObject struct {
	fs.Object
	in io.ReadCloser
}

func (o *slowObject) Open(context.Context, ...fs.OpenOption) (io.ReadCloser, error) { return o.in, nil }

// slowReader gives n bytes, step each time, then ends; or hangs, if it has something to hang on.
type slowReader struct {
	each time.Duration
	step int
	n    int
	hang chan struct{}
}

func (r *slowReader) Close() error { return nil }

func (r *slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.each)
	if r.n == 0 && r.hang == nil {
		return 0, io.EOF
	}
	if r.n == 0 {
		<-r.hang
		return copy(p, "X"), nil
	}
	n := min(r.step, r.n, len(p))
	r.n -= n
	return n, nil
}

// openSlow is a backend with a file of n bytes that is read through in.
func openSlow(t *testing.T, n int, in io.ReadCloser) *Rclone {
	f, r := openOdd(t)
	if _, err := r.Put(ctx, "a", make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	f.newObject = func(ctx context.Context, name string) (fs.Object, error) {
		o, err := f.Fs.NewObject(ctx, name)
		return &slowObject{o, in}, err
	}
	return r
}

func TestGetHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &slowReader{each: time.Second, step: 1, n: 2, hang: make(chan struct{})}
		r := openSlow(t, 5, in)
		buf := make([]byte, 5)
		_, err := r.Get(ctx, "a", buf)
		if want := "odd: get a: only 2 bytes in 60s"; err == nil || err.Error() != want {
			t.Errorf("get: %v, want %s", err, want)
		}
		copy(buf, "other") // the caller uses its buffer for something else
		close(in.hang)
		synctest.Wait()
		if string(buf) != "other" || r.stuck.Load() != 0 {
			t.Errorf("the late answer came through: %q, %d stuck", buf, r.stuck.Load())
		}
	})
}

func TestJobLeavesMemoryAlone(t *testing.T) {
	j := &Job{}
	j.close()
	if n, err := j.copy(make([]byte, 1), []byte("x")); n != 0 || err != errLeft {
		t.Errorf("copy after the end: %d, %v", n, err)
	}
}

func TestGetShort(t *testing.T) {
	r := openSlow(t, 5, &slowReader{step: 1, n: 3})
	if _, err := r.Get(ctx, "a", make([]byte, 5)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("get: %v", err)
	}
}
