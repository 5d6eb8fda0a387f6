package clone

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// Scrubbed is when everything was looked at last by this clone; zero for never.
type Scrubbed struct {
	Listed time.Time `json:"listed,omitzero"` // that all is there
	Read   time.Time `json:"read,omitzero"`   // that all is what was stored
}

func (s *Dir) scrubbedPath() string { return filepath.Join(s.path, "scrubbed") }

// Scrubbed returns what NoteScrub has noted.
func (s *Dir) Scrubbed() (at Scrubbed) {
	if text, err := os.ReadFile(s.scrubbedPath()); err == nil {
		_ = json.Unmarshal(text, &at) // not readable: never
	}
	return at
}

// NoteScrub notes that everything was looked at just now, and that every shard
// was read from a time on, if that is not zero. It is a convenience: errors cost
// nothing.
func (s *Dir) NoteScrub(read time.Time) {
	at := s.Scrubbed()
	at.Listed = time.Now()
	if !read.IsZero() {
		at.Read = read
	}
	text, err := json.Marshal(at)
	if err == nil && os.MkdirAll(s.path, 0o700) == nil {
		_ = replaceFile(s.scrubbedPath(), text)
	}
}
