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

// Scrubbing notes which keys a scrub of everything has found whole, so that the
// next one need not read them again if this one is stopped. It is a
// convenience: without it everything is read again.
type Scrubbing struct {
	Began time.Time
	Whole map[string]bool // keys, of the scrub that is gone on with
	file  object.JournalFile
}

// scrubHead is the first line of the file, a key each is on the others.
type scrubHead struct {
	Depth string    `json:"depth"`
	Began time.Time `json:"began"`
}

// Scrub begins a scrub of everything, or goes on with one of the same depth
// that was stopped, unless anew. It is nil where another process scrubs.
func (s *Dir) Scrub(depth string, anew bool) *Scrubbing {
	file, err := object.JournalDir(s.path).Open("scrubbing")
	if err != nil || file == nil {
		return nil
	}
	g := &Scrubbing{Whole: map[string]bool{}, file: file}
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
		var key string
		if json.Unmarshal(line, &key) == nil { // the last may be cut off
			g.Whole[key] = true
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
		if g.Whole[key] {
			whole = append(whole, key)
		} else {
			rest = append(rest, key)
		}
	}
	return whole, rest
}

// Note notes that a key was found whole.
func (g *Scrubbing) Note(key string) {
	if g == nil {
		return
	}
	if line, err := json.Marshal(key); err == nil {
		_ = g.file.Append(append(line, '\n'))
	}
}

// Close ends it; when all was looked at, the next scrub begins anew.
func (g *Scrubbing) Close(all bool) {
	if g != nil {
		g.file.Close(all)
	}
}
