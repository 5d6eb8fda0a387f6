package shardraid_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Records without OpenPGP are for simulations: no program makes them.
func TestNoOtherEnvelope(t *testing.T) {
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(strings.Join([]string{"With", "Envelope("}, ""))) {
			return err
		}
		found++
		if !strings.HasSuffix(path, "_test.go") && path != filepath.Join("vault", "envelope.go") {
			t.Errorf("%s must not change the envelope of records", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("nothing was found, not even where it is defined")
	}
}
