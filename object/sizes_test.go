package object

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"shardraid/manifest"
)

// sizes returns the sizes of all files of an object on a backend.
func (r *rig) sizes(i int, key string) (sizes []int) {
	all := r.mem[i].Files()
	for _, kind := range []manifest.Kind{manifest.KindManifest, manifest.KindShard} {
		for _, path := range r.stored(i, key, kind) {
			sizes = append(sizes, len(all[path]))
		}
	}
	slices.Sort(sizes)
	return sizes
}

// nearly allows for the numbers in a signature, which drop leading zeros.
func nearly(a, b int) bool { return max(a, b)-min(a, b) <= 4 }

// Two objects of one padding class look alike on every backend, whatever
// their names and contents are; two of different classes need not.
func TestSizesTellLittle(t *testing.T) {
	for name, c := range map[string]struct {
		a, b  int
		alike bool
	}{
		"inlined":        {1, 500, true},
		"one segment":    {6000, 6100, true},
		"three segments": {300_001, 300_900, true},
		"another class":  {6000, 9000, false},
		"one more byte":  {6144, 6145, false}, // 6144 = Padded(6144)
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, 1, 3)
			short, long := "K", "SHA256E-s6000--"+strings.Repeat("name", 50)+".tar.gz"
			r.mustPut(short, make([]byte, c.a))
			r.mustPut(long, bytesOf(1, c.b))
			alike := true
			count := map[int]int{}
			for i := range r.mem {
				if a, b := r.sizes(i, short), r.sizes(i, long); len(a) > 0 && len(b) > 0 {
					alike = alike && slices.EqualFunc(a, b, nearly)
					count[len(a)]++
				}
			}
			if len(count) == 0 || alike != c.alike {
				t.Errorf("alike: %v, want %v; files per backend: %v", alike, c.alike, slices.Collect(maps.Keys(count)))
			}
		})
	}
}
