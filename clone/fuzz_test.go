package clone

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// goldenSettings are of the same vault in every process of a fuzzer.
func goldenSettings(f *testing.F) *Settings {
	f.Helper()
	data, err := os.ReadFile("../vault/testdata/vault.json")
	if err != nil {
		f.Fatal(err)
	}
	var g struct{ Card, Document string }
	if err := json.Unmarshal(data, &g); err != nil {
		f.Fatal(err)
	}
	card, err := vault.ParseCard(g.Card)
	if err != nil {
		f.Fatal(err)
	}
	doc, err := base64.StdEncoding.DecodeString(g.Document)
	if err != nil {
		f.Fatal(err)
	}
	v, err := vault.Parse(doc, card)
	if err != nil {
		f.Fatal(err)
	}
	d, err := layout.Successor(yaml("/srv", 3), nil, manifest.NewBackendID)
	if err != nil {
		f.Fatal(err)
	}
	set, err := Sign(v, card, d)
	if err != nil {
		f.Fatal(err)
	}
	return set
}

// FuzzPin: a damaged pin is an error that says what to do, never another
// vault, and what is read is written and read back the same.
func FuzzPin(f *testing.F) {
	set := goldenSettings(f)
	good, err := set.pin()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1))
	f.Add(bytes.Replace(good, []byte(`"vault":"`), []byte(`"vault":"00`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parsePin("/p", data)
		if err != nil {
			if got != nil || !strings.HasPrefix(err.Error(), "read /p: ") {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		if got.Card.Fingerprint() != set.Card.Fingerprint() || got.Card.Serial != set.Card.Serial || !bytes.Contains(data, []byte(set.Card.Fingerprint())) {
			t.Fatalf("forged: vault %s", got.Card.Fingerprint())
		}
		again, err := got.pin()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parsePin("/p", again); err != nil || !reflect.DeepEqual(back.Document, got.Document) || !reflect.DeepEqual(back.Layout, got.Layout) || !bytes.Equal(back.Signed, got.Signed) {
			t.Fatalf("reads back as %+v, %v", back, err)
		}
	})
}

var times = regexp.MustCompile(` \(([0-9]+) times\)(?:, |$)`)

// FuzzDamage: whatever is in the file, each of its lines is counted once.
func FuzzDamage(f *testing.F) {
	f.Add("b1\tshard\nb0\tmanifest\nb1\tshard\n")
	f.Add("\n\t\nx")
	f.Fuzz(func(t *testing.T, text string) {
		got, sum := sumDamage(text), 0
		for _, m := range times.FindAllStringSubmatch(got, -1) {
			n, _ := strconv.Atoi(m[1])
			sum += n
		}
		want := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			want++
		}
		if sum != want && !strings.Contains(text, " times)") || strings.Contains(got, "\n") {
			t.Fatalf("%q is summed up as %q", text, got)
		}
	})
}

// FuzzWhere: a key never leads out of the directory, nor to another's note.
func FuzzWhere(f *testing.F) {
	f.Add("SHA256E-s1--ab", "SHA256E-s1--a")
	f.Add("../../etc/passwd", "")
	s := NewDir("/git", "uuid")
	f.Fuzz(func(t *testing.T, key, other string) {
		path := s.wherePath(key)
		if !wherePattern.MatchString(path) {
			t.Fatalf("%q is noted in %q", key, path)
		}
		if key != other && strings.EqualFold(path, s.wherePath(other)) {
			t.Fatalf("%q and %q are noted in %q", key, other, path)
		}
	})
}

var wherePattern = regexp.MustCompile(`^/git/annex/shardraid/uuid/where/[0-9a-f]{2}/[0-9a-f]{62}$`)
