package cli

import (
	"strings"
	"testing"
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

func FuzzParseRemoteLog(f *testing.F) {
	f.Add("uuid-1 name=a&32;b vault=AA== timestamp=5.5s\n")
	f.Add("uuid-1 &99999999999999999999;=x timestamp=NaNs")
	f.Fuzz(func(t *testing.T, log string) {
		for key := range parseRemoteLog(log, "uuid-1") {
			if strings.ContainsAny(key, " \n=") {
				t.Errorf("key %q", key)
			}
		}
	})
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
	}
}
