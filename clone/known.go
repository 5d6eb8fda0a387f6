package clone

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"shardraid/backends"
	"shardraid/object"
)

// speedsLast is how long a measured speed is believed: providers throttle, and
// lines change.
const speedsLast = 24 * time.Hour

// Known is what this clone knows of a backend from earlier processes. It is a
// convenience: nothing relies on it, and errors in keeping it cost nothing.
type Known struct {
	object.Speed
	UpAt   time.Time `json:"up_at,omitzero"`
	DownAt time.Time `json:"down_at,omitzero"`
	backends.Contact
	// Stored is how many bytes of ours were there when all of it was listed
	// last, and what this clone has put and deleted since; nil where it was
	// never listed.
	Stored *int64 `json:"stored,omitempty"`
}

// fresh returns what is known without speeds measured too long ago.
func (k Known) fresh() Known {
	if age := time.Since(k.UpAt); age < 0 || age > speedsLast {
		k.Up, k.UpAt = 0, time.Time{}
	}
	if age := time.Since(k.DownAt); age < 0 || age > speedsLast {
		k.Down, k.DownAt = 0, time.Time{}
	}
	return k
}

func (s *Dir) knownPath() string { return filepath.Join(s.path, "backends") }

// Known returns what is known, by backend id.
func (s *Dir) Known() map[string]Known {
	var all map[string]Known
	text, err := os.ReadFile(s.knownPath())
	if err != nil || json.Unmarshal(text, &all) != nil || all == nil {
		return map[string]Known{}
	}
	for id, k := range all {
		all[id] = k.fresh()
	}
	return all
}

// learn changes what is known; other processes wait meanwhile, for a while.
func (s *Dir) learn(change func(all map[string]Known)) {
	var held object.JournalFile
	for range 50 {
		var err error
		if held, err = object.JournalDir(s.path).Open("backends.lock"); err != nil {
			return
		}
		if held != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if held == nil {
		return
	}
	defer held.Close(false)
	all := s.Known()
	change(all)
	if text, err := json.Marshal(all); err == nil {
		_ = replaceFile(s.knownPath(), text)
	}
}

// speed takes over what was measured now.
func (k *Known) speed(is object.Speed) {
	if is.Up > 0 {
		k.Up, k.UpAt = is.Up, time.Now()
	}
	if is.Down > 0 {
		k.Down, k.DownAt = is.Down, time.Now()
	}
}

// contact takes over what another process has seen of a backend.
func (k *Known) contact(c backends.Contact) {
	if c.Answered.After(k.Answered) {
		k.Answered = c.Answered
	}
	if c.Failed.After(k.Failed) {
		k.Failed, k.Failure = c.Failed, c.Failure
	}
}

// stored takes over what is stored now, or what was added.
func (k *Known) stored(c object.Count) {
	switch {
	case c.All:
		k.Stored = &c.Bytes
	case k.Stored != nil:
		now := max(0, *k.Stored+c.Bytes)
		k.Stored = &now
	}
}
