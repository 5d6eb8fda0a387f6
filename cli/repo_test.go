package cli

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

func TestParseRemoteLog(t *testing.T) {
	log := strings.Join([]string{
		"uuid-2 name=other vault=xx timestamp=99s",
		"uuid-1 name=old vault=AA== timestamp=5.5s",
		"uuid-1 name=my&32;remote layout= vault=BB== type=external timestamp=1700000000.25s",
		"uuid-1 name=older vault=CC== timestamp=7s",
		"",
		"uuid-3",
	}, "\n")
	got := parseRemoteLog(log, "uuid-1")
	if got["vault"] != "BB==" || got["name"] != "my remote" || got["layout"] != "" || got["type"] != "external" {
		t.Errorf("got %v", got)
	}
	if got := parseRemoteLog(log, "uuid"); got != nil {
		t.Errorf("an unknown remote: %v", got)
	}
	if got := parseRemoteLog("uuid-1 a=b\n", "uuid-1"); got["a"] != "b" {
		t.Errorf("without a timestamp: %v", got)
	}
}

// FuzzParseRemoteLog writes a line as git-annex does behind any log: as the
// latest it counts, and reads as it was meant.
func FuzzParseRemoteLog(f *testing.F) {
	f.Add("uuid-1 name=a&32;b vault=AA== timestamp=5.5s\n", "b c")
	f.Add("uuid-1 &99999999999999999999;=x timestamp=NaNs", "&1;\n=")
	f.Fuzz(func(t *testing.T, log, value string) {
		before := parseRemoteLog(log, "uuid-1")
		for key := range before {
			if strings.ContainsAny(key, " \n=") {
				t.Errorf("key %q", key)
			}
		}
		var word strings.Builder
		for _, r := range strings.ToValidUTF8(value, "") {
			if r <= ' ' || r == '&' || unicode.IsSpace(r) {
				fmt.Fprintf(&word, "&%d;", r)
			} else {
				word.WriteRune(r)
			}
		}
		last := "\nuuid-2 name=x timestamp=9e99s\nuuid-1 name=" + word.String() + " timestamp=9e98s"
		got, at := parseRemoteLog(log+last, "uuid-1"), parseTime(before["timestamp"])
		if at >= 9e98 {
			if got["name"] != before["name"] {
				t.Errorf("an earlier line counts: %q", got)
			}
		} else if len(got) != 2 || got["name"] != strings.ToValidUTF8(value, "") {
			t.Errorf("%q reads as %q", word.String(), got)
		}
	})
}

func parseTime(stamp string) float64 {
	at, _ := strconv.ParseFloat(strings.TrimSuffix(stamp, "s"), 64)
	return at
}

func TestFileName(t *testing.T) {
	for key, want := range map[string]string{
		"SHA256E-s1--ab.tar.gz":      "SHA256E-s1--ab.tar.gz",
		"URL--http&c%%x%y":           "URL--http&ac&s&sx&sy",
		"WORM-s1-m2--../../etc/pass": "WORM-s1-m2--..%..%etc%pass",
	} {
		if got := fileName(key); got != want || strings.Contains(got, "/") {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
		if got := keyOf(want); got != key {
			t.Errorf("%s: %s, want %s", want, got, key)
		}
	}
}
