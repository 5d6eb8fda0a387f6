package backends

import (
	"context"
	"errors"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
)

// Hash returns what the store reports of a file without reading it; see Store.
func (r *Rclone) Hash(ctx context.Context, name string) (string, error) {
	return do(ctx, r, "hash", name, func(ctx context.Context, f fs.Fs, _ *Job) (_ string, err error) {
		kind := f.Hashes().GetOne()
		if kind == hash.None || f.Features().SlowHash {
			return "", errors.ErrUnsupported
		}
		o := r.handles.take(f, name)
		if o == nil {
			if o, err = find(ctx, f, name); err != nil {
				return "", err
			}
		}
		sum, err := o.Hash(ctx, kind)
		if err == nil && sum == "" {
			err = errors.ErrUnsupported
		}
		return kind.String() + ":" + sum, notFound(err)
	})
}
