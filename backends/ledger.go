package backends

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ledger is a file in which processes note together when what they have taken of a limit will
// be used up: the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
// It is made at first use.
type ledger struct {
	path string

	mu     sync.Mutex
	file   *os.File
	failed error
}

const (
	// What is noted further ahead than this, or than 64 takers of as much would have noted, is
	// a clock that was set back.
	minDebt = time.Minute
	// maxLocked is how long another process may hold the file: it may have been stopped.
	maxLocked = time.Second
)

// take notes that so much more is used, as the time that the limit needs for it, and returns how
// long to wait first: not at all while burst has been saved up. Less than nothing gives back.
func (l *ledger) take(cost, burst time.Duration) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return 0, err
	}
	if err := l.lock(); err != nil {
		return 0, err
	}
	defer syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	var b [8]byte
	n, err := l.file.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	now := time.Now()
	used, saved := time.Unix(0, int64(binary.BigEndian.Uint64(b[:]))), now.Add(-burst)
	most := now.Add(max(minDebt, 64*max(cost, -cost)))
	switch {
	case n < len(b) || used.Before(saved):
		used = saved
	case used.After(most):
		used = most
	}
	used = used.Add(cost)
	binary.BigEndian.PutUint64(b[:], uint64(used.UnixNano()))
	if _, err := l.file.WriteAt(b[:], 0); err != nil {
		return 0, err
	}
	return used.Sub(now), nil
}

func (l *ledger) lock() error {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Since(began) > maxLocked {
			return err
		}
	}
}

func (l *ledger) open() error {
	if l.file != nil || l.failed != nil {
		return l.failed
	}
	if l.failed = os.MkdirAll(filepath.Dir(l.path), 0o700); l.failed == nil {
		l.file, l.failed = os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	return l.failed
}

func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
