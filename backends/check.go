package backends

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rclone/rclone/fs"
)

const (
	// Bytes at the end of a file that are read back.
	sampleSize = 4096
	// One of this many files is read back, and always the first one.
	sampleEvery = 16
	// A store may need a moment to show what it has acknowledged.
	lookAgain = time.Second
)

// checker chooses the files that are read back.
type checker struct {
	begun atomic.Bool // the first file was chosen
	pick  func() bool // for tests; nil is by chance
}

func (c *checker) choose() bool {
	if c.begun.CompareAndSwap(false, true) {
		return true
	}
	if c.pick != nil {
		return c.pick()
	}
	var b [1]byte
	_, _ = rand.Read(b[:]) // no provider may foresee which files it had better keep; never fails
	return b[0]%sampleEvery == 0
}

// check looks at an uploaded file anew, for stores that report no hash: what rclone says of an
// upload is often only what it has sent.
func (r *Rclone) check(ctx context.Context, f fs.Fs, j *Job, up *upload, o fs.Object) (err error) {
	if !isDAV(f) { // which has looked, and its size was compared
		if o, err = r.lookTwice(ctx, f, j, up.name); err != nil {
			return err
		}
		if o.Size() != up.size {
			return fmt.Errorf("stored %d bytes of %d", o.Size(), up.size)
		}
	}
	if f.Features().IsLocal || up.size == 0 || !r.checker.choose() {
		return nil
	}
	return r.readBack(ctx, j, o, up)
}

// lookTwice finds what was uploaded, if it takes a moment.
func (r *Rclone) lookTwice(ctx context.Context, f fs.Fs, j *Job, name string) (fs.Object, error) {
	o, err := r.look(ctx, f, j, name)
	if errors.Is(err, ErrNotFound) {
		if err := sleep(ctx, lookAgain); err != nil {
			return nil, err
		}
		o, err = r.look(ctx, f, j, name)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, errors.New("uploaded, but it is not there") // not what our caller calls not found
	}
	return o, err
}

// look finds a file anew.
func (r *Rclone) look(ctx context.Context, f fs.Fs, j *Job, name string) (fs.Object, error) {
	if err := j.wait(ctx, r.requests, 1); err != nil {
		return nil, err
	}
	j.alive(0)
	return find(ctx, f, name)
}

// readBack compares the end of a file with what was sent.
func (r *Rclone) readBack(ctx context.Context, j *Job, o fs.Object, up *upload) error {
	got := make([]byte, len(up.tail))
	from := up.size - int64(len(got))
	whole, err := r.readSome(ctx, j, o, from, got)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	want := up.tail
	if whole {
		want = up.head
	}
	if !bytes.Equal(got, want) {
		return errors.New("stored, but other bytes come back")
	}
	return nil
}

// readSome fills dst from an offset on. Whole means that the store knows no ranges and has
// sent the file from its beginning, of which no more was read than fits.
func (r *Rclone) readSome(ctx context.Context, j *Job, o fs.Object, from int64, dst []byte) (whole bool, err error) {
	if err := j.wait(ctx, r.requests, 1); err != nil {
		return false, err
	}
	in, err := o.Open(ctx, &fs.RangeOption{Start: from, End: from + int64(len(dst)) - 1})
	if err != nil {
		return false, err
	}
	defer in.Close()
	n, err := r.readAll(ctx, j, in, dst, j.copyOwn)
	if err == ErrTooLarge {
		return true, nil
	}
	if err == nil && n < len(dst) {
		err = fmt.Errorf("only %d bytes of %d", n, len(dst))
	}
	return false, err
}
