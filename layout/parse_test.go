package layout

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// small is a valid layout with one line to vary.
const small = `shardraid: 1
data: 1
parity: 1
backends:
  - {name: a, remote: /srv/a}
  - {name: b, remote: /srv/b}
`

func mustParse(t testing.TB, text string) *Layout {
	t.Helper()
	l, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestParse(t *testing.T) {
	text, err := os.ReadFile("testdata/valid/readme.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Layout{
		Version: 1, Data: 4, Parity: 2, ShardSize: 8 << 20, WriteQuorum: 6, Inline: 64 << 10,
		Backends: []Backend{
			{Name: "drive", Remote: "gdrive:annex", Domain: "google", State: Active, Limits: Limits{
				Storage: 13 << 30, Upload: 1 << 20, Download: 4 << 20, Requests: 2, FileSize: 250 << 20}},
			{Name: "drive-2", Remote: "gdrive2:annex", Domain: "google", State: Active},
			{Name: "dropbox", Remote: "db:a/b c", Domain: "dropbox", State: Active},
			{Name: "box", Remote: "box:annex", Domain: "box", State: Active,
				Limits: Limits{Storage: 9_500_000_000, Requests: 0.5}},
			{Name: "disk", Remote: "/srv/annex", Domain: "disk", State: Active},
			{Name: "old", Remote: "gdrive:older", Domain: "old", State: Drain, Limits: Limits{FileSize: 1 << 20}},
			{Name: "pcloud", Remote: "pc.loud+x@home -1:/annex", Domain: "pcloud", State: Active},
			{Name: "gone", Remote: "gone:annex", Domain: "gone", State: Off},
		},
		LeastData: 4, LeastParity: 2,
	}
	got := mustParse(t, string(text))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// Editors of other systems change these.
	crlf := "\ufeff" + strings.ReplaceAll(string(text), "\n", "\r\n")
	if got := mustParse(t, crlf); !reflect.DeepEqual(got, want) {
		t.Errorf("with BOM and CRLF: got %+v", got)
	}
}

func TestParseDefaults(t *testing.T) {
	l := mustParse(t, small)
	if l.ShardSize != 8<<20 || l.Inline != 64<<10 || l.WriteQuorum != 2 {
		t.Errorf("defaults: %+v", l)
	}
	if b := l.Backends[0]; b.Domain != "a" || b.State != Active || b.Limits != (Limits{}) {
		t.Errorf("defaults of a backend: %+v", b)
	}
}

func TestParseValid(t *testing.T) {
	for _, file := range glob(t, "testdata/valid/*.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, text); err != nil {
			t.Error(err)
		}
	}
}

// TestParseInvalid reads "# want: line: part of the error" in each file.
func TestParseInvalid(t *testing.T) {
	head := regexp.MustCompile(`^# want: ([0-9]+): (.+)\n`)
	for _, file := range glob(t, "testdata/invalid/*.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := head.FindStringSubmatch(string(text))
		if m == nil {
			t.Errorf("%s: the first line is not \"# want: line: text\"", file)
			continue
		}
		_, err = Parse(file, text)
		checkError(t, file, err, m[1], m[2])
	}
}

func checkError(t *testing.T, file string, err error, line, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted, want %q", file, want)
		return
	}
	got := err.Error()
	if !strings.HasPrefix(got, file+":"+line+": ") || !strings.Contains(got, want) {
		t.Errorf("%s: got %q, want line %s and %q", file, got, line, want)
	}
	if strings.Contains(got, "\n") || len(got) > 700 {
		t.Errorf("%s: the error is not one short line: %q", file, got)
	}
	if strings.Count(got, ": ") < 2 {
		t.Errorf("%s: no remedy in %q", file, got)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return files
}

// TestParseHostile holds what does not sit well in a text file. Where nodes are
// many, less than 1 MiB is used, to spare the race detector.
func TestParseHostile(t *testing.T) {
	const mib = 1 << 20
	item := ", {name: x, remote: 'x:x'}"
	tests := []struct{ name, text, line, want string }{
		{"large", "# " + strings.Repeat("a", mib), "1", "larger than 1 MiB"},
		{"nothing", "", "1", "empty"},
		{"comment only", "# a\n", "1", "empty"},
		{"NUL", small + "\x00", "7", "U+0000"},
		{"UTF-16", "\xff\xfes\x00h\x00", "1", "not UTF-8"},
		{"second BOM", small + "\ufeff", "7", "U+FEFF"},
		{"lone CR", "shardraid: 1\rdata: 1", "1", "U+000D"},
		{"line separator", "shardraid: 1\ndata: 1\u2028", "2", "U+2028"},
		{"next line", "shardraid: 1\ndata: 1\u0085", "2", "U+0085"},
		{"latin 1", "shardraid: 1\n# \xe9\n", "2", "not UTF-8"},
		{"flow sequences", strings.Repeat("[", mib), "1", "not YAML"},
		{"flow mappings", strings.Repeat("{", mib), "1", "not YAML"},
		{"closed sequences", strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "1", "nested too deeply"},
		{"block sequences", strings.Repeat("- ", mib/2), "1", ""},
		{"deep blocks", strings.Repeat("- ", 9000) + "a", "1", "nested too deeply"},
		{"complex keys", strings.Repeat("? ", mib/2), "1", ""},
		{"many values", "[" + strings.Repeat("a,", mib/16) + "]", "1", "not a list of fields"},
		{"many keys", "{" + strings.Repeat("a,", mib/16) + "}", "1", "unknown field"},
		{"comments", strings.Repeat("#\n", mib/2), "1", "empty"},
		{"comments in a list", strings.Repeat("- a #\n\n#\n", mib/64), "1", "not a list of fields"},
		{"open quote", "a: \"" + strings.Repeat("b\n", mib/2-8), "", "not YAML"},
		{"anchors", strings.Repeat("- &a b\n", mib/64), "1", "anchors"},
		{"long anchor", "- *" + strings.Repeat("a", mib-9), "1", "unknown anchor"},
		{"long key", strings.Repeat("a", 1000) + ": 1", "1", "unknown field"},
		{"many backends", "{shardraid: 1, data: 1, parity: 1, backends: [{name: a, remote: /a}" + strings.Repeat(item, mib/128) + "]}", "1", "taken"},
		{"one long line", "shardraid: " + strings.Repeat(" ", mib-99) + "x", "1", "wrong type"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("h", []byte(test.text))
			if test.line == "" && err != nil {
				_, test.line, _ = strings.Cut(err.Error(), ":")
				test.line, _, _ = strings.Cut(test.line, ":")
			}
			checkError(t, "h", err, test.line, test.want)
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestRemotes holds the spellings that could leave the user's own sections.
func TestRemotes(t *testing.T) {
	valid := []string{"gdrive:annex", "g:a:b", "g:/a", "g:a,b=c", "/srv/x", "/srv/a:b", "9.x+y@z -q:a/./b", "g:..a/b..", "g:~/a"}
	for _, remote := range valid {
		if err := checkRemote(remote); err != nil {
			t.Errorf("%q: %v", remote, err)
		}
	}
	invalid := map[string]string{
		":sftp,ssh=touch x:":      "connection string",
		":local:/etc":             "connection string",
		"sftp,ssh=touch x:a":      "sets options",
		"sftp,ssh=/bin/sh:a":      "sets options",
		"a=b:c":                   "sets options",
		"annex":                   "write the absolute path",
		"./annex":                 "write the absolute path",
		"../a:b":                  "write the absolute path",
		"~/annex":                 "write the absolute path",
		"~root/a:b":               "write the absolute path",
		"-a:b":                    "not the name of a section",
		"ä:b":                     "not the name of a section",
		"a\\b:c":                  "not the name of a section",
		"g:":                      "name a folder",
		"g:/":                     "name a folder",
		"g:./.":                   "name a folder",
		"g:a/../b":                "..",
		"/srv/..":                 "..",
		"/":                       "name a folder",
		"//.":                     "name a folder",
		"g:a\x01":                 "control character",
		"g:a\u202eb":              "control character",
		"/srv/\x1b[2J":            "control character",
		"g:a\n":                   "control character",
		strings.Repeat("a", 5000): "write the absolute path",
	}
	for remote, want := range invalid {
		if err := checkRemote(remote); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.80q: got %v, want %q", remote, err, want)
		}
	}
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		a, b string
		ok   bool
	}{
		{"g:annex", "g:annex", false},
		{"g:annex", "g:/annex/", false},
		{"g:annex", "g:annex/sub", false},
		{"g:a//b/sub", "g:./a/b", false},
		{"/srv/a/", "/srv/a", false},
		{"/srv/a/b", "/srv//a", false},
		{"g:annex", "h:annex", true},
		{"g:annex", "g:annex2", true},
		{"/srv/a", "/srv/ab", true},
		{"/srv/a", "srv:a", true},
	}
	for _, test := range tests {
		// Others around them must not hide the pair.
		text := fmt.Sprintf("shardraid: 1\ndata: 1\nparity: 1\nbackends:\n- {name: x, remote: 'g:annex-'}\n- {name: a, remote: '%s'}\n- {name: y, remote: 'g:annex!'}\n- {name: b, remote: '%s'}\n", test.a, test.b)
		_, err := Parse("t", []byte(text))
		if (err == nil) != test.ok {
			t.Errorf("%s and %s: got %v", test.a, test.b, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), `t:8: backend "b": the remote is the same as that of backend "a"`) {
			t.Errorf("%s and %s: got %v", test.a, test.b, err)
		}
	}
}

func TestSection(t *testing.T) {
	for remote, want := range map[string]string{"gdrive:a:b": "gdrive", "/srv/a:b": ""} {
		b := Backend{Remote: remote}
		if got := b.Section(); got != want || b.Local() != (want == "") {
			t.Errorf("%s: section %q, local %v", remote, got, b.Local())
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "0B": 0, "1B": 1, "8MiB": 8 << 20, "1.5KiB": 1536, "1.5kB": -1, "0.3KiB": 307, "2KB": 2000,
		"3MB": 3e6, "4GB": 4e9, "5TB": 5e12, "6TiB": 6 << 40, "7GiB": 7 << 30, "0.1B": -1, "8": -1, "": -1,
		"8 MiB": -1, "-1B": -1, "+1B": -1, "1e3B": -1, "0x1B": -1, ".5KiB": -1, "1.KiB": -1, "1_0B": -1, "8MiB/s": -1, "1PiB": -1, "8MiB\n": -1,
		"9223372036854775807B": 1<<63 - 1, "9223372036854775808B": -1, "8388608TiB": -1, "8388607TiB": 8388607 << 40,
		"99999999999999999999B": -1, "9999999999999999999TiB": -1, "00008B": 8, "١B": -1,
	} {
		got, err := parseSize(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d (%v), want %d", text, got, err, want)
		}
		rate, err := ParseRate(text + "/s")
		if err != nil {
			rate = -1
		}
		if rate != want && text != "0" {
			t.Errorf("%q/s: got %d (%v), want %d", text, rate, err, want)
		}
	}
	for text, want := range map[string]float64{
		"2/s": 2, "0.5/s": 0.5, "0/s": 0, "0": 0, "2": -1, "1e3/s": -1, "NaN/s": -1, "Inf/s": -1, "-1/s": -1,
		"1000000/s": 1e6, "1000001/s": -1, "0.0001/s": -1, "9999999999/s": -1, "/s": -1,
	} {
		got, err := parseRequests(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %v (%v), want %v", text, got, err, want)
		}
	}
}
