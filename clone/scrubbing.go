package clone

import (
	"bytes"
	"encoding/json"
	"time"

	"shardraid/object"
)

// resumeWithin is how long a scrub that was stopped may be gone on with: what
// was read before that is old news.
const resumeWithin = 14 * 24 * time.Hour

// Scrubbing notes what a scrub of everything has found whole, so that the next
// one need not read it again if this one is stopped. It is a convenience:
// without it everything is read again.
type Scrubbing struct {
	Began time.Time
	whole map[string]string // incarnation by key, of the scrub that is gone on with
	file  object.JournalFile
}

// scrubHead is the first line of the file; the others are lists of a key and
// its incarnation.
type scrubHead struct {
	Depth string    `json:"depth"`
	Began time.Time `json:"began"`
}

// Scrub begins a scrub of everything, or goes on with one of the same kind and
// depth that was stopped, unless anew. Each kind has a file of its own. It is
// nil where another process is at it.
func (s *Dir) Scrub(kind, depth string, anew bool) *Scrubbing {
	file, err := object.JournalDir(s.path).Open("scrubbing-" + kind)
	if err != nil || file == nil {
		return nil
	}
	g := &Scrubbing{whole: map[string]string{}, file: file}
	text, err := file.Read()
	if err == nil && !anew && g.resume(depth, text) {
		return g
	}
	g.Began = time.Now()
	head, err := json.Marshal(scrubHead{depth, g.Began})
	if err != nil || file.Cut(0) != nil || file.Append(append(head, '\n')) != nil {
		file.Close(true)
		return nil
	}
	return g
}

// resume reads what an earlier process has noted.
func (g *Scrubbing) resume(depth string, text []byte) bool {
	first, rest, found := bytes.Cut(text, []byte("\n"))
	var head scrubHead
	if !found || json.Unmarshal(first, &head) != nil || head.Depth != depth {
		return false
	}
	if age := time.Since(head.Began); age < 0 || age > resumeWithin {
		return false
	}
	g.Began = head.Began
	for line := range bytes.Lines(rest) {
		var noted [2]string
		if json.Unmarshal(line, &noted) == nil && noted[1] != "" { // the last may be cut off
			g.whole[noted[0]] = noted[1]
		}
	}
	return true
}

// Split parts keys into those that were found whole, and the others.
func (g *Scrubbing) Split(keys []string) (whole, rest []string) {
	if g == nil {
		return nil, keys
	}
	for _, key := range keys {
		if g.whole[key] != "" {
			whole = append(whole, key)
		} else {
			rest = append(rest, key)
		}
	}
	return whole, rest
}

// Was reports whether what was found now was found whole then: nobody has stored
// the key again since.
func (g *Scrubbing) Was(f object.Finding) bool {
	return f.Err == nil && g.whole[f.Key] == f.Health.Incarnation.String()
}

// Note notes that an object was found whole.
func (g *Scrubbing) Note(f object.Finding) {
	if g == nil || f.Err != nil || !f.Health.Whole() {
		return
	}
	if line, err := json.Marshal([2]string{f.Key, f.Health.Incarnation.String()}); err == nil {
		_ = g.file.Append(append(line, '\n'))
	}
}

// Close ends it; when all was looked at, the next scrub begins anew.
func (g *Scrubbing) Close(all bool) {
	if g != nil {
		g.file.Close(all)
	}
}
