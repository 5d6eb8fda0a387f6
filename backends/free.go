package backends

import (
	"context"
	"errors"

	"github.com/rclone/rclone/fs"
)

// Free returns how many bytes may still be stored; see Store.
func (r *Rclone) Free(ctx context.Context) (int64, error) {
	return do(ctx, r, "free", "", func(ctx context.Context, f fs.Fs, _ *Job) (int64, error) {
		return free(ctx, f)
	})
}

func free(ctx context.Context, f fs.Fs) (int64, error) {
	about := f.Features().About
	if about == nil {
		return 0, errors.ErrUnsupported
	}
	usage, err := about(ctx)
	switch {
	case err != nil:
		return 0, err
	case usage == nil:
		return 0, errors.ErrUnsupported
	case usage.Free != nil:
		return max(0, *usage.Free), nil
	case usage.Total != nil && usage.Used != nil:
		return max(0, *usage.Total-*usage.Used), nil
	}
	return 0, errors.ErrUnsupported // webdav: a struct with nothing in it
}
