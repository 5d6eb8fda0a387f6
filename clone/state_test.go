package clone

import (
	"os"
	"path/filepath"
	"testing"

	"shardraid/object"
)

func TestDamageIsSummed(t *testing.T) {
	s := NewDir(t.TempDir(), "uuid")
	if got := s.Damage(); got != "none" {
		t.Error(got)
	}
	for range 3 {
		s.Damaged("b1", "shard")
	}
	s.Damaged("b0", "manifest")
	if got := s.Damage(); got != "b0: manifest (1 times), b1: shard (3 times)" {
		t.Error(got)
	}
}

// What is damaged or gone is as if nothing had been noted.
func TestWhere(t *testing.T) {
	s := NewDir(t.TempDir(), "uuid")
	const key = "../../SHA256E-s1--ab"
	if got, ok := s.Where(key); ok {
		t.Errorf("before: %q", got)
	}
	for want, p := range map[string]object.Placement{
		"2+1: a, b (some shards missing)": {Data: 2, Parity: 1, Backends: []string{"a", "b"}},
		"whole on each of: a":             {Backends: []string{"a"}, Inlined: true, Complete: true},
	} {
		s.Remember(key, p)
		if got, ok := s.Where(key); !ok || got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := os.WriteFile(s.wherePath(key), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Where(key); ok {
		t.Errorf("an empty note: %q", got)
	}
	s.Forget(key)
	if left, _ := filepath.Glob(filepath.Join(s.path, "where", "*", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
