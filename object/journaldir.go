package object

import (
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Journal is what must outlive a process: small files, each held by one
// process at a time. Nothing in it is secret.
type Journal interface {
	// Open holds the file of that name, which it makes if need be; nil where
	// another process holds it.
	Open(name string) (JournalFile, error)
	// Read returns what is in a file, whoever holds it; nil where there is none.
	Read(name string) ([]byte, error)
	// Names returns the names of all files.
	Names() ([]string, error)
}

// JournalFile is one file that this process holds.
type JournalFile interface {
	Read() ([]byte, error)
	// Append adds a whole line, which outlives the process. Several may do so
	// at once.
	Append(line []byte) error
	// Sync sees what was appended to the disk, so that it outlives a power cut.
	Sync() error
	// Cut keeps the first size bytes.
	Cut(size int) error
	// Close lets the file go, and removes it where it is done with.
	Close(done bool) error
}

// JournalDir is a Journal in a directory, which need not exist.
type JournalDir string

// Open holds a file; see Journal.
func (d JournalDir) Open(name string) (JournalFile, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(string(d), name)
	for {
		lock := flock.New(path, flock.SetFlag(os.O_RDWR|os.O_CREATE), flock.SetPermissions(0o600))
		if ok, err := lock.TryLock(); err != nil || !ok {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err == nil {
			opened, _ := file.Stat()
			if held, err := lock.Stat(); err == nil && os.SameFile(held, opened) {
				return &dirFile{file, lock}, nil
			}
			file.Close()
		}
		lock.Unlock() // whoever held it has removed it meanwhile
	}
}

// Read returns what is in a file; see Journal.
func (d JournalDir) Read(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(d), name))
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Names returns the names of all files; see Journal.
func (d JournalDir) Names() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

type dirFile struct {
	file *os.File
	lock *flock.Flock
}

func (f *dirFile) Read() ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(f.file, 0, 1<<40))
}

func (f *dirFile) Append(line []byte) error {
	_, err := f.file.Write(line)
	return err
}

func (f *dirFile) Sync() error { return f.file.Sync() }

func (f *dirFile) Cut(size int) error { return f.file.Truncate(int64(size)) }

func (f *dirFile) Close(done bool) error {
	if done {
		os.Remove(f.file.Name()) // while held: nobody else has it
	}
	f.file.Close()
	return f.lock.Unlock()
}
