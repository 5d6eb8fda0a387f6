package backends

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/lib/file"
)

// exists says whether a file is really there.
func exists(f *oddFs, name string) bool {
	_, err := f.Fs.NewObject(ctx, name)
	return err == nil
}

func store(f *oddFs, name string, data []byte) {
	_, _ = f.Fs.Put(ctx, bytes.NewReader(data), newInfo(name, int64(len(data))))
}

func newInfo(name string, size int64) fs.ObjectInfo { return &fileInfo{name: name, size: size} }

// fileInfo is as little as an Fs needs to know.
type fileInfo struct {
	fs.ObjectInfo
	name string
	size int64
}

func (i *fileInfo) Remote() string                    { return i.name }
func (i *fileInfo) Size() int64                       { return i.size }
func (i *fileInfo) ModTime(context.Context) time.Time { return time.Now() }

// fails is a Put that reads n bytes and fails.
func fails(n int64) func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
	return func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
		_, _ = io.CopyN(io.Discard, in, n)
		return nil, io.ErrNoProgress
	}
}

// versitygw and rclone's own server keep what they have of an upload that was cut off, a moment
// after that.
func TestLateLeftover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = fails(2)
		if _, err := r.Put(ctx, "a", []byte("hello")); err == nil {
			t.Fatal("put succeeded")
		}
		time.Sleep(litterAfter - time.Nanosecond)
		store(f, "a", []byte("he"))
		if _, err := r.List(ctx, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !exists(f, "a") {
			t.Error("looked for too early: the server may not be done yet")
		}
		time.Sleep(time.Nanosecond)
		if _, err := r.List(ctx, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mustBeEmpty(t, f)
		if len(r.litter.all) > 0 {
			t.Error("still remembered")
		}
	})
}

// rclone's webdav ends a second after its context, and only then can be cleaned up after.
func TestCancelledPutWaitsForItsLeftover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = func(ctx context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
			_, _ = io.CopyN(io.Discard, in, 2)
			<-ctx.Done()
			store(f, "a", []byte("he"))
			time.Sleep(1500 * time.Millisecond)
			return nil, ctx.Err()
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := r.Put(short, "a", []byte("hello")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put: %v", err)
		}
		mustBeEmpty(t, f)
	})
}

// Each try of a throttled Put may leave something.
func TestLeftoverOfTheLastTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		tries := 0
		f.put = func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
			_, _ = io.CopyN(io.Discard, in, 2)
			if tries++; tries == 1 {
				store(f, "a", []byte("he")) // removed before the next try
				return nil, errSlow
			}
			return nil, io.ErrNoProgress
		}
		if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || tries != 2 {
			t.Fatalf("%d tries, %v", tries, err)
		}
		store(f, "a", []byte("he"))
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		mustBeEmpty(t, f)
	})
}

func TestCloseRemovesLeftovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = fails(2)
		for _, name := range []string{"a", "b", "c"} {
			_, _ = r.Put(ctx, name, []byte("hello"))
			store(f, name, []byte("he"))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		mustBeEmpty(t, f)
	})
}

// A Put that hung and was left behind is cleaned up after when it ends, whatever it says.
func TestLeftBehind(t *testing.T) {
	for _, late := range []error{nil, errors.New("late")} {
		synctest.Test(t, func(t *testing.T) {
			f, r := openOdd(t)
			hang := make(chan struct{})
			f.put = func(_ context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
				data, _ := io.ReadAll(in)
				<-hang
				o, _ := f.Fs.Put(ctx, bytes.NewReader(data), src)
				return o, late
			}
			data := []byte("hello")
			if _, err := r.Put(ctx, "a", data); err == nil {
				t.Fatal("put succeeded")
			}
			copy(data, "other")
			close(hang)
			synctest.Wait()
			mustBeEmpty(t, f)
			if len(r.litter.all) > 0 {
				t.Error("still remembered")
			}
		})
	}
}

// A name that others write as well keeps their file.
func TestOthersFilesStay(t *testing.T) {
	for _, theirs := range []string{"help!", "hello, world", "x"} {
		synctest.Test(t, func(t *testing.T) {
			f, r := openOdd(t)
			f.put = func(_ context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
				_, _ = io.Copy(io.Discard, in)
				store(f, "a", []byte(theirs))
				return nil, io.ErrNoProgress
			}
			if _, err := r.Put(ctx, "a", []byte("hello")); err == nil {
				t.Fatal("put succeeded")
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if !exists(f, "a") {
				t.Errorf("%q was removed", theirs)
			}
		})
	}
}

// What was stored under the name since then is no leftover.
func TestNameUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = fails(2)
		_, _ = r.Put(ctx, "a", []byte("hello"))
		f.put = nil
		if _, err := r.Put(ctx, "a", []byte("hello")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if !exists(f, "a") {
			t.Error("the second file was removed")
		}
	})
}

// A name that is being cleaned up is used again only afterwards.
func TestNameUsedAgainMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = fails(2)
		_, _ = r.Put(ctx, "a", []byte("hello"))
		store(f, "a", []byte("he"))
		f.newObject = func(ctx context.Context, name string) (fs.Object, error) {
			o, err := f.Fs.NewObject(ctx, name)
			time.Sleep(time.Second)
			return o, err
		}
		time.Sleep(litterAfter)
		if _, err := r.List(ctx, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.put = nil
		if _, err := r.Put(ctx, "a", []byte("hello")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if !exists(f, "a") {
			t.Error("the second file was removed")
		}
	})
}

func TestLitterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = fails(2)
		f.newObject = func(context.Context, string) (fs.Object, error) { return nil, io.ErrNoProgress }
		for i := range maxLitter + 50 {
			_, _ = r.Put(ctx, fmt.Sprintf("f%d", i), make([]byte, 1<<20))
			r.gate = gate{}
		}
		if n, first := len(r.litter.all), r.litter.all[0].name; n != maxLitter || first != "f50" {
			t.Errorf("%d are remembered, from %s on", n, first)
		}
		if n := cap(r.litter.all[0].head); n > 2*litterHead {
			t.Errorf("%d bytes of each are remembered", n)
		}
	})
}

func TestLeftoverIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = fails(2)
		looks := 0
		f.newObject = func(context.Context, string) (fs.Object, error) { looks++; return nil, io.ErrNoProgress }
		_, _ = r.Put(ctx, "a", []byte("hello"))
		for range 10 {
			time.Sleep(litterAgain)
			if _, err := r.List(ctx, ""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if looks != 1+litterTries || len(r.litter.all) > 0 {
			t.Errorf("%d looks, %d still remembered", looks, len(r.litter.all))
		}
	})
}

func TestFullByItsFreeSpace(t *testing.T) {
	failure := errors.New(`Update ReadFrom failed: sftp: "Failure" (SSH_FX_FAILURE)`)
	for _, c := range []struct {
		name string
		free int64
		err  error
		full bool
	}{
		{"no room", 999, failure, true},
		{"almost none", 1000 + spare - 1, failure, true},
		{"room", 1000 + spare, failure, false},
		{"not said", -1, failure, false},
		{"throttled", 0, errSlow, false},
		{"login", 0, restError(401, ""), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, r := openOdd(t)
			f.features.About = func(context.Context) (*fs.Usage, error) {
				if c.free < 0 {
					return &fs.Usage{}, nil
				}
				return &fs.Usage{Free: &c.free}, nil
			}
			f.put = func(_ context.Context, in io.Reader, _ fs.ObjectInfo) (fs.Object, error) {
				_, _ = io.CopyN(io.Discard, in, 10)
				return nil, c.err
			}
			_, err := r.Put(ctx, "a", make([]byte, 1000))
			if err == nil || errors.Is(err, ErrFull) != c.full || !errors.Is(err, c.err) {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
}

// A disk that is full makes the file, and then does not even ask for data.
func TestFullBeforeItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := openOdd(t)
		f.put = func(context.Context, io.Reader, fs.ObjectInfo) (fs.Object, error) {
			store(f, "a", nil)
			return nil, file.ErrDiskFull
		}
		if _, err := r.Put(ctx, "a", []byte("hello")); !errors.Is(err, ErrFull) {
			t.Errorf("put: %v", err)
		}
		mustBeEmpty(t, f)
	})
}
