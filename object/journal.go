package object

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"shardraid/manifest"
	"shardraid/vault"
)

// maxResume is how old an interrupted store may be to be resumed: collectors
// in other clones leave it alone for longer.
const maxResume = 24 * time.Hour

// journal is the local memory of one store in progress: which incarnation it
// writes and which segments are stored. It holds no secret and no key name. A
// store without one works the same and starts over when interrupted.
type journal struct {
	head     journalHead
	segments map[int]manifest.Segment
	lock     *flock.Flock

	mu   sync.Mutex
	file *os.File
}

// journalHead is the first line; the others are journalSegments.
type journalHead struct {
	Version     int               `json:"version"`
	Started     time.Time         `json:"started"`
	Incarnation vault.Incarnation `json:"incarnation"`
	Size        int64             `json:"size"`
	Segment     int               `json:"segment"` // length in bytes
	Data        int               `json:"data"`
	Parity      int               `json:"parity"`
}

type journalSegment struct {
	Index   int              `json:"index"`
	Segment manifest.Segment `json:"segment"`
}

// openJournal returns the journal of an object's store, with what is left of
// an interrupted one where that fits, or nil where there can be none: no
// directory, or another process stores the same object now.
func (s *Store) openJournal(id vault.ObjectID, want journalHead) (*journal, error) {
	if s.journal == "" {
		return nil, nil
	}
	if err := os.MkdirAll(s.journal, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	name := filepath.Join(s.journal, id.String())
	lock := flock.New(name + ".lock")
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, err
	}
	j := &journal{lock: lock, segments: map[int]manifest.Segment{}}
	if err := j.load(name, want); err != nil {
		j.close(false)
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// load reads what is there and begins anew unless it fits.
func (j *journal) load(name string, want journalHead) (err error) {
	if j.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	j.head = want
	if old, segments, end := readJournal(j.file); old != nil {
		fits := *old
		fits.Started, fits.Incarnation = want.Started, want.Incarnation
		if fits == want && time.Since(old.Started) < maxResume && time.Since(old.Started) >= 0 {
			j.head, j.segments = *old, segments
			if err := j.file.Truncate(end); err != nil { // a line cut off by a kill
				return err
			}
			_, err = j.file.Seek(end, 0)
			return err
		}
	}
	return j.restart(want)
}

// restart forgets all segments and takes another incarnation.
func (j *journal) restart(head journalHead) error {
	j.head, j.segments = head, map[int]manifest.Segment{}
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.Seek(0, 0); err != nil {
		return err
	}
	return j.append(head)
}

// readJournal returns nil where there is no head, and the offset after the
// last whole line.
func readJournal(file *os.File) (head *journalHead, segments map[int]manifest.Segment, end int64) {
	segments = map[int]manifest.Segment{}
	r := bufio.NewReader(file)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return head, segments, end
		}
		if head == nil {
			if json.Unmarshal(line, &head) != nil || head == nil || head.Version != 1 {
				return nil, nil, 0
			}
		} else {
			var seg journalSegment
			if json.Unmarshal(line, &seg) != nil {
				return head, segments, end
			}
			segments[seg.Index] = seg.Segment
		}
		end += int64(len(line))
	}
}

// note adds a segment that is stored.
func (j *journal) note(index int, seg manifest.Segment) error {
	if j == nil {
		return nil
	}
	seg.TagKey = [32]byte{} // a secret; it can be derived again
	return j.append(journalSegment{index, seg})
}

// append writes one line and sees it to the disk.
func (j *journal) append(value any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// close lets the journal go; done removes it, since there is nothing to resume.
func (j *journal) close(done bool) {
	if j == nil {
		return
	}
	if j.file != nil {
		if done {
			os.Remove(j.file.Name()) // while locked: nobody else has it open
		}
		j.file.Close()
	}
	j.lock.Unlock()
	if done {
		os.Remove(j.lock.Path())
	}
}

// diedHere returns whether an incarnation is one that this clone began and
// never completed. Another process may be at it just now; that is as good.
func (s *Store) diedHere(id vault.ObjectID) func(*incarnation) bool {
	var own vault.Incarnation
	if s.journal != "" {
		file, err := os.Open(filepath.Join(s.journal, id.String()))
		if err == nil {
			defer file.Close()
			if head, _, _ := readJournal(file); head != nil {
				own = head.Incarnation
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return func(inc *incarnation) bool { return !own.IsZero() && inc.id == own }
}
