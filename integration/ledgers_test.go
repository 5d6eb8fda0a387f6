package integration

import (
	"strings"
	"testing"
	"time"
)

// TestLedger shows that the ledger of TestKills finds what is wrong, and not
// what is right. A line is a request from one moment to another.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name, requests string
		lost, vain     string // a word of what must be found
		there, gone    bool
	}{
		{name: "stored and found", requests: "0-1 STORE SUCCESS; 2-3 CHECKPRESENT SUCCESS; 4-5 RETRIEVE SUCCESS", there: true},
		{name: "stored and called absent", requests: "0-1 STORE SUCCESS; 2-3 CHECKPRESENT FAILURE", lost: "called absent", there: true},
		{name: "found and called absent", requests: "0-1 CHECKPRESENT SUCCESS; 2-3 CHECKPRESENT FAILURE", lost: "called absent", there: true},
		{name: "asked before it was stored", requests: "0-2 STORE SUCCESS; 1-3 CHECKPRESENT FAILURE", there: true},
		{name: "stored and unknown", requests: "0-1 STORE SUCCESS; 2-3 CHECKPRESENT UNKNOWN", lost: "not to be had", there: true},
		{name: "stored and unreadable", requests: "0-1 STORE SUCCESS; 2-3 RETRIEVE FAILURE", lost: "not to be had", there: true},
		{name: "unreadable while another store supersedes", requests: "0-1 STORE SUCCESS; 2-5 STORE SUCCESS; 3-4 RETRIEVE FAILURE", vain: "not to be had", there: true},
		{name: "absent while another store supersedes", requests: "0-1 STORE SUCCESS; 2-5 STORE DIED; 3-4 CHECKPRESENT FAILURE", lost: "called absent", there: true},
		{name: "a removal that was killed", requests: "0-1 STORE SUCCESS; 2-3 REMOVE DIED; 4-5 CHECKPRESENT FAILURE"},
		{name: "a removal at the same time", requests: "0-3 STORE SUCCESS; 2-4 REMOVE SUCCESS; 5-6 CHECKPRESENT FAILURE"},
		{name: "removed before", requests: "0-1 REMOVE SUCCESS; 2-3 STORE SUCCESS; 4-5 CHECKPRESENT FAILURE", lost: "called absent", there: true},
		{name: "removed", requests: "0-1 STORE SUCCESS; 2-3 REMOVE SUCCESS; 4-5 CHECKPRESENT FAILURE; 6-7 RETRIEVE FAILURE", gone: true},
		{name: "removed and found", requests: "0-1 STORE SUCCESS; 2-3 REMOVE SUCCESS; 4-5 CHECKPRESENT SUCCESS", lost: "there again", gone: true, there: true},
		{name: "removed and read", requests: "0-1 STORE SUCCESS; 2-3 REMOVE SUCCESS; 4-5 RETRIEVE SUCCESS", lost: "there again", gone: true},
		{name: "removed and stored by a killed store", requests: "0-1 STORE SUCCESS; 2-3 REMOVE SUCCESS; 4-5 STORE DIED; 6-7 RETRIEVE SUCCESS"},
		{name: "a killed store that nobody could see", requests: "0-1 STORE DIED; 2-3 REMOVE SUCCESS away; 4-5 RETRIEVE SUCCESS", vain: "there again"},
		{name: "a killed store that was to be seen", requests: "0-1 STORE DIED; 2-3 REMOVE SUCCESS; 4-5 RETRIEVE SUCCESS", lost: "there again", gone: true},
		{name: "a store that fails for nothing", requests: "0-1 STORE FAILURE", lost: "nothing in the way"},
		{name: "a removal that fails for nothing", requests: "0-1 REMOVE FAILURE", lost: "nothing in the way"},
		{name: "a removal after a killed store, with a backend away", requests: "0-1 STORE DIED; 2-3 REMOVE FAILURE away", vain: "nothing in the way"},
		{name: "a removal after a killed store, with all there", requests: "0-1 STORE DIED; 2-3 REMOVE FAILURE", lost: "nothing in the way"},
		{name: "a store with a backend away", requests: "0-1 STORE FAILURE away", lost: "nothing in the way"},
		{name: "a removal with a backend away", requests: "0-1 REMOVE FAILURE away", lost: "nothing in the way"},
		{name: "a removal that fails beside another", requests: "0-2 REMOVE FAILURE; 1-3 REMOVE SUCCESS; 4-5 CHECKPRESENT FAILURE", gone: true},
	} {
		book := &ledger{}
		for text := range strings.SplitSeq(c.requests, "; ") {
			f := strings.Fields(text)
			at := func(i int) time.Time { return time.Unix(int64(f[0][i]-'0'), 0) }
			r := &request{verb: f[1], answer: f[2], begun: at(0), ended: at(2)}
			if len(f) > 3 {
				r.away = 1
			}
			book.add(r)
		}
		lost, vain := book.contradictions("", time.Time{})
		wrong := func(found []string, want string) bool {
			return (want == "") != (len(found) == 0) || !strings.Contains(strings.Join(found, "\n"), want)
		}
		if wrong(lost, c.lost) || wrong(vain, c.vain) {
			t.Errorf("%s: lost %q, vain %q", c.name, lost, vain)
		}
		if there, gone := book.stored(""); there != c.there || gone != c.gone {
			t.Errorf("%s: there %v, gone %v", c.name, there, gone)
		}
	}
}
