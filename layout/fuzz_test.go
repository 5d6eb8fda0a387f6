package layout

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func addFiles(f *testing.F, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		f.Fatalf("%s: no files (%v)", pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

func FuzzParse(f *testing.F) {
	addFiles(f, "testdata/valid/*.yaml")
	addFiles(f, "testdata/invalid/*.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse("x", data)
		if err != nil {
			if text := err.Error(); len(text) > 1000 || strings.Contains(text, "\n") || !strings.HasPrefix(text, "x:") {
				t.Fatalf("error %q", text)
			}
			return
		}
		checkLayout(t, l)
	})
}

// checkLayout holds what the readers of a layout count on.
func checkLayout(t *testing.T, l *Layout) {
	t.Helper()
	var candidates []Candidate
	for _, b := range l.Backends {
		if b.Local() == (b.Section() != "") || strings.ContainsAny(b.Section(), ",=:/") || b.Domain == "" || !namePattern.MatchString(b.Name) {
			t.Fatalf("backend %+v", b)
		}
		if b.State == Active {
			candidates = append(candidates, Candidate{ID: b.Name, Weight: 1, Domain: b.Domain})
		}
	}
	shards := l.Data + l.Parity
	if l.Data < 1 || l.Parity < 1 || shards > 255 || l.WriteQuorum <= l.Data || l.WriteQuorum > shards {
		t.Fatalf("layout %+v", l)
	}
	if got := Place([32]byte{}, candidates, shards, l.Parity); len(got) != shards {
		t.Fatalf("%d of %d shards placed", len(got), shards)
	}
}

func FuzzParseDocument(f *testing.F) {
	good, err := smallDocument().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), `"epoch":1`, `"epoch":2,"previous":["x"]`, 1)))
	f.Add([]byte(`{"epoch":1,"previous":[],"ids":{},"yaml":""}`))
	f.Add([]byte(strings.Replace(string(good), `"yaml"`, `"types":{"s":"drive"},"yaml"`, 1)))
	full, err := fullDocument().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, l, err := ParseDocument(data)
		if err != nil {
			return
		}
		again, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		d2, l2, err := ParseDocument(again)
		if l2 != nil {
			l2.Hash = l.Hash // of other bytes: spaces, the order of fields
		}
		if len(d.Types) == 0 {
			d.Types = nil // no types, in two spellings
		}
		if err != nil || !reflect.DeepEqual(d, d2) || !reflect.DeepEqual(l, l2) {
			t.Fatalf("got %+v, %v, want %+v", d2, err, d)
		}
		if l.LeastData < 1 || l.LeastData > l.Data || l.LeastParity < 1 || l.LeastParity > l.Parity || l.Epoch < 1 || l.Hash != Hash(data) {
			t.Fatalf("layout %+v", l)
		}
		for _, b := range l.Backends {
			if !idPattern.MatchString(b.ID) {
				t.Fatalf("backend %+v", b)
			}
		}
	})
}
