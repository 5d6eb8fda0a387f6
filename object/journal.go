package object

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

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
	file     JournalFile
}

// journalHead is the first line; the others are journalLines.
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

type journalLine struct {
	journalSegment
	journalEnd
}

// journalEnd says that manifests may be there from now on. What is resumed gets
// other shards, and an incarnation must not have manifests that differ.
type journalEnd struct {
	End bool `json:"end"`
}

// openJournal returns the journal of an object's store, with what is left of
// an interrupted one where that fits, or nil where there can be none: no
// journal, or another process stores the same object now.
func (s *Store) openJournal(id vault.ObjectID, want journalHead) (*journal, error) {
	if s.journal == nil {
		return nil, nil
	}
	file, err := s.journal.Open(id.String())
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if file == nil {
		return nil, nil
	}
	j := &journal{file: file, segments: map[int]manifest.Segment{}}
	if err := j.load(want); err != nil {
		j.close(false)
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// load reads what is there and begins anew unless it fits.
func (j *journal) load(want journalHead) error {
	data, err := j.file.Read()
	if err != nil {
		return err
	}
	j.head = want
	if old, segments, end := parseJournal(data); old != nil {
		fits := *old
		fits.Started, fits.Incarnation = want.Started, want.Incarnation
		if segments != nil && fits == want && time.Since(old.Started) < maxResume && time.Since(old.Started) >= 0 {
			j.head, j.segments = *old, segments
			return j.file.Cut(end) // a line cut off by a kill
		}
	}
	return j.restart(want)
}

// restart forgets all segments and takes another incarnation.
func (j *journal) restart(head journalHead) error {
	j.head, j.segments = head, map[int]manifest.Segment{}
	if err := j.file.Cut(0); err != nil {
		return err
	}
	return j.append(head)
}

// parseJournal returns nil where there is no head, no segments where there is
// nothing to resume, and the offset after the last whole line.
func parseJournal(data []byte) (head *journalHead, segments map[int]manifest.Segment, end int) {
	segments = map[int]manifest.Segment{}
	for line := range bytes.Lines(data) {
		if line[len(line)-1] != '\n' {
			break
		}
		if head == nil {
			if json.Unmarshal(line, &head) != nil || head == nil || head.Version != 1 {
				return nil, nil, 0
			}
		} else {
			var l journalLine
			if json.Unmarshal(line, &l) != nil {
				break
			}
			if l.End {
				segments = nil
			} else if segments != nil {
				segments[l.Index] = l.Segment
			}
		}
		end += len(line)
	}
	return head, segments, end
}

// note adds a segment that is stored.
func (j *journal) note(index int, seg manifest.Segment) error {
	if j == nil {
		return nil
	}
	seg.TagKey = [32]byte{} // a secret; it can be derived again
	return j.append(journalSegment{index, seg})
}

// conclude says that all segments are stored and that manifests come now. That
// must not be forgotten; of the segments it does no harm.
func (j *journal) conclude() error {
	if j == nil {
		return nil
	}
	if err := j.append(journalEnd{true}); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// append writes one line.
func (j *journal) append(value any) error {
	line, err := json.Marshal(value)
	if err == nil {
		err = j.file.Append(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// close lets the journal go; done removes it, since there is nothing to resume.
func (j *journal) close(done bool) {
	if j != nil {
		j.file.Close(done)
	}
}

// diedHere returns whether an incarnation is one that this clone began and
// never completed. Another process may be at it just now; that is as good.
func (s *Store) diedHere(id vault.ObjectID) func(*incarnation) bool {
	var own vault.Incarnation
	if s.journal != nil {
		if data, err := s.journal.Read(id.String()); err == nil {
			if head, _, _ := parseJournal(data); head != nil {
				own = head.Incarnation
			}
		}
	}
	return func(inc *incarnation) bool { return !own.IsZero() && inc.id == own }
}
