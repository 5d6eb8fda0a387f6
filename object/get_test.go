package object

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

var codes = []struct{ k, m int }{{4, 2}, {2, 1}, {1, 1}, {2, 2}}

func TestRoundTrip(t *testing.T) {
	for _, c := range codes {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.k, c.m, c.k+c.m)
			segment := c.k * 64 << 10
			for _, size := range []int{0, 1, c.k - 1, inline, inline + 1, segment - 1, segment, segment + 1, 3*segment + 7777} {
				roundTrip(t, r, fmt.Sprintf("SHA256E-s%d--%d", size, size), bytesOf(1, size))
			}
		})
	}
}

func roundTrip(t *testing.T, r *rig, key string, data []byte) {
	t.Helper()
	r.mustPut(key, data)
	r.mustCheck(key, true)
	dir := t.TempDir()
	third := data[:len(data)/3]
	for name, before := range map[string][]byte{
		"empty":          {},
		"prefix":         third,
		"garbage":        bytesOf(9, len(third)),
		"late garbage":   append(bytes.Clone(data[:2*len(data)/3]), bytesOf(9, len(data)/3)...),
		"complete":       data,
		"longer":         append(bytes.Clone(data), bytesOf(9, 5000)...),
		"longer garbage": bytesOf(9, len(data)+300_000),
		"read-only":      third,
		"missing":        nil,
	} {
		file, mode := filepath.Join(dir, name), os.FileMode(0o644)
		if name == "read-only" {
			mode = 0o444
		}
		if before != nil {
			if err := os.WriteFile(file, before, mode); err != nil {
				t.Fatal(err)
			}
		}
		reads := r.gate.did("get", manifest.KindShard)
		if err := r.Get(ctx, key, file, r.job()); err != nil {
			t.Errorf("%d bytes into a file that was %s: %v", len(data), name, err)
			continue
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes into a file that was %s: %d other bytes, %v", len(data), name, len(got), err)
		}
		if n := r.gate.did("get", manifest.KindShard) - reads; n > 0 && name == "complete" {
			t.Errorf("%d bytes: %d shards were read though the file was complete", len(data), n)
		}
	}
}

// A file that may not be written is replaced, not written through a hard link.
func TestGetKeepsHardLink(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	dir := t.TempDir()
	precious, file := filepath.Join(dir, "precious"), filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o444), os.Link(precious, file)); err != nil {
		t.Fatal(err)
	}
	if err := r.Get(ctx, testKey, file, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(precious); err != nil || string(got) != "precious" {
		t.Errorf("the linked file holds %d bytes, %v", len(got), err)
	}
}

func TestGetProgress(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	data := bytesOf(1, 500_000)
	r.mustPut(testKey, data)
	last, whole := int64(-1), int64(0)
	job := &Job{Progress: func(n int64) {
		if n < last {
			t.Errorf("progress goes back from %d to %d", last, n)
		}
		last, whole = n, max(whole, n)
	}}
	if err := r.Get(ctx, testKey, filepath.Join(t.TempDir(), "f"), job); err != nil {
		t.Fatal(err)
	}
	if whole != int64(len(data)) {
		t.Errorf("progress ends at %d of %d", whole, len(data))
	}
}

func TestGetErrors(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	if _, err := r.get("never stored"); !errors.Is(err, ErrAbsent) {
		t.Errorf("never stored: %v", err)
	}
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	if err := r.Get(ctx, testKey, t.TempDir(), nil); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("into a directory: %v", err)
	}
	for i := range r.mem { // all were emptied: there is no proof of anything
		for _, name := range r.mem[i].Names() {
			r.mem[i].Delete(name)
		}
	}
	if _, err := r.get(testKey); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("absence is said to be proved without a marker: %v", err)
	}
}

// A backend that hangs is replaced, at the look and at a shard.
func TestGetHangs(t *testing.T) {
	for _, op := range []string{"list", "get"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 4, 2, 6)
			data := bytesOf(1, 300_000)
			r.mustPut(testKey, data)
			for _, i := range []int{1, 4} {
				r.faulty[i].Add(backendtest.Fault{Op: op, Do: backendtest.Hang()})
			}
			r.mustGet(testKey, data)
			r.mustCheck(testKey, true)
		})
	}
}

// What another clone stores again while it is read is found.
func TestGetWhileStoredAgain(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	old, data := bytesOf(1, 5000), bytesOf(2, 5000)
	r.mustPut(testKey, old)
	other := &rig{t: t, dir: r.dir, config: r.config, mem: r.mem}
	other.start()
	r.start()
	stored := false
	for _, f := range r.faulty {
		f.Add(backendtest.Fault{Op: "get", Do: backendtest.Run(func() {
			if !stored {
				stored = true
				other.mustPut(testKey, data)
			}
		})})
	}
	r.mustGet(testKey, data)
}
