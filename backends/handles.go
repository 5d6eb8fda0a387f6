package backends

import (
	"path"
	"sync"
	"time"

	"github.com/rclone/rclone/fs"
)

const (
	// A handle serves the request whose listing it comes from.
	handleAge = time.Minute
	// Those that are kept are bounded.
	maxHandles = 20000
	maxLasting = 100
)

// handles are files as the last listings of their directories have shown them: who reads one of
// them need not look for it again. The root's are not kept: what lies there says which place this
// is, and must be looked for by its path.
type handles struct {
	mu      sync.Mutex
	of      fs.Fs // which has listed them
	count   int
	dirs    map[string]listed
	swept   time.Time
	lasting map[string]fs.Object // of the root, where a handle is nothing but a path
}

type listed struct {
	at    time.Time
	files map[string]fs.Object // by their names from the root; nil where two have one name
}

// keep replaces what is known of a directory by what a listing has shown that
// began then.
func (h *handles) keep(f fs.Fs, dir string, began time.Time, files map[string]fs.Object) {
	if dir == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count -= len(h.dirs[dir].files)
	delete(h.dirs, dir)
	if h.of != f || h.count+len(files) > maxHandles {
		h.clear(f)
	}
	if time.Since(h.swept) > handleAge {
		h.sweep()
	}
	if len(files) > 0 && len(files) <= maxHandles {
		h.dirs[dir] = listed{began, files}
		h.count += len(files)
	}
}

// sweep forgets what nobody has asked for.
func (h *handles) sweep() {
	h.swept = time.Now()
	for dir, l := range h.dirs {
		if time.Since(l.at) > handleAge {
			h.count -= len(l.files)
			delete(h.dirs, dir)
		}
	}
}

func (h *handles) clear(f fs.Fs) {
	h.of, h.count, h.dirs, h.lasting = f, 0, map[string]listed{}, map[string]fs.Object{}
}

// found keeps a file of the root that was looked for, if opening it asks for its path.
func (h *handles) found(f fs.Fs, name string, o fs.Object) {
	if path.Dir(name) != "." || !isDAV(f) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of != f || len(h.lasting) >= maxLasting {
		h.clear(f)
	}
	h.lasting[name] = o
}

// take returns the handle of a file or nil. One of a listing serves once.
func (h *handles) take(f fs.Fs, name string) fs.Object {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.lasting[name]; o != nil && h.of == f {
		return o
	}
	dir := path.Dir(name)
	l := h.dirs[dir]
	o, ok := l.files[name]
	if !ok || h.of != f {
		return nil
	}
	h.count--
	if delete(l.files, name); len(l.files) == 0 {
		delete(h.dirs, dir)
	}
	if time.Since(l.at) > handleAge {
		return nil
	}
	return o
}
