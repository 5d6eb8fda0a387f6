package backends

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/configfile"
)

// sectionStore keeps rclone.conf, into which rclone writes the tokens that it renews. Rclone's
// own would lose what another process of ours has written meanwhile, and for a moment there would
// be no file at all. This one writes under a lock of the directory, on top of what is there now,
// and replaces the file as a whole.
type sectionStore struct {
	*configfile.Storage

	mu      sync.Mutex
	changes []change // not saved yet
}

// change is a value that was set, or taken away.
type change struct {
	section, key, value string
	deleted             bool
	at                  time.Time
}

// changeLast is how long a change is tried to be saved: others may have newer ones.
const changeLast = time.Minute

func newSectionStore() *sectionStore { return &sectionStore{Storage: &configfile.Storage{}} }

// SetValue sets the value under key in section.
func (s *sectionStore) SetValue(section, key, value string) {
	s.Storage.SetValue(section, key, value)
	s.note(change{section, key, value, false, time.Now()})
}

// DeleteKey removes the key under section.
func (s *sectionStore) DeleteKey(section, key string) bool {
	found := s.Storage.DeleteKey(section, key)
	s.note(change{section, key, "", true, time.Now()})
	return found
}

func (s *sectionStore) note(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, c)
}

// Save writes the changes into the file as it is now.
func (s *sectionStore) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if config.GetConfigPath() == "" { // all is in the environment: there is no place for it
		return nil
	}
	path, err := filepath.EvalSymlinks(config.GetConfigPath())
	if err != nil {
		return fmt.Errorf("write rclone.conf: %w", err)
	}
	lock, err := os.Open(filepath.Dir(path)) // whoever owns it, and no file is left
	if err != nil {
		return fmt.Errorf("write rclone.conf: %w", err)
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := s.Storage.Load(); err != nil {
		return fmt.Errorf("read rclone.conf: %w", err)
	}
	for _, c := range s.changes {
		switch {
		case time.Since(c.at) > changeLast:
		case c.deleted:
			s.Storage.DeleteKey(c.section, c.key)
		default:
			s.Storage.SetValue(c.section, c.key, c.value)
		}
	}
	if err := s.replace(path); err != nil {
		return fmt.Errorf("write rclone.conf: %w", err)
	}
	s.changes = nil
	return nil
}

// replace writes what is in memory, encrypted where the file was, in the file's place.
func (s *sectionStore) replace(path string) error {
	text, err := s.Storage.Serialize()
	if err != nil {
		return err
	}
	was, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has gone where all went well
	err = errors.Join(config.Encrypt(bytes.NewBufferString(text), f), f.Chmod(was.Mode().Perm()), f.Sync())
	if owner, ok := was.Sys().(*syscall.Stat_t); ok && f.Chown(int(owner.Uid), int(owner.Gid)) != nil {
		_ = f.Chown(-1, int(owner.Gid)) // as far as we may
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

var _ config.Storage = (*sectionStore)(nil)
