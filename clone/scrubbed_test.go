package clone

import (
	"os"
	"testing"
	"time"
)

func TestScrubbed(t *testing.T) {
	dir := NewDir(t.TempDir(), "uuid")
	if at := dir.Scrubbed(); at != (Scrubbed{}) {
		t.Errorf("before the first: %v", at)
	}
	before := time.Now()
	dir.NoteScrub(time.Now())
	read := dir.Scrubbed().Read
	if read.Before(before.Add(-time.Second)) {
		t.Errorf("read at %v, want %v", read, before)
	}
	time.Sleep(2 * time.Millisecond)
	dir.NoteScrub(time.Time{})
	if at := dir.Scrubbed(); !at.Read.Equal(read) || !at.Listed.After(read) {
		t.Errorf("after a listing: %+v, read before at %v", at, read)
	}
	if err := os.WriteFile(dir.scrubbedPath(), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if at := dir.Scrubbed(); at != (Scrubbed{}) {
		t.Errorf("of a damaged note: %v", at)
	}
}
