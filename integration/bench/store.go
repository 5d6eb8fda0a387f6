package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/net/webdav"
)

// store is a WebDAV server on a directory. A file is there when it is whole.
type store struct {
	dir, incoming string
	dav           *webdav.Handler
}

// newStore returns the server, which tells the SHA-1 of files, if it shall, as
// Fastmail's does.
func newStore(dir string, hashes bool) http.Handler {
	files := webdav.FileSystem(tree{webdav.Dir(dir)})
	if hashes {
		files = &hashing{FileSystem: files, known: map[version]string{}}
	}
	return &store{dir: dir, incoming: dir + ".incoming", dav: &webdav.Handler{FileSystem: files, LockSystem: noLocks{}}}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		s.dav.ServeHTTP(w, r)
		return
	}
	switch err := s.put(r); {
	case err == nil:
		w.WriteHeader(http.StatusCreated)
	case errors.Is(err, fs.ErrNotExist):
		w.WriteHeader(http.StatusConflict) // as WebDAV says of a parent that is missing
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (s *store) put(r *http.Request) error {
	if err := os.MkdirAll(s.incoming, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.incoming, "put")
	if err != nil {
		return err
	}
	n, err := io.Copy(f, r.Body)
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, filepath.FromSlash(path.Clean("/"+r.URL.Path))))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// tree is a file system whose listings do not open each file to guess its
// type.
type tree struct{ webdav.FileSystem }

func (t tree) Stat(ctx context.Context, name string) (os.FileInfo, error) {
	info, err := t.FileSystem.Stat(ctx, name)
	return typed{info}, err
}

func (t tree) OpenFile(ctx context.Context, name string, flag int, perm os.FileMode) (webdav.File, error) {
	f, err := t.FileSystem.OpenFile(ctx, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

type file struct{ webdav.File }

func (f file) Stat() (os.FileInfo, error) {
	info, err := f.File.Stat()
	return typed{info}, err
}

func (f file) Readdir(n int) ([]os.FileInfo, error) {
	infos, err := f.File.Readdir(n)
	for i, info := range infos {
		infos[i] = typed{info}
	}
	return infos, err
}

type typed struct{ os.FileInfo }

func (typed) ContentType(context.Context) (string, error) { return "application/octet-stream", nil }

func (t typed) ETag(context.Context) (string, error) {
	return strconv.Quote(strconv.FormatInt(t.ModTime().UnixNano(), 36)), nil
}

// noLocks is a LockSystem in which nobody locks anybody out.
type noLocks struct{}

func (noLocks) Confirm(time.Time, string, string, ...webdav.Condition) (func(), error) {
	return func() {}, nil
}
func (noLocks) Create(time.Time, webdav.LockDetails) (string, error) { return "none", nil }
func (noLocks) Refresh(time.Time, string, time.Duration) (webdav.LockDetails, error) {
	return webdav.LockDetails{}, nil
}
func (noLocks) Unlock(time.Time, string) error { return nil }
