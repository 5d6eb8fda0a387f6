package clone

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/object"
	"shardraid/vault"
)

func TestScrubbing(t *testing.T) {
	path := t.TempDir()
	keys := []string{"a", "b\n\"c", "d", "e", "f"}
	found := func(key string, n byte) object.Finding {
		return object.Finding{Key: key, Health: object.Health{Key: key, Incarnation: vault.Incarnation{n}}}
	}
	synctest.Test(t, func(t *testing.T) {
		d := NewDir(path, "uuid")
		begin := func(why, kind, depth string, anew bool, want ...string) *Scrubbing {
			t.Helper()
			g := d.Scrub(kind, depth, anew)
			if g == nil {
				t.Fatalf("%s: none", why)
			}
			if whole, rest := g.Split(keys); !slices.Equal(whole, want) || len(whole)+len(rest) != len(keys) {
				t.Errorf("%s: %q are whole, want %q, others %q", why, whole, want, rest)
			}
			return g
		}
		g := begin("the first", "deep", "x", false)
		g.Note(found("a", 1))
		g.Note(found("b\n\"c", 2))
		g.Note(object.Finding{Key: "d", Health: object.Health{Key: "d", Missing: 1}})
		if other := d.Scrub("deep", "x", false); other != nil {
			t.Error("two at once")
		}
		g.Close(false)
		g = begin("after a stop", "deep", "x", false, "a", "b\n\"c")
		if !g.Was(found("a", 1)) || g.Was(found("a", 2)) || g.Was(found("d", 0)) {
			t.Error("what was stored again is not what was read")
		}
		g.Close(false)
		g = begin("another kind", "hashes", "y", false)
		g.Note(found("d", 1))
		g.Close(false)
		begin("the first again", "deep", "x", false, "a", "b\n\"c").Close(false)
		f, err := os.OpenFile(filepath.Join(path, "annex/shardraid/uuid/scrubbing-hashes"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`["torn`)
		f.Close()
		begin("torn", "hashes", "y", false, "d").Close(false)
		begin("another depth", "hashes", "z", false).Close(false)
		g = begin("the same depth", "hashes", "z", false)
		g.Note(found("e", 1))
		g.Close(false)
		begin("anew", "hashes", "z", true).Close(false)
		g = begin("nothing yet", "hashes", "z", false)
		g.Note(found("e", 1))
		g.Close(true)
		g = begin("after it was completed", "hashes", "z", false)
		g.Note(found("f", 1))
		g.Close(false)
		time.Sleep(resumeWithin + time.Second)
		begin("old", "hashes", "z", false).Close(false)
	})
	var none *Scrubbing
	none.Note(found("x", 1))
	none.Close(true)
	if whole, rest := none.Split(keys); len(whole) > 0 || len(rest) != len(keys) {
		t.Errorf("of none: %q, %q", whole, rest)
	}
}
