package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"shardraid/manifest"
	"shardraid/vault"
)

// seen is the collector's memory of when it first saw what may be garbage: an
// incarnation, or a single file of one. Times of files are no help: rclone sets
// them from the clock of whoever wrote.
type seen struct {
	file  JournalFile
	first map[seenID]time.Time
	asked map[seenID]bool // by this collection
}

// seenID is an incarnation, and where a single file is meant its copy id.
type seenID struct {
	Incarnation vault.Incarnation `json:"incarnation"`
	Copy        manifest.CopyID   `json:"copy,omitzero"`
}

type seenLine struct {
	seenID
	First time.Time `json:"first"`
}

const seenName = "seen"

// openSeen holds the memory for one collection.
func (s *Store) openSeen() (*seen, error) {
	if s.journal == nil {
		return nil, errors.New("a collection needs a journal, to know how old things are: run it in a clone")
	}
	file, err := s.journal.Open(seenName)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if file == nil {
		return nil, errors.New("another collection runs in this clone: wait for it")
	}
	data, err := file.Read()
	if err != nil {
		file.Close(false)
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return &seen{file: file, first: parseSeen(data), asked: map[seenID]bool{}}, nil
}

// parseSeen ignores what is not a line that save wrote: its incarnations are
// then seen for the first time.
func parseSeen(data []byte) map[seenID]time.Time {
	first := map[seenID]time.Time{}
	for line := range bytes.Lines(data) {
		var l seenLine
		if json.Unmarshal(line, &l) == nil && !l.Incarnation.IsZero() && !l.First.IsZero() {
			first[l.seenID] = l.First
		}
	}
	return first
}

// age returns how long ago an incarnation was first seen; 0 for now.
func (s *seen) age(id seenID) time.Duration {
	s.asked[id] = true
	now := time.Now()
	first, ok := s.first[id]
	if !ok || first.After(now) { // or the clock was put back
		s.first[id] = now
		return 0
	}
	return now.Sub(first)
}

// forgetAfter is how long what is not seen any more is remembered: it may have
// been out of sight only.
const forgetAfter = 30 * 24 * time.Hour

// close writes down what was seen and lets the memory go.
func (s *seen) close() error {
	defer s.file.Close(false)
	var text []byte
	for id, first := range s.first {
		if !s.asked[id] && time.Since(first) > forgetAfter {
			continue
		}
		line, err := json.Marshal(seenLine{id, first})
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	if err := s.file.Cut(0); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := s.file.Append(text); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
