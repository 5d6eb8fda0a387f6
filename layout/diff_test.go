package layout

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// Whatever a user can change is shown, old and new.
func TestDiffShowsEveryField(t *testing.T) {
	text := yamlOf(1, 1, "a /a", "b /b", "c /c", "d /d") + "shard_size: 8MiB\n"
	limited := strings.Replace(text, `"/a", state: active`, `"/a", state: active, limits: {storage: 13GiB, upload: 1MiB/s, download: 4MiB/s, requests: 0.5/s, file_size: 250MiB}`, 1)
	from := mustParse(t, text)
	for _, test := range []struct{ old, new, want string }{
		{"data: 1", "data: 2", "data: 1 -> 2\nwrite_quorum: 2 -> 3\n  what is stored already keeps its own data and parity"},
		{"parity: 1", "parity: 2", "parity: 1 -> 2\nwrite_quorum: 2 -> 3\n  what is stored already keeps its own data and parity"},
		{"shard_size: 8MiB", "shard_size: 1536KiB", "shard_size: 8MiB -> 1536KiB"},
		{"shard_size: 8MiB", "inline: 1000B", "inline: 64KiB -> 1000B"},
		{"name: a", "name: aa", "backend a: name: a -> aa\nbackend a: domain: a -> aa"},
		{`"/a"`, `"r:a"`, "backend a: remote: /a -> r:a"},
		{`"/a"`, `"/a", domain: north`, "backend a: domain: a -> north"},
		{`"/a", state: active`, `"/a", state: drain`, "backend a: state: active -> drain"},
		{text, limited, "backend a: limits: {} -> {storage: 13GiB, upload: 1MiB/s, download: 4MiB/s, requests: 0.5/s, file_size: 250MiB}"},
		{"shard_size: 8MiB\n", `  - {name: e, remote: "r:x", domain: south}` + "\n", "backend e: new (r:x, domain south)"},
		{`  - {name: d, remote: "/d", state: active}` + "\n", "", "backend d: gone (/d)"},
	} {
		if strings.Count(text, test.old) != 1 {
			t.Fatalf("%q is not there once", test.old)
		}
		to := mustParse(t, strings.Replace(text, test.old, test.new, 1))
		if got := strings.Join(Diff(from, to), "\n"); got != test.want {
			t.Errorf("%q: got\n%s\nwant\n%s", test.new, got, test.want)
		}
		if got := Diff(to, from); len(got) != strings.Count(test.want, "\n")+1 {
			t.Errorf("%q, back: %q", test.new, got)
		}
	}
	quorum := yamlOf(1, 3, "a /a", "b /b", "c /c", "d /d")
	if got := Diff(mustParse(t, quorum), mustParse(t, quorum+"write_quorum: 3\n")); len(got) != 1 || got[0] != "write_quorum: 4 -> 3" {
		t.Errorf("write_quorum: %q", got)
	}
}

// A field that is added to the code must be added to Diff.
func TestDiffKnowsAllFields(t *testing.T) {
	shown := map[reflect.Type]string{
		reflect.TypeFor[Layout]():  "Version Data Parity ShardSize WriteQuorum Inline Backends LeastData LeastParity Epoch Hash",
		reflect.TypeFor[Backend](): "Name Remote Domain State Limits ID",
		reflect.TypeFor[Limits]():  "Storage Upload Download FileSize Requests",
	}
	for kind, want := range shown {
		var fields []string
		for i := range kind.NumField() {
			fields = append(fields, kind.Field(i).Name)
		}
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s has the fields %q: show the new one, and test it above", kind, got)
		}
	}
}

func TestDiffOfEqualLayoutsIsEmpty(t *testing.T) {
	for _, text := range []string{small, yamlOf(1, 1, "a r:x", "b /b drain", "c /c")} {
		if got := Diff(mustParse(t, text), mustParse(t, text+"# a remark\n")); len(got) != 0 {
			t.Errorf("got %q", got)
		}
	}
	// Their order means nothing.
	if got := Diff(mustParse(t, yamlOf(1, 1, "a /a", "b /b")), mustParse(t, yamlOf(1, 1, "b /b", "a /a"))); len(got) != 0 {
		t.Errorf("another order: %q", got)
	}
}

// What is shown can be written into the file, and means the same there.
func TestSizeTextReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	sizes := []int64{0, 1, 999, 1000, 1023, 1024, 1025, 1 << 20, 1<<20 - 1, 1 << 40, 1 << 50, 9_500_000_000, 1<<63 - 1, 1 << 62}
	for range 2000 {
		sizes = append(sizes, r.Int64()>>r.IntN(63), 1<<r.IntN(60)*(1+r.Int64N(7)))
	}
	for _, size := range sizes {
		text := sizeText(size)
		if got, err := parseSize(text); err != nil || got != size {
			t.Fatalf("%d is shown as %s, which reads back as %d, %v", size, text, got, err)
		}
		if size > 0 {
			if got, err := ParseRate(text + "/s"); err != nil || got != size {
				t.Fatalf("%d/s reads back as %d, %v", size, got, err)
			}
		}
	}
	for size, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1KiB", 8 << 20: "8MiB", 1536 << 10: "1536KiB", 15 << 30: "15GiB", 1 << 50: "1024TiB"} {
		if got := sizeText(size); got != want {
			t.Errorf("%d is shown as %s, want %s", size, got, want)
		}
	}
}

func TestLimitsReadBack(t *testing.T) {
	for _, want := range []Limits{
		{}, {Storage: 1}, {Upload: 5 << 20}, {Download: 1000}, {FileSize: 1 << 30},
		{Requests: 0.001}, {Requests: 0.5}, {Requests: 123456.789},
		{Storage: 9_500_000_000, Upload: 1, Download: 2, FileSize: 10 << 20, Requests: 2},
	} {
		text := strings.Replace(yamlOf(1, 1, "a /a", "b /b", "c /c drain"), "state: drain", "state: drain, limits: "+want.String(), 1)
		if got := mustParse(t, text).Backends[2].Limits; got != want {
			t.Errorf("%s reads back as %+v, want %+v", want, got, want)
		}
	}
}
