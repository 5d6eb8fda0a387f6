package torrent

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
)

// wantError makes sure that an error is one short line that says why.
func wantError(t *testing.T, err error, why string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("no error, want %q", why)
	case !strings.Contains(err.Error(), why):
		t.Errorf("error %q, want %q", err, why)
	case len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\x00"):
		t.Errorf("error %.1000q is not short", err)
	}
}

func TestBencodeAccepts(t *testing.T) {
	for _, b := range []string{
		"i0e", "i-1e", "i9223372036854775807e", "i-9223372036854775808e", "0:", "3:abc", "10:0123456789", "le", "de",
		"l0:lei1edee", "d1:ai1e1:bi2ee", "d1:bi1e1:ai2ee", "d0:0:1:a0:e", "d1:ad1:ai1eee", "d1:cle1:ale1:blee",
		strings.Repeat("l", maxDepth) + strings.Repeat("e", maxDepth),
		"l" + strings.Repeat("le", maxValues-1) + "e",
	} {
		if err := valid([]byte(b)); err != nil {
			t.Errorf("%.40q: %v", b, err)
		}
	}
}

func TestBencodeRefuses(t *testing.T) {
	for b, why := range map[string]string{
		"":                         "too early",
		"i1":                       "no end",
		"ie":                       "no integer",
		"i01e":                     "no integer",
		"i-0e":                     "no integer",
		"i+1e":                     "no integer",
		"i 1e":                     "no integer",
		"i9223372036854775808e":    "no integer",
		"i-9223372036854775809e":   "no integer",
		"i" + long("1", 100) + "e": "too many digits",
		"1":                        "bad length",
		"1a":                       "bad length",
		"00:":                      "bad length",
		"01:a":                     "bad length",
		"2:a":                      "too early",
		"999999999:a":              "too early",
		"9999999999:a":             "bad length",
		"99999999999999999999:a":   "bad length",
		"-1:a":                     "no value begins so",
		"x":                        "no value begins so",
		"e":                        "no value begins so",
		"l":                        "too early",
		"li1e":                     "too early",
		"lee":                      "1 bytes follow",
		"i1ei2e":                   "3 bytes follow",
		"de\n":                     "1 bytes follow",
		"d":                        "too early",
		"d1:a":                     "too early",
		"d1:ae":                    "has no value",
		"di1ei2ee":                 "a key is not a string",
		"dlei2ee":                  "a key is not a string",
		"ddei2ee":                  "a key is not a string",
		"d1:ai1e1:ai2ee":           `key "a" is there twice`,
		"d1:bi1e1:ai2e1:bi3ee":     `key "b" is there twice`,
		"d1:b0:1:ad1:x0:e1:b0:e":   `key "b" is there twice`,
		"ld1:ci1e1:bi1e1:c0:ee":    `key "c" is there twice`,
		strings.Repeat("l", maxDepth+1) + strings.Repeat("e", maxDepth+1): "in each other",
		strings.Repeat("d1:a", maxDepth+1):                                "in each other",
		"l" + strings.Repeat("le", maxValues) + "e":                       "values",
		"l" + strings.Repeat("0:", maxValues) + "e":                       "values",
	} {
		t.Run(fmt.Sprintf("%.30q", b), func(t *testing.T) { wantError(t, valid([]byte(b)), why) })
	}
}

func long(text string, n int) string { return strings.Repeat(text, n) }

// TestBencodeBomb refuses what would need gigabytes as a tree, in a few megabytes.
func TestBencodeBomb(t *testing.T) {
	var keys []byte
	for i := range maxValues {
		keys = append(append(keys, "7:"...), strconv.Itoa(9_999_999-i)...)
		keys = append(keys, "le"...)
	}
	for name, b := range map[string][]byte{
		"lists":  []byte("l" + strings.Repeat("le", 10_000_000) + "e"),
		"deep":   bytes.Repeat([]byte("l"), MaxMetainfo),
		"keys":   slices.Concat([]byte("d"), keys, []byte("e")),
		"string": append([]byte("33554000:"), make([]byte, 33_000_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := valid(b)
			runtime.ReadMemStats(&after)
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil || used > 64 {
				t.Errorf("error %v after %d MiB", err, used)
			}
		})
	}
}

func TestBencodeValues(t *testing.T) {
	v := value("d4:dictd1:b1:x1:a0:e3:inti-5e4:listl1:a2:bcli7eee4:text5:helloe")
	if err := valid(v); err != nil || v.size() != len(v) || v.kind() != 'd' {
		t.Fatalf("%v, %d bytes", err, v.size())
	}
	fields := map[string]value{}
	for key, field := range v.dict() {
		fields[key] = field
	}
	for key, want := range map[string]string{"dict": "d1:b1:x1:a0:e", "int": "i-5e", "list": "l1:a2:bcli7eee", "text": "5:hello"} {
		if string(fields[key]) != want {
			t.Errorf("%s: %q, want %q", key, fields[key], want)
		}
	}
	if n, ok := fields["int"].integer(); n != -5 || !ok {
		t.Errorf("integer %d, %v", n, ok)
	}
	if text, ok := fields["text"].text(); text != "hello" || !ok {
		t.Errorf("text %q, %v", text, ok)
	}
	if got := fmt.Sprintf("%s", slices.Collect(fields["list"].list())); got != "[1:a 2:bc li7ee]" {
		t.Errorf("list %s", got)
	}
	for key, field := range fields {
		_, isText := field.text()
		_, isInt := field.integer()
		isList, isDict := false, false
		for range field.list() {
			isList = true
		}
		for range field.dict() {
			isDict = true
		}
		if isText != (key == "text") || isInt != (key == "int") || isList != (key == "list") || isDict != (key == "dict") {
			t.Errorf("%s: text %v, integer %v, list %v, dictionary %v", key, isText, isInt, isList, isDict)
		}
	}
	for range v.dict() {
		break
	}
	for range fields["list"].list() {
		break
	}
}

// decode reads bencode in the most simple way there is. It panics on what is malformed.
func decode(b []byte, depth int) (v any, rest []byte) {
	switch b[0] {
	case 'i':
		digits, rest, _ := bytes.Cut(b[1:], []byte("e"))
		n, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil || fmt.Sprint(n) != string(digits) || len(rest)+len(digits)+2 != len(b) {
			panic("integer")
		}
		return n, rest
	case 'l', 'd':
		if depth == maxDepth {
			panic("deep")
		}
		all := []any{}
		for rest = b[1:]; rest[0] != 'e'; all = append(all, v) {
			v, rest = decode(rest, depth+1)
		}
		if b[0] == 'd' {
			return pairs(all), rest[1:]
		}
		return all, rest[1:]
	}
	digits, rest, found := bytes.Cut(b, []byte(":"))
	n, err := strconv.Atoi(string(digits))
	if !found || err != nil || strconv.Itoa(n) != string(digits) || n < 0 {
		panic("length")
	}
	return string(rest[:n]), rest[n:]
}

func pairs(all []any) map[string]any {
	m := map[string]any{}
	for ; len(all) > 0; all = all[2:] {
		if _, found := m[all[0].(string)]; found {
			panic("twice")
		}
		m[all[0].(string)] = all[1]
	}
	return m
}

func isBencode(b []byte) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	_, rest := decode(b, 0)
	return len(rest) == 0
}

// walk looks at all there is in a value.
func walk(t *testing.T, v value) (n int) {
	if v.size() != len(v) {
		t.Fatalf("%.100q: %d bytes of %d", v, v.size(), len(v))
	}
	if _, isText := v.text(); isText != (v.kind() == 's') {
		t.Fatalf("%.100q: kind %c", v, v.kind())
	}
	if _, isInt := v.integer(); isInt != (v.kind() == 'i') {
		t.Fatalf("%.100q: kind %c", v, v.kind())
	}
	for item := range v.list() {
		n += walk(t, item)
	}
	for _, item := range v.dict() {
		n += walk(t, item) + 1
	}
	return n + 1
}

// FuzzBencode compares valid with the most simple parser, and lets the library
// read what is valid.
func FuzzBencode(f *testing.F) {
	for _, b := range []string{"d1:ai-1e1:bl0:3:abcdeee", "d1:b0:1:a0:e", "i-0e", "li1ei2ed0:deee", "10:0123456789", "d1:a0:1:a0:e", "llllllelleeeeee"} {
		f.Add([]byte(b))
	}
	for _, b := range sampleTorrents(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := valid(b)
		if len(b) > 1<<16 {
			return
		}
		if (err == nil) != isBencode(b) {
			t.Fatalf("valid: %v, but the simple parser does not think so", err)
		}
		if err != nil {
			wantError(t, err, "parse bencode at byte ")
			return
		}
		walk(t, b)
		var v any
		bencode.Unmarshal(b, &v) //nolint:errcheck // it refuses unsorted keys
	})
}
