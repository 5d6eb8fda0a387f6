package annex

import (
	"regexp"
	"strings"
	"sync"
	"testing"
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
	f.Fuzz(func(t *testing.T, session string) {
		w := &strictWriter{t: t, more: make(chan struct{}, 1)}
		in := &patientReader{Reader: *strings.NewReader(session), w: w, want: replies(session), over: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- Serve(t.Context(), in, w, &fakeRemote{}) }()
		select {
		case <-served:
		case <-time.After(time.Minute):
			t.Fatalf("Serve hangs, or some of %d replies are missing: %q", in.want, w.lines)
		}
		close(in.over)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.replies > in.want {
			t.Errorf("more than %d replies: %q", in.want, w.lines)
		}
	})
}

// replies returns how many replies and questions there should be in the end.
// Each line is a request, which gets a reply, or the reply to a question; and
// the last question has no reply where the last request has none.
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

// patientReader ends only when all replies are there, unless some may never be.
type patientReader struct {
	strings.Reader
	w    *strictWriter
	want int
	over chan struct{}
	read strings.Builder
}

func (r *patientReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Write(p[:n])
	if err == nil || noReply.MatchString(r.read.String()) {
		return n, err
	}
	for {
		if got := r.w.count(); got > r.want {
			r.w.t.Errorf("%d replies and questions, want %d", got, r.want)
		} else if got < r.want {
			select {
			case <-r.w.more:
				continue
			case <-r.over: // by a protocol error
			}
		}
		return n, err
	}
}

// strictWriter wants whole known lines without line breaks in them.
type strictWriter struct {
	t    *testing.T
	more chan struct{} // after each write

	mu                 sync.Mutex
	lines              []string
	replies, questions int
}

// replyLine is the last of a reply; others are notes and parts of a list.
var (
	replyLine = regexp.MustCompile(`^(?:J [0-9]+ )?(?:[A-Z]+-(?:SUCCESS|FAILURE|UNKNOWN|REQUEST)|INFOEND|CONFIGEND|COST|AVAILABILITY|ORDERED)(?: |$)`)
	question  = regexp.MustCompile(`^(?:J [0-9]+ )?GET[A-Z]+(?: |$)`)
	otherLine = regexp.MustCompile(`^(?:J [0-9]+ )?(?:INFO|DEBUG|PROGRESS|SETCONFIG|SETCREDS|INFOFIELD|INFOVALUE|CONFIG|EXTENSIONS|ERROR|VERSION)(?: |$)`)
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
		if !ended || strings.ContainsAny(line, "\r\x00") || (line == "VERSION 1") != (len(w.lines) == 0) {
			w.t.Errorf("bad line %q", line)
		}
		w.lines = append(w.lines, line)
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *strictWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replies + w.questions
}
