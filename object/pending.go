package object

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"shardraid/vault"
)

// pendingSuffix marks the notes about objects that were stored with fewer
// shards than they should have.
const pendingSuffix = ".missing"

// pendingNote is the line in such a note.
type pendingNote struct {
	Version int            `json:"version"`
	Object  vault.ObjectID `json:"object"`
	Shards  int            `json:"shards"` // missing
}

// notePending remembers that an object lacks shards, for the next process to
// fill them in.
func (s *Store) notePending(id vault.ObjectID, inc vault.Incarnation, shards int) error {
	if s.journal == nil {
		return nil
	}
	file, err := s.journal.Open(id.String() + "." + inc.String() + pendingSuffix)
	if err != nil || file == nil { // another process fills it in already
		return err
	}
	defer file.Close(false)
	line, err := json.Marshal(pendingNote{1, id, shards})
	if err != nil {
		return err
	}
	if err := file.Cut(0); err != nil {
		return err
	}
	if err := file.Append(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// Pending returns how many objects are noted as stored with shards missing.
func Pending(j Journal) (objects int, err error) {
	names, err := j.Names()
	for _, name := range names {
		if strings.HasSuffix(name, pendingSuffix) {
			objects++
		}
	}
	return objects, err
}

// FillIn brings the shards back that earlier stores could not place. What it
// cannot do now stays noted for the next process. It returns how many objects
// it has made whole.
func (s *Store) FillIn(ctx context.Context, job *Job) (filled int, err error) {
	if s.journal == nil {
		return 0, nil
	}
	names, err := s.journal.Names()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return filled, context.Cause(ctx)
		}
		if !strings.HasSuffix(name, pendingSuffix) {
			continue
		}
		if s.fillOne(ctx, name, job) {
			filled++
		}
	}
	return filled, nil
}

// fillOne repairs one object that is noted.
func (s *Store) fillOne(ctx context.Context, name string, job *Job) (filled bool) {
	file, err := s.journal.Open(name)
	if err != nil || file == nil {
		return false
	}
	done := false
	defer func() { file.Close(done) }()
	data, err := file.Read()
	if err != nil {
		return false
	}
	var note pendingNote
	if json.Unmarshal(data, &note) != nil || note.Version != 1 || !strings.HasPrefix(name, note.Object.String()+".") {
		done = true // cut off by a kill: a repair of everything finds it
		return false
	}
	health, err := s.repair(ctx, note.Object, RepairOptions{}, job)
	filled = err == nil && health.Whole()
	done = filled || errors.Is(err, ErrAbsent)
	if err != nil {
		job.debug("fill in shards of object %s: %v", note.Object, err)
	}
	return filled
}
