package backends

import (
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/rclone/rclone/fs"
)

// List returns what is directly in dir; see Store.
func (r *Rclone) List(ctx context.Context, dir string) ([]Entry, error) {
	return do(ctx, r, "list", dir, func(ctx context.Context, f fs.Fs, j *Job) ([]Entry, error) {
		if err := readable(f, dir); err != nil {
			return nil, err
		}
		var found []Entry
		files := map[string]fs.Object{}
		add := func(entries fs.DirEntries) error {
			j.alive(0) // a long listing comes in pages
			for _, e := range entries {
				found = append(found, entry(dir, e))
				if o, ok := e.(fs.Object); ok {
					name := path.Join(dir, found[len(found)-1].Name)
					if _, twice := files[name]; twice {
						o = nil // which of them is read is the backend's choice, as ever
					}
					files[name] = o
				}
			}
			return ctx.Err()
		}
		began := time.Now()
		err := list(ctx, f, dir, add)
		if notFound(err) == ErrNotFound {
			found, files, err = nil, nil, nil
		}
		if err != nil {
			return nil, err
		}
		if !f.Features().IsLocal { // where looking costs nothing
			r.handles.keep(f, dir, began, files)
		}
		return found, nil
	})
}

func list(ctx context.Context, f fs.Fs, dir string, add func(fs.DirEntries) error) error {
	if pages := f.Features().ListP; pages != nil {
		return pages(ctx, dir, add)
	}
	entries, err := f.List(ctx, dir)
	if err != nil {
		return err
	}
	return add(entries)
}

func entry(dir string, e fs.DirEntry) Entry {
	name := e.Remote()
	if dir != "" {
		name = strings.TrimPrefix(name, dir+"/")
	}
	if strings.ToUpper(name) == name {
		name = strings.ToLower(name) // as old servers list what was stored in lower case
	}
	if _, ok := e.(fs.Directory); ok {
		return Entry{Name: name + "/", Size: -1}
	}
	return Entry{Name: name, Size: e.Size()}
}

// readable refuses a local directory that cannot be read: rclone calls it missing or empty.
func readable(f fs.Fs, dir string) error {
	if !f.Features().IsLocal {
		return nil
	}
	d, err := os.Open(filepath.Join(f.Root(), filepath.FromSlash(dir)))
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.Close()
}
