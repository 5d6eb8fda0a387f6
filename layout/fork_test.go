package layout

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// fork returns a common predecessor and two layouts that both follow it, the
// second one epoch later.
func fork(t *testing.T) (root, left, right Head) {
	t.Helper()
	root = apply(t, yamlOf(2, 2, "a /a", "b /b", "c /c", "d /d"))
	left = apply(t, yamlOf(1, 2, "a /a", "b /b", "c /c", "d /d", "left l:x"), root)
	middle := apply(t, yamlOf(3, 1, "a /a", "b /b", "c /c", "d /d", "right r:x"), root)
	return root, left, apply(t, yamlOf(3, 2, "a /a", "renamed /b", "c /c", "d /d", "right r:x"), middle)
}

func TestSuccessorJoinsAFork(t *testing.T) {
	root, left, right := fork(t)
	if left.Document.Follows(right.Layout.Hash) || right.Document.Follows(left.Layout.Hash) {
		t.Fatal("this is no fork")
	}
	joined := apply(t, yamlOf(3, 3, "a /a", "renamed /b", "c /c", "d /d", "left l:x", "right r:x"), left, right)
	d := joined.Document
	// The direct ones, then root by the left one, then the middle by the right.
	middle := right.Document.Previous[0]
	want := []string{left.Layout.Hash, right.Layout.Hash, root.Layout.Hash, middle}
	if d.Epoch != 4 || right.Layout.Epoch != 3 || !slices.Equal(d.Previous, want) {
		t.Errorf("epoch %d, previous %v, want %v", d.Epoch, d.Previous, want)
	}
	ids := maps.Clone(root.Document.IDs)
	ids["renamed"] = ids["b"]
	delete(ids, "b")
	ids["left"], ids["right"] = left.Document.IDs["left"], right.Document.IDs["right"]
	if !maps.Equal(d.IDs, ids) {
		t.Errorf("ids %v, want %v", d.IDs, ids)
	}
	if d.LeastData != 1 || d.LeastParity != 1 || joined.Layout.LeastData != 1 || joined.Layout.LeastParity != 1 {
		t.Errorf("least %d+%d", d.LeastData, d.LeastParity)
	}
	swapped := apply(t, d.YAML, right, left).Document
	if want := []string{right.Layout.Hash, left.Layout.Hash, middle, root.Layout.Hash}; swapped.Epoch != 4 || !slices.Equal(swapped.Previous, want) || !maps.Equal(swapped.IDs, ids) {
		t.Errorf("the other way round: %+v", swapped)
	}
	for _, h := range []Head{root, left, right} {
		if !d.Follows(h.Layout.Hash) {
			t.Errorf("does not follow epoch %d", h.Layout.Epoch)
		}
	}
}

// What one side of a fork added the joined layout must not forget.
func TestSuccessorJoinsNoForkByHalves(t *testing.T) {
	_, left, right := fork(t)
	newID := func() string { t.Error("an id was drawn"); return "x" }
	for _, test := range []struct{ yaml, want string }{
		{yamlOf(3, 2, "a /a", "renamed /b", "c /c", "d /d", "right r:x"), `backend "left" would leave`},
		{yamlOf(3, 2, "a /a", "renamed /b", "c /c", "d /d", "left l:x"), `backend "right" would leave`},
	} {
		for _, heads := range [][]Head{{left, right}, {right, left}} {
			if _, err := Successor(test.yaml, heads, newID); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		}
	}
}

// A name that each side of a fork gave to a place of its own stands for two.
func TestSuccessorRefusesOneNameForTwo(t *testing.T) {
	root := apply(t, yamlOf(1, 1, "a /a", "b /b"))
	left := apply(t, yamlOf(1, 1, "a /a", "b /b", "new l:x"), root)
	right := apply(t, yamlOf(1, 1, "a /a", "b /b", "new r:x"), root)
	_, err := Successor(left.Document.YAML, []Head{left, right}, newIDs())
	one, two := left.Document.IDs["new"], right.Document.IDs["new"]
	if err == nil || !strings.Contains(err.Error(), `"new"`) || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) {
		t.Errorf("got %v", err)
	}
	// Both get new names, and all are kept.
	d := apply(t, yamlOf(1, 1, "a /a", "b /b", "new-l l:x", "new-r r:x"), left, right).Document
	if d.IDs["new-l"] != one || d.IDs["new-r"] != two {
		t.Errorf("ids %v, want %s and %s", d.IDs, one, two)
	}
}

func TestSuccessorCarriesTheLeastDown(t *testing.T) {
	backends := []string{"a /a", "b /b", "c /c", "d /d", "e /e", "f /f"}
	h := apply(t, yamlOf(2, 2, backends...))
	for _, step := range []struct{ data, parity, leastData, leastParity int }{
		{2, 2, 0, 0}, // equal: not written
		{3, 2, 2, 0},
		{3, 3, 2, 2},
		{1, 3, 0, 2}, // the smallest so far
		{4, 1, 1, 0},
		{3, 2, 1, 1},
		{1, 1, 0, 0},
	} {
		h = apply(t, yamlOf(step.data, step.parity, backends...), h)
		d, l := h.Document, h.Layout
		if d.LeastData != step.leastData || d.LeastParity != step.leastParity {
			t.Errorf("%d+%d: least %d+%d, want %d+%d", step.data, step.parity, d.LeastData, d.LeastParity, step.leastData, step.leastParity)
		}
		orNow := func(least, now int) int {
			if least == 0 {
				return now
			}
			return least
		}
		if l.LeastData != orNow(step.leastData, l.Data) || l.LeastParity != orNow(step.leastParity, l.Parity) {
			t.Errorf("%d+%d: read as %d+%d", step.data, step.parity, l.LeastData, l.LeastParity)
		}
		data, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "least_data") != (step.leastData > 0) || strings.Contains(string(data), "least_parity") != (step.leastParity > 0) {
			t.Errorf("%d+%d: written as %s", step.data, step.parity, data)
		}
	}
}

// Backends that are off are silent, and records of an earlier layout allow
// fewer of them than this one.
func TestOffBackendsWithinTheLeastParity(t *testing.T) {
	backends := []string{"a /a", "b /b", "c /c", "d /d", "e /e"}
	old := apply(t, yamlOf(2, 1, backends...))
	off := func(n int) string {
		text := yamlOf(1, 2, backends...)
		for _, b := range backends[:n] {
			text = strings.Replace(text, `"`+strings.Fields(b)[1]+`", state: active`, `"`+strings.Fields(b)[1]+`", state: off`, 1)
		}
		return text
	}
	for n, want := range []string{"", "", "2 backends are off, and objects of an earlier layout allow 1"} {
		d, err := Successor(off(n), []Head{old}, newIDs())
		if err == nil {
			_, err = d.Marshal()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d off: got %v, want %q", n, err, want)
		}
	}
	if _, err := Successor(off(1), nil, newIDs()); err == nil || !strings.Contains(err.Error(), "is new and off") {
		t.Errorf("a new backend that is off: %v", err)
	}
}

// A clone with the earlier layout must not be able to go on with those alone
// that the new one does not touch.
func TestTooManyOffAtOnce(t *testing.T) {
	old := apply(t, yamlOf(1, 2, "a /a", "b /b", "c /c"))
	text := yamlOf(1, 2, "a /a", "b /b", "c /c off", "d /d")
	if _, err := Successor(text, []Head{old}, newIDs()); err == nil || !strings.Contains(err.Error(), "1 backend would be switched off at once") {
		t.Errorf("one of three, m = 2: %v", err)
	}
	old = apply(t, yamlOf(1, 2, "a /a", "b /b", "c /c", "d /d"))
	if _, err := Successor(yamlOf(1, 2, "a /a", "b /b", "c /c off", "d /d"), []Head{old}, newIDs()); err != nil {
		t.Error(err)
	}
}
