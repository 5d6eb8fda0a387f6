package backends

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
	"github.com/rclone/rclone/fs/object"
	"golang.org/x/time/rate"
)

const (
	cleanupTime = 10 * time.Second
	// Some backends read the whole file before they send it. They get the time that this many
	// bytes per second need, after the last byte was read and before they count as silent.
	slowestSend = 64 << 10
)

// Put stores data under a new name; see Store.
func (r *Rclone) Put(ctx context.Context, name string, data []byte) (string, error) {
	if err := r.acquire(ctx); err != nil {
		return "", r.explain("put", name, err)
	}
	defer r.release()
	return do(ctx, r, "put", name, func(ctx context.Context, f fs.Fs, j *Job) (string, error) {
		src := &source{ctx: ctx, job: j, size: len(data), data: data, limit: r.upload}
		sum, err := put(ctx, f, name, src)
		if used, _ := j.state(); err != nil && used {
			discard(ctx, f, j, name)
		}
		return sum, err
	})
}

func put(ctx context.Context, f fs.Fs, name string, src *source) (string, error) {
	size := int64(len(src.data))
	kind, want, err := src.hash(f)
	if err != nil {
		return "", err
	}
	hashes := map[hash.Type]string{kind: want} // known beforehand, so that the provider can check it
	o, err := f.Put(ctx, src, object.NewStaticObjectInfo(name, time.Now(), size, true, hashes, nil))
	if err != nil {
		return "", err
	}
	if o.Size() != size {
		return "", fmt.Errorf("stored %d bytes of %d", o.Size(), size)
	}
	if kind == hash.None {
		return "", nil
	}
	got, err := o.Hash(ctx, kind)
	if err != nil || got == "" {
		return "", nil // the store does not report it after all
	}
	if got != want {
		return "", fmt.Errorf("stored with %s %s instead of %s", kind, got, want)
	}
	return kind.String() + ":" + got, nil
}

// discard removes what a failed Put may have left, as well as it can.
func discard(ctx context.Context, f fs.Fs, j *Job, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	o, err := f.NewObject(ctx, name)
	if err != nil {
		return
	}
	// Once told of the failure the caller may do as it likes with the name.
	if _, left := j.state(); !left {
		_ = o.Remove(ctx)
	}
}

// source hands the caller's data to rclone. It fails once the context has ended, since local,
// memory and sftp look at nothing else, and is never short without an error.
type source struct {
	ctx   context.Context
	job   *Job
	size  int
	data  []byte // what is left
	limit *rate.Limiter
}

func (s *source) Read(p []byte) (int, error) {
	s.job.alive(s.sending())
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(s.data), s.limit.Burst())
	if err := wait(s.ctx, s.limit, n); err != nil {
		return 0, err
	}
	n, err := s.job.copy(p[:n], s.data)
	if err != nil {
		return 0, err
	}
	s.data = s.data[n:]
	s.job.alive(s.sending())
	return n, nil
}

// sending is how long the backend may still send after it has read everything.
func (s *source) sending() time.Duration {
	if len(s.data) > 0 {
		return 0
	}
	return time.Duration(s.size) * time.Second / slowestSend
}

// hash returns the hash that f reports for free, if there is one.
func (s *source) hash(f fs.Fs) (hash.Type, string, error) {
	kind := f.Hashes().GetOne()
	if kind == hash.None || f.Features().SlowHash {
		return hash.None, "", nil
	}
	h, err := hash.NewMultiHasherTypes(hash.NewHashSet(kind))
	if err != nil {
		return hash.None, "", err
	}
	_, _ = h.Write(s.data) // a hash cannot fail
	sum, err := h.Sum(kind)
	return kind, hex.EncodeToString(sum), err
}
