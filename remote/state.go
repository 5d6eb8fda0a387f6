package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"shardraid/annex"
	"shardraid/object"
)

// state is what this clone remembers for convenience: where objects are, what
// damage was seen, which stores were interrupted. It lies below .git/annex,
// holds no secret, and may be deleted at any time.
type state struct {
	dir string
	mu  sync.Mutex
}

func newState(dir string) *state { return &state{dir: dir} }

func (s *state) journal() string { return filepath.Join(s.dir, "journal") }

func (s *state) wherePath(key annex.Key) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, "where", name[:2], name[2:])
}

// remember notes where an object is. It is a convenience: errors cost nothing.
func (s *state) remember(key annex.Key, p object.Placement) {
	text := fmt.Sprintf("%d+%d: %s", p.Data, p.Parity, strings.Join(p.Backends, ", "))
	if p.Inlined {
		text = "whole on each of: " + strings.Join(p.Backends, ", ")
	}
	if !p.Complete {
		text += " (some shards missing)"
	}
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

func (s *state) forget(key annex.Key) { os.Remove(s.wherePath(key)) }

func (s *state) where(key annex.Key) (string, bool) {
	text, err := os.ReadFile(s.wherePath(key))
	return string(text), err == nil && len(text) > 0
}

// maxDamage bounds the list of damage in bytes.
const maxDamage = 64 << 10

// damaged adds a line to the list of damage.
func (s *state) damaged(backend, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, "damage")
	if info, err := os.Stat(path); err == nil && info.Size() > maxDamage {
		return
	}
	if os.MkdirAll(s.dir, 0o700) != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	fmt.Fprintf(f, "%s\t%s\n", backend, what)
	f.Close()
}

// damage sums the list up in one line.
func (s *state) damage() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "damage"))
	if err != nil || len(text) == 0 {
		return "none"
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
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
