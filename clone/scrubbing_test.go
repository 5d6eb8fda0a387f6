package clone

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestScrubbing(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := NewDir(path, "uuid")
		begin := func(why, depth string, anew bool, want ...string) *Scrubbing {
			t.Helper()
			g := d.Scrub(depth, anew)
			if g == nil {
				t.Fatalf("%s: none", why)
			}
			if got := slices.Sorted(maps.Keys(g.Whole)); !slices.Equal(got, want) {
				t.Errorf("%s: %q are whole, want %q", why, got, want)
			}
			return g
		}
		g := begin("the first", "deep", false)
		g.Note("a")
		g.Note("b\n\"c")
		if other := d.Scrub("deep", false); other != nil {
			t.Error("two at once")
		}
		g.Close(false)
		begin("after a stop", "deep", false, "a", "b\n\"c").Close(false)
		g = begin("another depth", "hashes", false)
		g.Note("d")
		g.Close(false)
		f, err := os.OpenFile(filepath.Join(path, "annex/shardraid/uuid/scrubbing"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`"torn`)
		f.Close()
		begin("torn", "hashes", false, "d").Close(false)
		begin("anew", "hashes", true).Close(false)
		g = begin("nothing yet", "hashes", false)
		g.Note("e")
		g.Close(true)
		g = begin("after it was completed", "hashes", false)
		g.Note("f")
		g.Close(false)
		time.Sleep(resumeWithin + time.Second)
		begin("old", "hashes", false).Close(false)
	})
	var none *Scrubbing
	none.Note("x")
	none.Close(true)
}
