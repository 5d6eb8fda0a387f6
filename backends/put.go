package backends

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
	"github.com/rclone/rclone/fs/object"
)

// Some backends read the whole file before they send it. They get the time that this many
// bytes per second need, after the last byte was read and before they count as silent.
const slowestSend = 64 << 10

// upload is one file on its way, in memory of its own, for what is done when the caller has
// left.
type upload struct {
	*target
	head, tail []byte      // the first and last bytes, at most sampleSize
	sent       atomic.Bool // there may be something in the store
}

// target is what an upload shall become.
type target struct {
	name string
	size int64
	gone atomic.Bool // what a failure left was removed
}

// Put stores data under a new name; see Store.
func (r *Rclone) Put(ctx context.Context, name string, data []byte) (string, error) {
	release, err := r.acquire(ctx, len(data))
	if err != nil {
		return "", r.explain("put", name, err)
	}
	defer release()
	if err := r.litter.forget(ctx, name); err != nil {
		return "", r.explain("put", name, err)
	}
	n := min(len(data), sampleSize)
	up := &upload{target: &target{name: name, size: int64(len(data))}, head: bytes.Clone(data[:n]), tail: bytes.Clone(data[len(data)-n:])}
	sum, err := do(ctx, r, "put", name, func(ctx context.Context, f fs.Fs, j *Job) (string, error) {
		up.sent.Store(false) // it may have been throttled, and be tried again
		up.gone.Store(false)
		src := &source{ctx: ctx, job: j, up: up, data: data, limit: r.upload}
		sum, stored, err := r.put(ctx, f, j, src)
		if err != nil && isFull(err) {
			up.sent.Store(true) // local makes the file, then asks for room, then for data
		}
		if _, left := j.state(); up.sent.Load() && (err != nil || left) {
			err = r.undo(ctx, f, j, up, stored, err)
		}
		return sum, err
	})
	if err != nil && up.sent.Load() {
		r.litter.add(up)
	}
	return sum, err
}

// put uploads and checks. Stored means that the store has something of ours under the name.
func (r *Rclone) put(ctx context.Context, f fs.Fs, j *Job, src *source) (sum string, stored bool, err error) {
	up := src.up
	kind, want, err := src.hash(f)
	if err != nil {
		return "", false, err
	}
	hashes := map[hash.Type]string{kind: want} // known beforehand, so that the provider can check it
	r.made.above(ctx, r, f, j, up.name)
	o, err := f.Put(ctx, src, object.NewStaticObjectInfo(up.name, time.Now(), up.size, true, hashes, nil))
	if err != nil {
		return "", false, err
	}
	j.alive(0)
	if o.Size() != up.size {
		return "", true, fmt.Errorf("stored %d bytes of %d", o.Size(), up.size)
	}
	if kind != hash.None {
		// An error, or nothing: the store does not report it after all.
		if got, err := o.Hash(ctx, kind); err == nil && got != "" {
			if got != want {
				return "", true, fmt.Errorf("stored with %s %s instead of %s", kind, got, want)
			}
			return kind.String() + ":" + got, true, nil
		}
	}
	return "", true, r.check(ctx, f, j, up, o)
}

// source hands the caller's data to rclone. It fails once the context has ended, since local,
// memory and sftp look at nothing else, and is never short without an error.
type source struct {
	ctx   context.Context
	job   *Job
	up    *upload
	data  []byte // what is left
	limit *limiter
}

func (s *source) Read(p []byte) (int, error) {
	s.up.sent.Store(true)
	s.job.asked()
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	if len(s.data) == 0 {
		s.job.alive(s.sending())
		return 0, io.EOF
	}
	s.job.transfer(s.limit.Limit())
	n := min(len(p), len(s.data), s.limit.Burst())
	if err := s.job.wait(s.ctx, s.limit, n); err != nil {
		return 0, err
	}
	n, err := s.job.copy(p[:n], s.data)
	if err != nil {
		return 0, err
	}
	if s.data = s.data[n:]; len(s.data) == 0 {
		s.job.alive(s.sending())
	}
	return n, nil
}

// sending is how long the backend may still send after it has read everything.
func (s *source) sending() time.Duration {
	return time.Duration(s.up.size) * time.Second / slowestSend
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
