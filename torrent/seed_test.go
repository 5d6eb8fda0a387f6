package torrent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shardraid/annex"
)

// Files are given that are right, but for what they share with files that are not here.
func TestShare(t *testing.T) {
	w := newWorld(t, 100_000, 100_000, 100_000)
	spoil := func(at int) func([]byte) { return func(b []byte) { b[at] ^= 1 } }
	for name, c := range map[string]struct {
		lent  []int
		spoil map[int]func([]byte)
		files int
	}{
		"one in the middle":           {lent: []int{1}, files: 1},
		"all":                         {lent: []int{0, 1, 2}, files: 3},
		"wrong where nobody can tell": {lent: []int{1}, spoil: map[int]func([]byte){1: spoil(0)}, files: 1},
		"wrong in a piece of two":     {lent: []int{0, 1, 2}, spoil: map[int]func([]byte){1: spoil(0)}, files: 1},
		"wrong in a piece of its own": {lent: []int{1, 2}, spoil: map[int]func([]byte){1: spoil(50_000)}, files: 1},
		"wrong wherever one can tell": {lent: []int{1}, spoil: map[int]func([]byte){1: func(b []byte) { clear(b) }}},
	} {
		dir := t.TempDir()
		var files []here
		for _, i := range c.lent {
			content := bytes.Clone(w.files[i])
			if c.spoil[i] != nil {
				c.spoil[i](content)
			}
			path := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, here{key: annex.Key("SHA256-s100000--x"), path: path, link: w.link(i)})
		}
		var warned strings.Builder
		got, err := newTestClient(t, dir, quiet()).share(context.Background(), files, &warned)
		if c.files == 0 && (err == nil || !strings.Contains(err.Error(), "no piece of it is whole here")) || c.files > 0 && (err != nil || got.files != c.files) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if warned.Len() > 0 {
			t.Errorf("%s: %s", name, &warned)
		}
	}
}
