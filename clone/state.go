package clone

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"shardraid/object"
)

// Dir is where this clone keeps what it remembers of one remote. The pin in it
// is trust and must stay; the rest is for convenience: where objects are,
// what damage was seen, which stores were interrupted. None of it is secret.
type Dir struct {
	path string
	mu   sync.Mutex
}

// NewDir returns the directory of the remote with this UUID, which need not
// exist.
func NewDir(gitDir, uuid string) *Dir {
	return &Dir{path: filepath.Join(gitDir, "annex", "shardraid", uuid)}
}

// Journal is where interrupted stores are kept.
func (s *Dir) Journal() object.Journal {
	return object.JournalDir(filepath.Join(s.path, "journal"))
}

func (s *Dir) wherePath(key string) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.path, "where", name[:2], name[2:])
}

// Remember notes where an object is. It is a convenience: errors cost nothing.
func (s *Dir) Remember(key string, p object.Placement) {
	text := whereText(p)
	path := s.wherePath(key)
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return
	}
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "tmp")
	if err != nil {
		return
	}
	tmp.WriteString(text)
	tmp.Close()
	if os.Rename(tmp.Name(), path) != nil {
		os.Remove(tmp.Name())
	}
}

func whereText(p object.Placement) string {
	text := fmt.Sprintf("%d+%d: %s", p.Data, p.Parity, strings.Join(p.Backends, ", "))
	if p.Inlined {
		text = "whole on each of: " + strings.Join(p.Backends, ", ")
	}
	if !p.Complete {
		text += " (some shards missing)"
	}
	return text
}

// Forget drops what Remember noted.
func (s *Dir) Forget(key string) { os.Remove(s.wherePath(key)) }

// Where returns what Remember noted.
func (s *Dir) Where(key string) (string, bool) {
	text, err := os.ReadFile(s.wherePath(key))
	return string(text), err == nil && len(text) > 0
}

// maxDamage bounds the list of damage in bytes.
const maxDamage = 64 << 10

// Damaged adds a line to the list of damage.
func (s *Dir) Damaged(backend, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.path, "damage")
	if info, err := os.Stat(path); err == nil && info.Size() > maxDamage {
		return
	}
	if os.MkdirAll(s.path, 0o700) != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	fmt.Fprintf(f, "%s\t%s\n", backend, what)
	f.Close()
}

// Damage sums the list up in one line.
func (s *Dir) Damage() string {
	text, err := os.ReadFile(filepath.Join(s.path, "damage"))
	if err != nil || len(text) == 0 {
		return "none"
	}
	return sumDamage(string(text))
}

func sumDamage(text string) string {
	counts := map[string]int{}
	for line := range strings.Lines(text) {
		backend, what, _ := strings.Cut(strings.TrimSpace(line), "\t")
		counts[backend+": "+what]++
	}
	var parts []string
	for what, n := range counts {
		parts = append(parts, fmt.Sprintf("%s (%d times)", what, n))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}
