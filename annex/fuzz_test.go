package annex

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzServe feeds whole sessions in; each must end when its input does, and
// each request gets one reply.
func FuzzServe(f *testing.F) {
	f.Add("EXTENSIONS INFO ASYNC\nJ 1 PREPARE\nJ 1 REMOVE config-a\nJ 1 VALUE x\nJ 2 TRANSFER STORE panic f\n")
	f.Add("PREPARE\nINITREMOTE\nVALUE x\nREMOVE creds-a\nCREDS u p\nGETINFO\nEXPORT x\nLISTCONFIGS\n")
	f.Add("EXTENSIONS ASYNC\nJ 1 REMOVE name\nERROR no\nJ 1 CHECKPRESENT wait\nJ 2 REMOVE broken\nERROR\n")
	f.Add("EXTENSIONS\r\nTRANSFER RETRIEVE nil \x00\nREMOVE dir\nVALUE\nREMOVE uuid\nJ 1\n\nREMOVE info\n")
	f.Add("GETCOST\nGETAVAILABILITY\nGETORDERED\nCLAIMURL x\nCHECKURL x\nEXPORTSUPPORTED\nWHEREIS k\nGETINFO\nLISTCONFIGS\nTRANSFER STORE k f\n")
	f.Add("CLAIMURL is: x\nCLAIMURL panic\nCLAIMURL \nCHECKURL is:|3|a b;\nCHECKURL is:u|-1|n;v|0|m;\nCHECKURL panic\nCHECKURL\nCHECKURL is:u|1|%C2%A0;\n")
	f.Add("REMOVE urls-x: y\nCHECKURL urls-x: y\nVALUE x: y z\nVALUE x:\nVALUE \nREMOVE urls-\nVALUE\nREMOVE urls\nVALUE a\nCREDS\nVALUE\nCHECKURL set-a b\n")
	f.Add("EXTENSIONS ASYNC\nJ 1 REMOVE urls\nJ 1 VALUE u\nJ 2 CHECKURL urls\nJ 2 VALUE v\nJ 1 VALUE \nERROR no\nJ 2 CHECKURL set-\nJ 1 CHECKURL set-http://a/b\n")
	f.Fuzz(func(t *testing.T, session string) {
		synctest.Test(t, func(t *testing.T) {
			w := &strictWriter{t: t}
			in := &patientReader{Reader: strings.NewReader(session), w: w, remote: &urlRemote{}, want: replies(session)}
			Serve(t.Context(), in, w, in.remote)
			in.over.Store(true)
			time.Sleep(24 * time.Hour) // no sleeper is a leak
			if w.replies > in.want {
				t.Errorf("more than %d replies: %q", in.want, w.lines)
			}
		})
	})
}

// replies returns how many replies and questions there should be in the end.
// Each line is a request, which gets a reply, or the reply to a question; and
// the last question has no reply where the last request has none. Of a list of
// URLs, each but the last line is a note, see fakeRemote.
func replies(session string) (n int) {
	for line := range strings.SplitAfterSeq(session, "\n") {
		line, whole := strings.CutSuffix(line, "\n")
		if command, _, _ := strings.Cut(strings.TrimSuffix(line, "\r"), " "); whole && command != "EXTENSIONS" {
			n++
		}
	}
	return n
}

// noReply finds what may wait for the end of the session, and the request that
// gets none.
var noReply = regexp.MustCompile(`wait|EXPORT\b`)

// patientReader ends only when nothing goes on any more. Then all replies must
// be there, unless some may never be.
type patientReader struct {
	*strings.Reader
	w      *strictWriter
	remote *urlRemote
	want   int
	over   atomic.Bool // Serve has returned
	read   strings.Builder
}

func (r *patientReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Write(p[:n])
	if err == nil {
		return n, nil
	}
	time.Sleep(time.Hour)
	never := noReply.MatchString(r.read.String()) || r.remote.openLists.Load() != 0 || r.over.Load()
	if got := r.w.count(); got > r.want || got < r.want && !never {
		r.w.t.Errorf("%d replies and questions, want %d: %q", got, r.want, r.w.lines)
	}
	return n, err
}

// strictWriter wants whole known lines without line breaks in them.
type strictWriter struct {
	t *testing.T

	mu                 sync.Mutex
	lines              []string
	replies, questions int // the latter with the notes that stand for a URL
}

// replyLine is the last of a reply; others are notes and parts of a list.
var (
	replyLine = regexp.MustCompile(`^(?:J [0-9]+ )?(?:[A-Z]+-(?:SUCCESS|FAILURE|UNKNOWN|REQUEST|CONTENTS|MULTI)|INFOEND|CONFIGEND|COST|AVAILABILITY|ORDERED)(?: |$)`)
	listLine  = regexp.MustCompile(`^(?:J [0-9]+ )?CHECKURL-MULTI(.*)$`)
	question  = regexp.MustCompile(`^(?:J [0-9]+ )?(?:GET[A-Z]+|DEBUG url)(?: |$)`)
	otherLine = regexp.MustCompile(`^(?:J [0-9]+ )?(?:INFO|DEBUG|PROGRESS|SETCONFIG|SETCREDS|SETUR[LI](?:PRESENT|MISSING)|INFOFIELD|INFOVALUE|CONFIG|EXTENSIONS|ERROR|VERSION)(?: |$)`)
)

func (w *strictWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, ended := strings.CutSuffix(string(p), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case replyLine.MatchString(line):
			w.replies++
		case question.MatchString(line):
			w.questions++
		case !otherLine.MatchString(line):
			w.t.Errorf("unknown line %q", line)
		}
		if m := listLine.FindStringSubmatch(line); m != nil && !isList(m[1]) {
			w.t.Errorf("bad list of contents %q", line)
		}
		if !ended || strings.ContainsAny(line, "\r\x00") || (line == "VERSION 1") != (len(w.lines) == 0) {
			w.t.Errorf("bad line %q", line)
		}
		w.lines = append(w.lines, line)
	}
	return len(p), nil
}

func (w *strictWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replies + w.questions
}

// isList tells whether git-annex, which knows all spaces of Unicode, finds a
// URL, a size and a name in each place.
func isList(text string) bool {
	words := strings.Fields(text)
	for i := 1; i < len(words); i += 3 {
		if n, err := strconv.ParseInt(words[i], 10, 64); words[i] != "UNKNOWN" && (err != nil || n < 0) {
			return false
		}
	}
	return len(words) > 0 && len(words)%3 == 0
}
