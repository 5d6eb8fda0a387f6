package backends

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rclone/rclone/fs"
)

// slowObject is read through in.
type slowObject struct {
	fs.Object
	in io.ReadCloser
}

func (o *slowObject) Open(context.Context, ...fs.OpenOption) (io.ReadCloser, error) { return o.in, nil }

// slowReader gives n bytes, one each time, then ends; or hangs, if it has something to hang on.
type slowReader struct {
	each time.Duration
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
	r.n--
	p[0] = 'a'
	return 1, nil
}

func openSlow(t *testing.T, in io.ReadCloser) *Rclone {
	f, r := openOdd(t)
	if _, err := r.Put(ctx, "a", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	f.newObject = func(ctx context.Context, name string) (fs.Object, error) {
		o, err := f.Fs.NewObject(ctx, name)
		return &slowObject{o, in}, err
	}
	return r
}

func TestGetSlowIsNotSilent(t *testing.T) {
	r := openSlow(t, &slowReader{each: 300 * time.Millisecond, n: 5})
	r.timeout = time.Second // of the 1.8 s that it takes
	buf := make([]byte, 5)
	if n, err := r.Get(ctx, "a", buf); n != 5 || err != nil {
		t.Errorf("get: %q, %v", buf[:n], err)
	}
}

func TestGetHangs(t *testing.T) {
	in := &slowReader{n: 2, hang: make(chan struct{})}
	r := openSlow(t, in)
	buf := make([]byte, 5)
	if _, err := r.Get(ctx, "a", buf); err == nil || !strings.Contains(err.Error(), "nothing moved") {
		t.Errorf("get: %v", err)
	}
	copy(buf, "other") // the caller uses its buffer for something else
	close(in.hang)
	for range 100 {
		if r.stuck.Load() == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if string(buf) != "other" || r.stuck.Load() != 0 {
		t.Errorf("the late answer came through: %q, %d stuck", buf, r.stuck.Load())
	}
}

func TestJobLeavesMemoryAlone(t *testing.T) {
	j := &Job{}
	j.close()
	if n, err := j.copy(make([]byte, 1), []byte("x")); n != 0 || err != errLeft {
		t.Errorf("copy after the end: %d, %v", n, err)
	}
}

func TestGetShort(t *testing.T) {
	r := openSlow(t, &slowReader{n: 3})
	if _, err := r.Get(ctx, "a", make([]byte, 5)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("get: %v", err)
	}
}
