package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// writeRandom writes a file of random bytes, the same for the same seed.
func writeRandom(path string, size int64, seed uint64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	_, err = io.CopyN(f, rand.NewChaCha8(key), size)
	return errors.Join(err, f.Close())
}

// sameFiles fails unless two files have the same bytes.
func sameFiles(a, b string) error {
	f, err := os.Open(a)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return err
	}
	defer g.Close()
	p, q := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errA := io.ReadFull(f, p)
		m, errB := io.ReadFull(g, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return fmt.Errorf("WRONG BYTES: %s is not %s", b, a)
		}
		if errA != nil || errB != nil {
			return nil // both have ended, since they have given the same
		}
	}
}

// countFiles counts the files below a directory, and their bytes.
func countFiles(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files++
			bytes += info.Size()
		}
		return err
	})
	return files, bytes, err
}

// settle has the kernel write what waits to be written, so that it does not
// disturb what is measured next, and has so many bytes of memory touched: a
// virtual machine's first touch of memory costs more than writing a file in it,
// and whoever came first would pay for all.
func settle(memory int64) error {
	syscall.Sync()
	touched, err := syscall.Mmap(-1, 0, int(memory), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("touch %d bytes of memory: %w", memory, err)
	}
	return syscall.Munmap(touched)
}

// seconds measures what f takes.
func seconds(f func() error) (float64, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin).Seconds(), err
}

func mkdir(dir string) error { return os.MkdirAll(dir, 0o755) }
