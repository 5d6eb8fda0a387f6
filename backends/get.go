package backends

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/rclone/rclone/fs"
)

// Get reads the whole file into dst; see Store.
func (r *Rclone) Get(ctx context.Context, name string, dst []byte) (int, error) {
	release, err := r.acquire(ctx, len(dst))
	if err != nil {
		return 0, r.explain("get", name, err)
	}
	defer release()
	return do(ctx, r, "get", name, func(ctx context.Context, f fs.Fs, j *Job) (int, error) {
		if o := r.handles.take(f, name); o != nil {
			n, err := r.read(ctx, j, o, dst)
			if !isStale(n, err) {
				return n, err
			}
			if err := j.wait(ctx, r.requests, 1); err != nil {
				return 0, err
			}
		}
		o, err := find(ctx, f, name)
		if err != nil {
			return 0, err
		}
		r.handles.found(f, name, o)
		if o.Size() > 0 {
			if err := j.wait(ctx, r.requests, 1); err != nil {
				return 0, err
			}
		}
		return r.read(ctx, j, o, dst)
	})
}

// isStale reports whether a handle may be out of date, by what came of reading it.
func isStale(n int, err error) bool {
	if err == nil {
		return n == 0
	}
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrTooLarge) || errors.Is(err, io.ErrUnexpectedEOF) || status(err) == http.StatusNotFound
}

// read reads a whole file, for which one request was waited for.
func (r *Rclone) read(ctx context.Context, j *Job, o fs.Object, dst []byte) (int, error) {
	size := o.Size() // -1 where the backend does not know
	if size > int64(len(dst)) {
		return 0, ErrTooLarge
	}
	if size == 0 {
		return 0, nil
	}
	in, err := o.Open(ctx)
	if err != nil {
		return 0, notFound(err)
	}
	defer in.Close()
	n, err := r.readAll(ctx, j, in, dst, j.copy)
	if err == nil && size > int64(n) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readAll fills dst, and returns ErrTooLarge if there is more. It goes through a buffer of its
// own, since Read may hang and fill it when the caller has long gone on to use dst for
// something else.
func (r *Rclone) readAll(ctx context.Context, j *Job, in io.Reader, dst []byte,
	move func(dst, src []byte) (int, error)) (int, error) {
	buf := make([]byte, min(r.download.Burst(), len(dst)+1))
	j.transfer(r.download.Limit())
	for n := 0; ; {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		m, err := in.Read(buf)
		if m > 0 {
			if err := j.wait(ctx, r.download, m); err != nil {
				return 0, err
			}
			moved, err := move(dst[n:], buf[:m])
			if err != nil {
				return 0, err
			}
			n += moved
			if moved < m {
				return n, ErrTooLarge
			}
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return 0, notFound(err)
		}
	}
}

// Remove removes the file; see Store.
func (r *Rclone) Remove(ctx context.Context, name string) error {
	_, err := do(ctx, r, "remove", name, func(ctx context.Context, f fs.Fs, j *Job) (none struct{}, err error) {
		r.handles.take(f, name) // where a handle is more than a path, the file may be read after it is gone
		o, err := find(ctx, f, name)
		if err != nil {
			return none, err
		}
		if err := j.wait(ctx, r.requests, 1); err != nil {
			return none, err
		}
		return none, notFound(o.Remove(ctx))
	})
	return err
}

func find(ctx context.Context, f fs.Fs, name string) (fs.Object, error) {
	o, err := f.NewObject(ctx, name)
	return o, notFound(err)
}

// notFound translates rclone's words for "not there", and only these.
func notFound(err error) error {
	if errors.Is(err, fs.ErrorObjectNotFound) || errors.Is(err, fs.ErrorDirNotFound) {
		return ErrNotFound
	}
	return err
}
