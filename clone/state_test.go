package clone

import "testing"

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
