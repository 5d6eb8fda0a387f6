package object

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"shardraid/backends"
)

// simMemory is backendtest.Memory, made for many small looks: it keeps the
// files by their directories. Only the driver uses it, while all else waits.
type simMemory struct {
	dirs map[string]map[string][]byte
}

var _ backends.Store = (*simMemory)(nil)

func newSimMemory() *simMemory { return &simMemory{map[string]map[string][]byte{}} }

func split(name string) (dir, base string) {
	dir, base = path.Split(name)
	return strings.TrimSuffix(dir, "/"), base
}

// Set stores data, which is not copied.
func (m *simMemory) Set(name string, data []byte) {
	dir, base := split(name)
	if m.dirs[dir] == nil {
		m.dirs[dir] = map[string][]byte{}
	}
	m.dirs[dir][base] = data
}

func (m *simMemory) Peek(name string) ([]byte, bool) {
	dir, base := split(name)
	data, ok := m.dirs[dir][base]
	return data, ok
}

func (m *simMemory) Delete(name string) bool {
	dir, base := split(name)
	_, ok := m.dirs[dir][base]
	delete(m.dirs[dir], base)
	return ok
}

// Names returns the names of all files, sorted.
func (m *simMemory) Names() (names []string) {
	for dir, files := range m.dirs {
		for base := range files {
			names = append(names, path.Join(dir, base))
		}
	}
	slices.Sort(names)
	return names
}

// Copy returns all files as they are now.
func (m *simMemory) Copy() *simMemory {
	c := newSimMemory()
	for dir, files := range m.dirs {
		c.dirs[dir] = maps.Clone(files)
	}
	return c
}

func (m *simMemory) Put(_ context.Context, name string, data []byte) (string, error) {
	m.Set(name, bytes.Clone(data))
	return simHash(data), nil
}

// simHash is what a backend reports of a file. That of the simulated ones is
// cheap.
func simHash(data []byte) string {
	h := uint64(14695981039346656037)
	for _, c := range data {
		h = (h ^ uint64(c)) * 1099511628211
	}
	const hex = "0123456789abcdef"
	text := []byte("fnv:")
	for i := range 16 {
		text = append(text, hex[h>>(60-4*i)&15])
	}
	return string(text)
}

func (m *simMemory) Get(_ context.Context, name string, dst []byte) (int, error) {
	data, ok := m.Peek(name)
	switch {
	case !ok:
		return 0, backends.ErrNotFound
	case len(data) > len(dst):
		return 0, backends.ErrTooLarge
	}
	return copy(dst, data), nil
}

func (m *simMemory) List(_ context.Context, dir string) (entries []backends.Entry, err error) {
	for base, data := range m.dirs[dir] {
		entries = append(entries, backends.Entry{Name: base, Size: int64(len(data))})
	}
	if !strings.Contains(dir, "/") { // two levels of directories, no more
		for sub, files := range m.dirs {
			above, _, _ := strings.Cut(sub, "/")
			name := above + "/"
			if dir != "" {
				name = strings.TrimPrefix(sub, dir+"/") + "/"
			}
			if len(files) > 0 && sub != "" && (dir == "" || above == dir) {
				entries = append(entries, backends.Entry{Name: name, Size: -1})
			}
		}
	}
	slices.SortFunc(entries, func(a, b backends.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(entries), nil
}

func (m *simMemory) Remove(_ context.Context, name string) error {
	if !m.Delete(name) {
		return backends.ErrNotFound
	}
	return nil
}

func (m *simMemory) Hash(context.Context, string) (string, error) {
	return "", errors.ErrUnsupported
}
func (m *simMemory) Free(context.Context) (int64, error) { return 0, errors.ErrUnsupported }
