package layout

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// yamlOf writes a layout with backends "name remote" or "name remote state".
func yamlOf(data, parity int, backends ...string) string {
	text := fmt.Sprintf("shardraid: 1\ndata: %d\nparity: %d\nbackends:\n", data, parity)
	for _, b := range backends {
		fields := append(strings.Fields(b), "active")
		text += fmt.Sprintf("  - {name: %s, remote: %q, state: %s}\n", fields[0], fields[1], fields[2])
	}
	return text
}

// apply makes the successor of the heads as it travels: written and read.
func apply(t *testing.T, yaml string, heads ...Head) Head {
	t.Helper()
	d, err := Successor(yaml, heads, newIDs())
	if err != nil {
		t.Fatal(err)
	}
	return read(t, d)
}

func read(t *testing.T, d *Document) Head {
	t.Helper()
	data, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, l, err := ParseDocument(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, d) || l.Hash != Hash(data) || l.Epoch != d.Epoch {
		t.Fatalf("got %+v, want %+v", got, d)
	}
	return Head{Document: got, Layout: l}
}

var drawn int

// newIDs never gives an id twice in a run of the tests.
func newIDs() func() string {
	return func() string {
		drawn++
		id := []byte("aaaaaaaaaaaaa")
		for i, n := len(id)-1, drawn; n > 0; i, n = i-1, n/26 {
			id[i] = byte('a' + n%26)
		}
		return string(id)
	}
}

func TestSuccessorOfNothingIsTheFirst(t *testing.T) {
	h := apply(t, yamlOf(2, 1, "a /a", "b b:x", "c /c"))
	d := h.Document
	if d.Epoch != 1 || d.Previous != nil || d.LeastData != 0 || d.LeastParity != 0 || len(d.IDs) != 3 || h.Layout.LeastData != 2 || h.Layout.LeastParity != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestSuccessorNamesAllPredecessors(t *testing.T) {
	text := yamlOf(1, 1, "a /a", "b /b")
	chain := []Head{apply(t, text)}
	for i := range 3 {
		next := apply(t, text+fmt.Sprintf("# %d\n", i), chain[0])
		chain = append([]Head{next}, chain...)
	}
	var want []string
	for _, h := range chain[1:] {
		want = append(want, h.Layout.Hash)
	}
	newest := chain[0].Document
	if newest.Epoch != 4 || !slices.Equal(newest.Previous, want) {
		t.Errorf("epoch %d, previous %v, want %v", newest.Epoch, newest.Previous, want)
	}
	for i, h := range chain {
		if newest.Follows(h.Layout.Hash) != (i > 0) || h.Document.Follows(chain[0].Layout.Hash) {
			t.Errorf("epoch %d: who follows whom is wrong", h.Layout.Epoch)
		}
		if !maps.Equal(h.Document.IDs, newest.IDs) {
			t.Errorf("the ids changed: %v, %v", h.Document.IDs, newest.IDs)
		}
	}
	// The oldest fall off, the direct one does not.
	old := chain[0]
	for i := range maxPrevious {
		old.Document.Previous = append(old.Document.Previous, fmt.Sprintf("old%d", i))
	}
	d, err := Successor(text, []Head{old}, newIDs())
	if err != nil || len(d.Previous) != maxPrevious || d.Previous[0] != old.Layout.Hash || d.Previous[1] != want[0] {
		t.Errorf("%d predecessors, %v", len(d.Previous), err)
	}
	read(t, d)
}

func TestSuccessorKeepsIDs(t *testing.T) {
	old := apply(t, yamlOf(1, 1, "a /a", "b b:x/y", "c c:z", "d /d drain"))
	ids := old.Document.IDs
	for name, test := range map[string]struct {
		yaml string
		want map[string]string
	}{
		"the same":          {old.Document.YAML, ids},
		"another order":     {yamlOf(1, 1, "d /d drain", "c c:z", "b b:x/y", "a /a"), ids},
		"renamed":           {yamlOf(1, 1, "new /a", "b2 b:/x/y/", "c c:z", "d /d drain"), map[string]string{"new": ids["a"], "b2": ids["b"], "c": ids["c"], "d": ids["d"]}},
		"moved":             {yamlOf(1, 1, "a /elsewhere", "b b:x/y", "c c:z", "d /d drain"), ids},
		"names exchanged":   {yamlOf(1, 1, "a b:x/y", "b /a", "c c:z", "d /d drain"), ids},
		"drained":           {yamlOf(1, 1, "a /a drain", "b b:x/y", "c c:z", "d /d drain"), ids},
		"one more":          {yamlOf(1, 1, "e e:new", "a /a", "b b:x/y", "c c:z", "d /d drain"), map[string]string{"a": ids["a"], "b": ids["b"], "c": ids["c"], "d": ids["d"], "e": ""}},
		"renamed, one more": {yamlOf(1, 1, "b e:new", "a /a", "b2 b:x/y", "c c:z", "d /d drain"), map[string]string{"a": ids["a"], "b": ids["b"], "b2": "", "c": ids["c"], "d": ids["d"]}},
	} {
		d := apply(t, test.yaml, old).Document
		if len(d.IDs) != len(test.want) || len(slices.Compact(slices.Sorted(maps.Values(d.IDs)))) != len(d.IDs) {
			t.Errorf("%s: ids %v", name, d.IDs)
		}
		for backend, id := range test.want {
			got := d.IDs[backend]
			isNew := got != "" && !slices.Contains(slices.Collect(maps.Values(ids)), got)
			if id != "" && got != id || id == "" && !isNew {
				t.Errorf("%s: backend %s has id %q, had %q", name, backend, got, id)
			}
		}
	}
}

// What is off may leave, and its name be used again.
func TestLeaving(t *testing.T) {
	first := apply(t, yamlOf(1, 1, "a /a", "b /b", "c /c", "d /d"))
	old := apply(t, yamlOf(1, 1, "a /a", "b /b", "c /c off", "d /d"), first)
	now := apply(t, yamlOf(1, 1, "a /a", "b /b", "d /d"), old)
	if names := Leaving(now.Layout, []Head{old}); !slices.Equal(names, []string{"c"}) || len(now.Document.IDs) != 3 {
		t.Errorf("%q leave, ids %v", names, now.Document.IDs)
	}
	again := apply(t, yamlOf(1, 1, "a /a", "b /b", "c /new", "d /d"), now)
	if names := Leaving(again.Layout, []Head{now}); len(names) > 0 || again.Document.IDs["c"] == old.Document.IDs["c"] {
		t.Errorf("%q leave, ids %v, %v before", names, again.Document.IDs, old.Document.IDs)
	}
	joined := apply(t, yamlOf(1, 1, "a /a", "b /b", "d /d"), now, old)
	if names := Leaving(joined.Layout, []Head{now, old}); !slices.Equal(names, []string{"c"}) {
		t.Errorf("joined: %q leave", names)
	}
}

// A layout that would leave objects behind is refused, and so is what is no
// layout: before anything is drawn.
func TestSuccessorRefuses(t *testing.T) {
	old := apply(t, yamlOf(1, 1, "a /a", "b /b", "c /c"))
	for name, test := range map[string]struct{ yaml, want string }{
		"left out":              {yamlOf(1, 1, "a /a", "b /b"), `backend "c" would leave the layout`},
		"moved and renamed":     {yamlOf(1, 1, "a /a", "b /b", "d /d"), `backend "c" would leave the layout`},
		"not YAML":              {"[", "layout:1: "},
		"empty":                 {"", "layout:1: empty"},
		"an alias":              {"shardraid: &a 1\ndata: *a\nparity: 1\nbackends: []\n", "layout:1: anchors"},
		"a connection string":   {yamlOf(1, 1, "a :sftp,ssh=sh:x", "b /b", "c /c"), "connection string"},
		"options of rclone":     {yamlOf(1, 1, "a s,ssh=sh:x", "b /b", "c /c"), "sets options"},
		"one name twice":        {yamlOf(1, 1, "a /a", "a /b", "c /c"), "the name is taken"},
		"one place twice":       {yamlOf(1, 1, "a /a", "b /a", "c /c"), "remote is the same"},
		"too few backends":      {yamlOf(3, 1, "a /a", "b /b", "c /c"), "too few"},
		"over-large":            {old.Document.YAML + "#" + strings.Repeat("x", MaxText), "larger than 1 MiB"},
		"a control character":   {old.Document.YAML + "# \x1b[2J", "contains the character"},
		"of a newer shardraid":  {strings.Replace(old.Document.YAML, "shardraid: 1", "shardraid: 2", 1), "newer shardraid"},
		"with an unknown field": {old.Document.YAML + "colour: blue\n", "unknown field"},
	} {
		newID := func() string { t.Errorf("%s: an id was drawn", name); return "x" }
		d, err := Successor(test.yaml, []Head{old}, newID)
		if err == nil || d != nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 700 {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
