package backends

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
)

var ctx = context.Background()

// oddFs is a remote in memory of which some methods can be replaced.
type oddFs struct {
	fs.Fs
	put       func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error)
	newObject func(context.Context, string) (fs.Object, error)
	list      func(context.Context, string) (fs.DirEntries, error)
	noHash    bool
	features  fs.Features
}

func (f *oddFs) Features() *fs.Features { return &f.features }

func (f *oddFs) Hashes() hash.Set {
	if f.noHash {
		return hash.Set(hash.None)
	}
	return f.Fs.Hashes()
}

func (f *oddFs) List(ctx context.Context, dir string) (fs.DirEntries, error) {
	if f.list != nil {
		return f.list(ctx, dir)
	}
	return f.Fs.List(ctx, dir)
}

func (f *oddFs) Put(ctx context.Context, in io.Reader, src fs.ObjectInfo, o ...fs.OpenOption) (fs.Object, error) {
	if f.put != nil {
		return f.put(ctx, in, src)
	}
	return f.Fs.Put(ctx, in, src, o...)
}

func (f *oddFs) NewObject(ctx context.Context, name string) (fs.Object, error) {
	if f.newObject != nil {
		return f.newObject(ctx, name)
	}
	return f.Fs.NewObject(ctx, name)
}

func openOdd(t *testing.T) (*oddFs, *Rclone) {
	inner, err := fs.NewFs(ctx, ":memory:"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	f := &oddFs{Fs: inner, features: *inner.Features()}
	f.features.ListP = nil // the memory's own
	return f, openWith(Options{Name: "odd", Remote: "odd:path"}, func(context.Context) (fs.Fs, error) { return f, nil })
}

func mustBeEmpty(t *testing.T, f *oddFs) {
	t.Helper()
	entries, err := f.Fs.List(ctx, "")
	if err != nil && !errors.Is(err, fs.ErrorDirNotFound) || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// altered is an Fs.Put that stores something else.
func altered(f *oddFs, alter func([]byte) []byte) func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
	return func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		return f.Fs.Put(ctx, bytes.NewReader(alter(data)), src)
	}
}

func TestPutTruncated(t *testing.T) {
	f, r := openOdd(t)
	f.put = altered(f, func(data []byte) []byte { return data[:3] })
	_, err := r.Put(ctx, "a", []byte("hello"))
	if err == nil || err.Error() != "odd: put a: stored 3 bytes of 5" {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

func TestPutAltered(t *testing.T) {
	f, r := openOdd(t)
	f.put = altered(f, bytes.ToUpper)
	if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || !strings.Contains(err.Error(), "md5") {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

func TestPutFailsLate(t *testing.T) {
	f, r := openOdd(t)
	odd := errors.New("odd")
	f.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		_, _ = f.Fs.Put(ctx, io.LimitReader(in, 2), src)
		return nil, odd
	}
	if _, err := r.Put(ctx, "a", []byte("hello")); !errors.Is(err, odd) {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

// A backend that never asked for the data has nothing to clean up: it is probably down.
func TestPutRefused(t *testing.T) {
	f, r := openOdd(t)
	f.put = func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) { return nil, errors.New("down") }
	f.newObject = func(context.Context, string) (fs.Object, error) {
		t.Error("looked for leftovers")
		return nil, fs.ErrorObjectNotFound
	}
	if _, err := r.Put(ctx, "a", []byte("hello")); err == nil {
		t.Error("put succeeded")
	}
}

// A backend that hangs and ignores its context is left behind, and given up after a while.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		hang := make(chan struct{})
		f.put = func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
			<-hang
			if n, err := in.Read(make([]byte, 10)); n > 0 || err == nil {
				t.Error("the caller's data was read after it had left")
			}
			return nil, errors.New("late")
		}
		r.slots, r.smallSlots = make(chan struct{}, maxStuck), make(chan struct{}, maxStuck)
		start := time.Now()
		var all sync.WaitGroup
		for range maxStuck {
			all.Go(func() {
				if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || !strings.Contains(err.Error(), "nothing moved for 60s") {
					t.Errorf("put: %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took != defaultTimeout+grace {
			t.Errorf("took %v", took)
		}
		time.Sleep(minRest)
		start = time.Now()
		if _, err := r.Put(ctx, "a", nil); !errors.Is(err, errStuck) || time.Since(start) > 0 {
			t.Errorf("put on a stuck backend: %v after %v", err, time.Since(start))
		}
		if err := r.Ready(); err == nil {
			t.Error("a stuck backend is ready")
		}
		close(hang)
		synctest.Wait()
		if n := r.stuck.Load(); n != 0 {
			t.Errorf("%d still stuck", n)
		}
		time.Sleep(maxRest)
		f.put = nil
		if _, err := r.Put(ctx, "a", []byte("hello")); err != nil {
			t.Errorf("put after the backend came back: %v", err)
		}
	})
}

func TestConnectOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		odd := errors.New("odd https://user:pass@host/path?sig=secret\nmore")
		r := openWith(Options{Name: "x"}, func(context.Context) (fs.Fs, error) { tries.Add(1); return nil, odd })
		want := "x: list ab: odd https://host/path"
		for range 5 {
			_, err := r.List(ctx, "ab")
			if !errors.Is(err, odd) || err.Error() != want {
				t.Errorf("list: %v", err)
			}
			want = "x: list ab: odd https://host/path; not tried again before " + clock(time.Now().Add(minRest))
		}
		if tries.Load() != 1 {
			t.Errorf("%d tries within a moment", tries.Load())
		}
		time.Sleep(minRest)
		if _, err := r.List(ctx, ""); err == nil || tries.Load() != 2 {
			t.Errorf("%d tries after the pause, %v", tries.Load(), err)
		}
	})
}

// S3 calls a file whatever rclone may not ask for: what is wrong shows when that is asked again.
func TestGuessedFile(t *testing.T) {
	for _, c := range []struct {
		name string
		why  error // of the look for that file; nil: it is one
		want string
	}{
		{"a wrong key", errors.New("https response error StatusCode: 403, api error Forbidden"), "StatusCode: 403"},
		{"trouble", errors.New("https response error StatusCode: 500"), "StatusCode: 500"},
		{"trouble that is over", fs.ErrorObjectNotFound, ""},
		{"a file indeed", nil, fs.ErrorIsFile.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			above, _ := openOdd(t)
			above.newObject = func(_ context.Context, name string) (fs.Object, error) {
				if name != "store" {
					t.Errorf("looked for %q", name)
				}
				return nil, c.why
			}
			why := fs.ErrorIsFile
			r := openWith(Options{Name: "x", Remote: "s3:bucket/dir/store"}, func(context.Context) (fs.Fs, error) {
				defer func() { why = nil }()
				return above, why
			})
			_, err := r.List(ctx, "")
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNotFound)) {
				t.Errorf("list: %v; want %q", err, c.want)
			}
		})
	}
}

func TestFatalIsAnError(t *testing.T) {
	f, r := openOdd(t)
	f.put = func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
		fs.Fatalf(nil, "bad certificate")
		return nil, nil
	}
	if _, err := r.Put(ctx, "a", nil); err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("put: %v", err)
	}
}

// A certificate that is refused is said to be the server's, and what to do.
func TestRefusedCertificate(t *testing.T) {
	for want, err := range map[string]error{
		"renew the certificate": &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}},
		"RCLONE_CA_CERT":        &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
	} {
		f, r := openOdd(t)
		f.list = func(context.Context, string) (fs.DirEntries, error) {
			return nil, fmt.Errorf("read metadata failed: %w", &url.Error{Op: "Propfind", URL: "https://host/dir", Err: err})
		}
		if _, err := r.List(ctx, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("list: %v; want %q", err, want)
		}
	}
}
