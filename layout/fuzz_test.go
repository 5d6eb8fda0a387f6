package layout

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
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
	for _, remote := range []string{"s:/", "s:.", "/.", "//", "s:x/../y", "a,b:x", "-s:x", "/srv/a/."} {
		f.Add([]byte(strings.Replace(small, "/srv/b", "'"+remote+"'", 1)))
	}
	f.Add([]byte(strings.Replace(small, "remote: /srv/b", "remote: /srv/b, limits: {file_size: 64KiB}", 1)))
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
	off, at := 0, map[string]bool{}
	for _, b := range l.Backends {
		checkPlace(t, b, at)
		if b.Local() == (b.Section() != "") || strings.ContainsAny(b.Section(), ",=:/") || b.Domain == "" || !namePattern.MatchString(b.Name) {
			t.Fatalf("backend %+v", b)
		}
		if b.State == Active {
			candidates = append(candidates, Candidate{ID: b.Name, Weight: 1, Domain: b.Domain})
		}
		if b.State == Off {
			off++
		}
		if lim := b.Limits; min(lim.Storage, lim.Upload, lim.Download, lim.FileSize) < 0 || !(lim.Requests >= 0) || b.State == Active && lim.FileSize > 0 && lim.FileSize < l.ShardSize {
			t.Fatalf("backend %+v", b)
		}
	}
	shards := l.Data + l.Parity
	if l.Data < 1 || l.Parity < 1 || shards > 255 || l.WriteQuorum <= l.Data || l.WriteQuorum > shards ||
		off > l.Parity || l.ShardSize < 64<<10 || l.ShardSize > 32<<20 || l.Inline < 0 || l.Inline > 1<<20 {
		t.Fatalf("layout %+v", l)
	}
	got, members := Place([32]byte{}, candidates, shards, l.Parity), map[string]int{}
	if len(got) != shards {
		t.Fatalf("%d of %d shards placed", len(got), shards)
	}
	for _, i := range got {
		if members[candidates[i].Domain]++; members[candidates[i].Domain] > l.Parity {
			t.Fatalf("domain %q may not be lost", candidates[i].Domain)
		}
	}
}

// checkPlace holds that a backend is a folder of its own, and no way out of it.
func checkPlace(t *testing.T, b Backend, at map[string]bool) {
	t.Helper()
	_, folder, named := strings.Cut(b.Remote, ":")
	if b.Local() {
		folder = b.Remote
	} else if !named || strings.HasPrefix(b.Remote, "-") {
		t.Fatalf("remote %q", b.Remote)
	}
	var parts []string
	for part := range strings.SplitSeq(folder, "/") {
		if part == ".." {
			t.Fatalf("remote %q", b.Remote)
		}
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	place := b.Section() + ":" + strings.Join(parts, "/")
	if len(parts) == 0 || at[place] || at[b.Name] {
		t.Fatalf("remote %q, name %q: no folder, or not its own", b.Remote, b.Name)
	}
	at[place], at[b.Name] = true, true
	for _, r := range b.Remote + b.Domain {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) && !unicode.In(r, unicode.Cs, unicode.Co, unicode.Cn) && r < unicode.MaxASCII {
			t.Fatalf("remote %q, domain %q", b.Remote, b.Domain)
		}
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
	for _, field := range []string{`"previous":[]`, `"types":{}`, `"epoch":1`, `"Epoch":1`, `"nonce":"x"`} {
		f.Add([]byte(strings.Replace(string(good), `"epoch":1`, `"epoch":1,`+field, 1)))
	}
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
		if n, fields := countFields(data), map[string]json.RawMessage{}; json.Unmarshal(data, &fields) != nil || n != len(fields) || len(fields["Epoch"]) > 0 {
			t.Fatalf("read %q: a field is there twice, or in other case", data)
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

func countFields(object []byte) (n int) {
	dec := json.NewDecoder(bytes.NewReader(object))
	for dec.Token(); dec.More(); n++ {
		var value json.RawMessage
		dec.Token()
		if dec.Decode(&value) != nil {
			break
		}
	}
	return n
}
