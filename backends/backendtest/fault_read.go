package backendtest

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"shardraid/backends"
)

type entry = backends.Entry

var bg = context.Background()

// Short makes a Get read the first n bytes only, without an error.
func Short(n int) Action {
	return reading(func(_ *call, data []byte) []byte { return head(data, n) })
}

// Swap makes a Get read another file of the same directory, the next one by name, of the same
// size where there is one, since these are the easiest to mistake. A file that is alone there
// is left alone.
func Swap() Action {
	return reading(func(c *call, data []byte) []byte {
		other, ok := c.neighbour(int64(len(data)))
		if !ok {
			c.missed()
			return data
		}
		if swapped, err := readWhole(c, c.store, other, len(data)); err == nil {
			return swapped
		}
		return nil
	})
}

// neighbour names another file of the directory.
func (c *call) neighbour(size int64) (name string, ok bool) {
	dir, base := path.Split(c.name)
	entries, err := c.f.store.List(c, path.Clean("/" + dir)[1:])
	if err != nil {
		return "", false
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.Size < 0 || e.Name == base })
	if same := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.Size != size }); len(same) > 0 {
		entries = same
	}
	if len(entries) == 0 {
		return "", false
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	for _, e := range entries {
		if e.Name > base {
			return dir + e.Name, true
		}
	}
	return dir + entries[0].Name, true
}

// Stale makes a Get or List answer from an earlier state of the store; see Memory.Clone.
func Stale(old backends.Store) Action {
	return Action{
		get:  func(c *call, dst []byte) (int, error) { return old.Get(c, c.name, dst) },
		list: func(c *call) ([]entry, error) { return old.List(c, c.name) },
	}
}

// StaleList makes a List answer what the last honest List of the directory has answered:
// nothing, if there was none.
func StaleList() Action {
	return Action{list: func(c *call) ([]entry, error) { return c.f.lastList(c.name), c.Err() }}
}

// Elsewhere sends the call to another place, as a wrong account would: it was empty at first,
// and Faulty.Other has what was put there meanwhile.
func Elsewhere() Action {
	return Action{
		put:    func(c *call, data []byte) (string, error) { return c.f.other.Put(c, c.name, data) },
		get:    func(c *call, dst []byte) (int, error) { return c.f.other.Get(c, c.name, dst) },
		list:   func(c *call) ([]entry, error) { return c.f.other.List(c, c.name) },
		remove: func(c *call) error { return c.f.other.Remove(c, c.name) },
		free:   func(c *call) (int64, error) { return c.f.other.Free(c) },
	}
}

// Empty makes a List find nothing.
func Empty() Action { return Hide(func(string) bool { return true }) }

// Hide makes a List leave out the names that match.
func Hide(match func(name string) bool) Action {
	return listing(func(_ *call, all []entry) ([]entry, error) {
		return slices.DeleteFunc(all, func(e entry) bool { return match(e.Name) }), nil
	})
}

// Duplicate makes a List show each file twice, as Google Drive may; the second one is longer by
// so many bytes.
func Duplicate(longer int64) Action {
	return listing(func(_ *call, all []entry) (twice []entry, err error) {
		for _, e := range all {
			twice = append(twice, e)
			if e.Size >= 0 {
				twice = append(twice, entry{Name: e.Name, Size: max(0, e.Size+longer)})
			}
		}
		return twice, nil
	})
}

// Reverse turns the order of a List round.
func Reverse() Action {
	return listing(func(_ *call, all []entry) ([]entry, error) {
		slices.Reverse(all)
		return all, nil
	})
}

// Room makes Free answer so many bytes.
func Room(bytes int64) Action {
	return Action{free: func(c *call) (int64, error) { return bytes, c.Err() }}
}

// reading makes a Get read something else, of which only as much as is asked for.
func reading(instead func(c *call, data []byte) []byte) Action {
	return Action{get: func(c *call, dst []byte) (int, error) {
		data, err := c.read(len(dst))
		if err != nil {
			return 0, err
		}
		if data = instead(c, data); len(data) > len(dst) {
			return copy(dst, data), c.failed(backends.ErrTooLarge)
		}
		return copy(dst, data), nil
	}}
}

// listing makes a List find something else; it may change what it is given.
func listing(instead func(c *call, all []entry) ([]entry, error)) Action {
	return Action{list: func(c *call) ([]entry, error) {
		entries, err := c.store.List(c, c.name)
		if err != nil {
			return nil, err
		}
		return instead(c, slices.Clone(entries))
	}}
}

// read reads the whole file of the call, whatever there is room for.
func (c *call) read(guess int) ([]byte, error) { return readWhole(c, c.store, c.name, guess) }

func readWhole(ctx context.Context, store backends.Store, name string, guess int) ([]byte, error) {
	for size := max(guess, 1<<10); ; size *= 4 {
		data := make([]byte, size)
		n, err := store.Get(ctx, name, data)
		if !errors.Is(err, backends.ErrTooLarge) {
			return data[:n], err
		}
	}
}
