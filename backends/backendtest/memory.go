package backendtest

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"shardraid/backends"
)

// Memory is a Store in a map. It does what it is told, at once and always the same way.
type Memory struct {
	mu      sync.Mutex
	files   map[string][]byte
	limited bool
	limit   int64 // in bytes, of all files together
	partial bool  // a file that does not fit leaves its beginning
	refused int   // Puts, since they did not fit
	folds   bool
}

var _ backends.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{files: map[string][]byte{}} }

// Limit gives the store room for so many bytes in all. A Put beyond fails, and leaves as much
// of the file as fits if partial is set.
func (m *Memory) Limit(bytes int64, partial bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limited, m.limit, m.partial = true, bytes, partial
}

// Refused returns how many Puts did not fit in.
func (m *Memory) Refused() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused
}

// Fold makes names that differ in case only the same, as on a FAT disk; they are kept in upper
// case, which package backends does not show. Fold(false) ends that.
func (m *Memory) Fold(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.folds = on
	files := map[string][]byte{}
	for name, data := range m.files {
		files[m.fold(strings.ToLower(name))] = data
	}
	m.files = files
}

// fold makes of a name the one that it is stored by.
func (m *Memory) fold(name string) string {
	if m.folds {
		return strings.ToUpper(name)
	}
	return name
}

// Put stores a copy of data and reports its MD5.
func (m *Memory) Put(ctx context.Context, name string, data []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("put %s: %w", name, err)
	}
	name = m.fold(name)
	left := m.left() + int64(len(m.files[name]))
	if m.limited && left < int64(len(data)) {
		m.refused++
		if m.partial && left > 0 {
			m.files[name] = slices.Clone(data[:left])
		}
		return "", fmt.Errorf("put %s: %w", name, Full())
	}
	m.files[name] = slices.Clone(data)
	return md5Of(data), nil
}

// Hash reports the MD5 of a file.
func (m *Memory) Hash(ctx context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("hash %s: %w", name, err)
	}
	data, ok := m.files[m.fold(name)]
	if !ok {
		return "", fmt.Errorf("hash %s: %w", name, backends.ErrNotFound)
	}
	return md5Of(data), nil
}

// left is how many bytes fit in, below zero if there are too many.
func (m *Memory) left() int64 {
	left := m.limit
	for _, data := range m.files {
		left -= int64(len(data))
	}
	return left
}

// Get copies the file into dst.
func (m *Memory) Get(ctx context.Context, name string, dst []byte) (int, error) {
	m.mu.Lock()
	data, ok := m.files[m.fold(name)]
	m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("get %s: %w", name, ctx.Err())
	case !ok:
		return 0, fmt.Errorf("get %s: %w", name, backends.ErrNotFound)
	case len(data) > len(dst):
		return 0, fmt.Errorf("get %s: %w", name, backends.ErrTooLarge)
	}
	return copy(dst, data), nil
}

// List returns what is directly in dir, sorted by name.
func (m *Memory) List(ctx context.Context, dir string) ([]backends.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if dir != "" {
		dir += "/"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = m.fold(dir)
	var entries []backends.Entry
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		rest, ok := strings.CutPrefix(name, dir)
		if !ok {
			continue
		}
		if m.folds {
			rest = strings.ToLower(rest)
		}
		e := backends.Entry{Name: rest, Size: int64(len(m.files[name]))}
		if sub, _, deeper := strings.Cut(rest, "/"); deeper {
			e = backends.Entry{Name: sub + "/", Size: -1}
		}
		if !slices.Contains(entries[max(0, len(entries)-1):], e) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// Remove removes the file.
func (m *Memory) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	if !m.Delete(name) {
		return fmt.Errorf("remove %s: %w", name, backends.ErrNotFound)
	}
	return nil
}

// Free is what is left of the limit; without one it is unsupported.
func (m *Memory) Free(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("free: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.limited {
		return 0, fmt.Errorf("free: %w", errors.ErrUnsupported)
	}
	return max(0, m.left()), nil
}

// Clone returns a store of its own with the same files and settings: what this one is now.
func (m *Memory) Clone() *Memory {
	files := m.Files()
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{files: files, limited: m.limited, limit: m.limit, partial: m.partial, folds: m.folds}
}

// Restore puts the files back to what another store has: to an earlier state, mostly.
func (m *Memory) Restore(to *Memory) {
	files := to.Files()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = files
}

// Set stores a copy of data behind everyone's back.
func (m *Memory) Set(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[m.fold(name)] = slices.Clone(data)
}

// Delete removes a file behind everyone's back; it says whether it was there.
func (m *Memory) Delete(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = m.fold(name)
	_, ok := m.files[name]
	delete(m.files, name)
	return ok
}

// Corrupt flips one bit in the middle of a file; it says whether there was one to flip.
func (m *Memory) Corrupt(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = m.fold(name)
	data := flip(m.files[name])
	if len(data) == 0 {
		return false
	}
	m.files[name] = data
	return true
}

// Names returns the names of all files, sorted.
func (m *Memory) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files))
}

// Files returns a copy of everything stored.
func (m *Memory) Files() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	files := make(map[string][]byte, len(m.files))
	for name, data := range m.files {
		files[name] = slices.Clone(data)
	}
	return files
}

func md5Of(data []byte) string { return fmt.Sprintf("md5:%x", md5.Sum(data)) }

// flip returns data with one bit in the middle turned over.
func flip(data []byte) []byte {
	data = slices.Clone(data)
	if len(data) > 0 {
		data[len(data)/2] ^= 0x10
	}
	return data
}
