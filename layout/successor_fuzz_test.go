package layout

import (
	"strings"
	"testing"
)

// FuzzSuccessor applies a layout, then two others at once, one of which goes
// on, and joins them.
func FuzzSuccessor(f *testing.F) {
	first := yamlOf(1, 1, "a /a", "b /b", "c /c")
	more := yamlOf(1, 1, "a /a", "b /b", "c /c", "d /d")
	f.Add(first, yamlOf(1, 2, "a /a", "x /b", "c /c drain", "d /d"), yamlOf(1, 1, "a /a off", "b /b", "c /c"), more)
	f.Add(first, yamlOf(2, 1, "a /a", "b /b", "c /c"), strings.ReplaceAll(first, "name: a,", "name: b2,"), first)
	f.Add(first, yamlOf(1, 1, "a /a", "b /b off", "c /c off", "d /d", "e s:e"), first, more)
	f.Add(first, yamlOf(1, 1, "a /a", "b /b"), first, first)
	f.Add(first, more, more, more)
	f.Add(first, yamlOf(1, 1, "x /a", "b /b", "c /c"), yamlOf(1, 1, "y /a", "b /b", "c /c"), yamlOf(1, 1, "x /a", "y /y", "b /b", "c /c"))
	f.Add(first, yamlOf(1, 1, "a /x", "b /b", "c /c"), first, yamlOf(1, 1, "a /x", "x /a", "b /b", "c /c"))
	f.Fuzz(func(t *testing.T, first, second, third, join string) {
		start, ok := follow(t, first)
		if !ok {
			return
		}
		a, okA := follow(t, second, start)
		b, okB := follow(t, third, start)
		if !okA || !okB {
			return
		}
		follow(t, join, a, b)
		if on, ok := follow(t, join, b); ok {
			follow(t, join, on, a)
		}
	})
}

// follow returns the successor of the heads, if there may be one, as it is
// read by others, and checks that it leaves nothing of theirs behind.
func follow(t *testing.T, yaml string, heads ...Head) (Head, bool) {
	t.Helper()
	d, err := Successor(yaml, heads, newIDs())
	if err != nil {
		return Head{}, false
	}
	if _, err := d.Marshal(); err != nil {
		if len(heads) == 0 {
			t.Fatal(err)
		}
		return Head{}, false // more are off than an earlier layout allows
	}
	head := read(t, d)
	ids := map[string]string{}
	for _, b := range head.Layout.Backends {
		if ids[b.ID] != "" {
			t.Fatalf("backends %q and %q have one id", ids[b.ID], b.Name)
		}
		ids[b.ID] = b.Name
	}
	l := head.Layout
	for _, h := range heads {
		if !d.Follows(h.Layout.Hash) || h.Document.Follows(l.Hash) || d.Epoch <= h.Document.Epoch {
			t.Fatalf("epoch %d %v does not follow epoch %d %v", d.Epoch, d.Previous, h.Document.Epoch, h.Layout.Hash)
		}
		for _, hash := range h.Document.Previous {
			if !d.Follows(hash) {
				t.Fatalf("%v does not follow %v", d.Previous, hash)
			}
		}
		if l.LeastData > h.Layout.LeastData || l.LeastParity > h.Layout.LeastParity || l.LeastData > l.Data || l.LeastParity > l.Parity {
			t.Fatalf("least %d+%d, before %d+%d", l.LeastData, l.LeastParity, h.Layout.LeastData, h.Layout.LeastParity)
		}
		for _, b := range h.Layout.Backends {
			if ids[b.ID] == "" {
				t.Fatalf("backend %q with id %s is lost", b.Name, b.ID)
			}
			if id := d.IDs[b.Name]; id != "" && id != b.ID {
				t.Fatalf("backend %q had id %s and has %s", b.Name, b.ID, id)
			}
		}
	}
	return head, true
}
