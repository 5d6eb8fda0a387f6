package torrent

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// Values of lseek(2) and fallocate(2).
const (
	seekData  = 3
	seekHole  = 4
	punchHole = 1 | 2 // keep the size
)

// punch gives the disk back what a range of a file takes. Where the file system cannot, it takes it
// until the file is gone.
func punch(f *os.File, off, n int64) {
	syscall.Fallocate(int(f.Fd()), punchHole, off, n) //nolint:errcheck
}

// extents calls found with each range of a file that may hold data.
func extents(f *os.File, found func(off, end int64)) error {
	var end int64
	for {
		off, err := f.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return nil // only a hole is left
		}
		if err == nil {
			end, err = f.Seek(off, seekHole)
		}
		if err != nil { // not known: everything
			size, err := f.Seek(0, io.SeekEnd)
			found(0, size)
			return err
		}
		found(off, end)
	}
}
