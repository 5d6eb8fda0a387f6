package backends

import (
	"context"
	"path"
	"sync"

	"github.com/rclone/rclone/backend/webdav"
	"github.com/rclone/rclone/fs"
)

// What is known of WebDAV, so common among free accounts and so talkative that it pays to know it
// (rclone v1.76, backend/webdav): an upload ends by asking the server what is there now; a file is
// opened by its path; and directories are made from below, each with four requests where the one
// above is missing.
func isDAV(f fs.Fs) bool {
	_, ok := f.(*webdav.Fs)
	return ok
}

// maxMade bounds the directories that are remembered.
const maxMade = 10000

// made are directories that this process knows to have been there.
type made struct {
	mu   sync.Mutex
	of   fs.Fs
	dirs map[string]bool
}

// above makes the directory above that of a file, with one request, or none. An error shows when
// the file is stored.
func (m *made) above(ctx context.Context, r *Rclone, f fs.Fs, j *Job, name string) {
	dir := path.Dir(path.Dir(name))
	if dir == "." || !isDAV(f) || m.has(f, dir) || j.wait(ctx, r.requests, 1) != nil {
		return
	}
	if f.Mkdir(ctx, dir) == nil {
		m.add(dir)
	}
	j.alive(0)
}

func (m *made) has(f fs.Fs, dir string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of != f || len(m.dirs) >= maxMade {
		m.of, m.dirs = f, map[string]bool{}
	}
	return m.dirs[dir]
}

func (m *made) add(dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs[dir] = true
}
