package backends

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
)

// rangeObject answers ranges as told, and notes what was read of it.
type rangeObject struct {
	fs.Object
	whole bool // it knows no ranges
	size  int64
	read  *int
	err   error
}

func (o *rangeObject) Size() int64 { return o.size }

func (o *rangeObject) Open(ctx context.Context, options ...fs.OpenOption) (io.ReadCloser, error) {
	if o.err != nil {
		return nil, o.err
	}
	if o.whole {
		options = nil
	}
	in, err := o.Object.Open(ctx, options...)
	return &countReader{in, o.read}, err
}

type countReader struct {
	io.ReadCloser
	n *int
}

func (r *countReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	*r.n += n
	return n, err
}

// openUnhashed is a backend without hashes. What is found in it is shown to alter.
func openUnhashed(t *testing.T, alter func(*rangeObject)) (f *oddFs, r *Rclone, read *int) {
	f, r = openOdd(t)
	f.noHash = true
	read = new(int)
	f.newObject = func(ctx context.Context, name string) (fs.Object, error) {
		inner, err := f.Fs.NewObject(ctx, name)
		if err != nil {
			return nil, err
		}
		o := &rangeObject{Object: inner, size: inner.Size(), read: read}
		if alter != nil {
			alter(o)
		}
		return o, nil
	}
	return f, r, read
}

// sentObject claims what was sent, as several backends do.
type sentObject struct {
	fs.Object
	size int64
}

func (o *sentObject) Size() int64 { return o.size }

func claims(f *oddFs, alter func([]byte) []byte) {
	put := altered(f, alter)
	f.put = func(ctx context.Context, in io.Reader, src fs.ObjectInfo) (fs.Object, error) {
		o, err := put(ctx, in, src)
		return &sentObject{o, src.Size()}, err
	}
}

func TestCheckLooksAnew(t *testing.T) {
	f, r, _ := openUnhashed(t, nil)
	r.checker.begun.Store(true)
	r.checker.pick = func() bool { return false }
	claims(f, func(data []byte) []byte { return data[:3] })
	if _, err := r.Put(ctx, "a", []byte("hello")); err == nil || err.Error() != "odd: put a: stored 3 bytes of 5" {
		t.Errorf("put: %v", err)
	}
	mustBeEmpty(t, f)
}

// Data of 10,000 different bytes, nearly.
func various() []byte {
	data := make([]byte, 10_000)
	for i := range data {
		data[i] = byte(i*i>>8 + i)
	}
	return data
}

func TestCheckReadsBack(t *testing.T) {
	flip := func(i int) func([]byte) []byte {
		return func(data []byte) []byte {
			data = bytes.Clone(data)
			data[i] ^= 1
			return data
		}
	}
	for _, c := range []struct {
		name  string
		alter func([]byte) []byte
		see   func(*rangeObject)
		err   string
		read  int // at most, for the check
	}{
		{"good", bytes.Clone, nil, "", sampleSize},
		{"good, knows no ranges", bytes.Clone, func(o *rangeObject) { o.whole = true }, "", sampleSize + 1},
		{"last byte", flip(9999), nil, "other bytes come back", sampleSize},
		{"first of the tail", flip(10_000 - sampleSize), nil, "other bytes come back", sampleSize},
		{"before the tail", flip(9_999 - sampleSize), nil, "", sampleSize},
		{"first byte, knows no ranges", flip(0), func(o *rangeObject) { o.whole = true }, "other bytes come back", sampleSize + 1},
		{"short", func(data []byte) []byte { return data[:9000] }, func(o *rangeObject) { o.size = 10_000 }, "read back", sampleSize},
		{"unreadable", bytes.Clone, func(o *rangeObject) { o.err = io.ErrNoProgress }, "read back: " + io.ErrNoProgress.Error(), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, r, read := openUnhashed(t, c.see)
			claims(f, c.alter)
			_, err := r.Put(ctx, "a", various())
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("put: %v, want %q", err, c.err)
			}
			if *read > c.read {
				t.Errorf("%d bytes were read", *read)
			}
			if err != nil {
				mustBeEmpty(t, f)
			}
		})
	}
}

func TestSamples(t *testing.T) {
	small := []byte("hello")
	count := func(r *Rclone, read *int, n int) (sampled int) {
		for i := range n {
			before := *read
			if _, err := r.Put(ctx, string(rune('a'+i%26))+strings.Repeat("x", i/26), small); err != nil {
				t.Fatal(err)
			}
			if *read > before {
				sampled++
			}
		}
		return sampled
	}
	_, r, read := openUnhashed(t, nil)
	r.checker.pick = func() bool { return false }
	if n := count(r, read, 5); n != 1 || *read != len(small) {
		t.Errorf("%d of 5, want the first file alone", n)
	}
	r.checker.pick = func() bool { return true }
	if n := count(r, read, 5); n != 5 {
		t.Errorf("%d of 5, want all", n)
	}
	r.checker.pick = nil
	// 2000/16 = 125 of them; 60 and 200 are six standard deviations away.
	if n := count(r, read, 2000); n < 60 || n > 200 {
		t.Errorf("%d of 2000, want one in 16", n)
	}
	// Two processes must not read back the same files.
	_, other, otherRead := openUnhashed(t, nil)
	same := true
	for i := range 500 {
		a, b := *read, *otherRead
		_, err := r.Put(ctx, "s", small)
		_, err2 := other.Put(ctx, "s", small)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		same = same && (i == 0 || (*read > a) == (*otherRead > b))
	}
	if same {
		t.Error("the choice can be foreseen")
	}
	_, r, read = openUnhashed(t, nil)
	if _, err := r.Put(ctx, "empty", nil); err != nil || *read > 0 {
		t.Errorf("an empty file: %d bytes read, %v", *read, err)
	}
	f, r, read := openUnhashed(t, nil)
	f.features.IsLocal = true
	r.checker.pick = func() bool { return true }
	f.Fs = &rooted{f.Fs}
	if n := count(r, read, 5); n != 0 {
		t.Errorf("%d files on a local disk were read back", n)
	}
}

type rooted struct{ fs.Fs }

func (*rooted) Root() string { return "/nonexistent" }

// A store may need a moment to show a file. One that never does has not stored it.
func TestCheckOfALateFile(t *testing.T) {
	for hidden, want := range map[int]string{0: "", 1: "", 2: "uploaded, but it is not there"} {
		synctest.Test(t, func(t *testing.T) {
			f, r, _ := openUnhashed(t, nil)
			look, n := f.newObject, 0
			f.newObject = func(ctx context.Context, name string) (fs.Object, error) {
				if n++; n <= hidden {
					return nil, fs.ErrorObjectNotFound
				}
				return look(ctx, name)
			}
			start := time.Now()
			_, err := r.Put(ctx, "a", []byte("hello"))
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || errors.Is(err, ErrNotFound) {
				t.Errorf("hidden %d times: %v, want %q", hidden, err, want)
			}
			if took := time.Since(start); (took >= lookAgain) != (hidden > 0) {
				t.Errorf("hidden %d times: took %v", hidden, took)
			}
			if err != nil {
				mustBeEmpty(t, f)
			}
		})
	}
}

// Where the store reports a hash there is nothing to look for.
func TestHashedFilesAreNotLookedFor(t *testing.T) {
	f, r := openOdd(t)
	f.newObject = func(context.Context, string) (fs.Object, error) {
		t.Error("looked")
		return nil, fs.ErrorObjectNotFound
	}
	if hash, err := r.Put(ctx, "a", []byte("hello")); err != nil || hash == "" {
		t.Errorf("put: %q, %v", hash, err)
	}
}
