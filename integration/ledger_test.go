package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The ledger holds all that git-annex, in any clone, has asked the special
// remote, and what it was told, with the times between which that happened. It
// says when two answers cannot both be true.

// request is one question of git-annex to the special remote.
type request struct {
	verb, key    string // STORE, RETRIEVE, REMOVE or CHECKPRESENT
	who          string // the clone, the number of its command, and that of the process
	begun, ended time.Time
	answer       string // SUCCESS, FAILURE, UNKNOWN, or DIED where there was none
	text         string // of the answer
	stopped      bool   // the process did not run all the time
	away         int    // so many backends were unplugged
}

const died = "DIED"

func (r *request) String() string {
	clock := func(t time.Time) string { return t.Format("15:04:05.000000") }
	s := fmt.Sprintf("%s-%s %-12s %-12s %-8s %s", clock(r.begun), clock(r.ended), r.who, r.verb, r.answer, r.text)
	if r.stopped {
		s += " (was stopped)"
	}
	if r.away > 0 {
		s += fmt.Sprintf(" (%d backends away)", r.away)
	}
	return s
}

func (r *request) is(verb, answer string) bool { return r.verb == verb && r.answer == answer }

// shows reports whether the answer says that the object is there.
func (r *request) shows() bool { return r.is("STORE", "SUCCESS") || r.is("CHECKPRESENT", "SUCCESS") }

type ledger struct {
	mu   sync.Mutex
	keys map[string][]*request
}

func (l *ledger) add(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys = map[string][]*request{}
	}
	l.keys[r.key] = append(l.keys[r.key], r)
}

// contradictions returns what cannot be true of a key, when nobody works. Lost
// are answers that break a promise; vain are those that only failed to help
// while others worked on the same key, or the process did not run. Answers given before since are not looked at
// again.
func (l *ledger) contradictions(key string, since time.Time) (lost, vain []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.keys[key]
	for _, r := range all {
		if r.ended.Before(since) {
			continue
		}
		for _, earlier := range all {
			if earlier.ended.After(r.begun) {
				continue
			}
			wrong, harmless := contradict(all, earlier, r)
			if wrong == "" {
				continue
			}
			text := fmt.Sprintf("%s:\n%v\n  after\n%v", wrong, r, earlier)
			if harmless {
				vain = append(vain, text)
			} else {
				lost = append(lost, text)
			}
			break
		}
		if (r.is("STORE", "FAILURE") || r.is("REMOVE", "FAILURE")) && !r.stopped && !between(all, "STORE", r, r) && !between(all, "REMOVE", r, r) {
			text := fmt.Sprintf("nothing in the way, and failed:\n%v", r)
			if r.away > 0 && unfinished(all, &request{ended: r.begun}) { // torn copies of its manifest on m backends, and another one away
				vain = append(vain, text)
			} else {
				lost = append(lost, text)
			}
		}
	}
	return lost, vain
}

// contradict says what is wrong if both answers were given, "" if nothing is.
func contradict(all []*request, earlier, r *request) (wrong string, harmless bool) {
	switch {
	case earlier.shows() && !between(all, "REMOVE", earlier, r):
		if r.is("CHECKPRESENT", "FAILURE") {
			return "stored, not removed, and called absent", false
		}
		if r.is("CHECKPRESENT", "UNKNOWN") || r.is("RETRIEVE", "FAILURE") {
			return "stored, not removed, and not to be had", r.stopped || between(all, "STORE", earlier, r)
		}
	case earlier.is("REMOVE", "SUCCESS") && !between(all, "STORE", earlier, r):
		if r.is("CHECKPRESENT", "SUCCESS") || r.is("RETRIEVE", "SUCCESS") {
			return "removed, not stored, and there again", earlier.away > 0 && unfinished(all, earlier)
		}
	}
	return "", false
}

// between reports whether anybody else was at such a request at any time from
// the beginning of one to the end of another, with whatever success.
func between(all []*request, verb string, from, to *request) bool {
	return slices.ContainsFunc(all, func(x *request) bool {
		return x != from && x != to && x.verb == verb && x.ended.After(from.begun) && x.begun.Before(to.ended)
	})
}

// unfinished reports whether a store was begun before, and failed: where a
// removal cannot see it, because backends are unplugged, it may come back.
func unfinished(all []*request, before *request) bool {
	return slices.ContainsFunc(all, func(x *request) bool {
		return x.verb == "STORE" && x.answer != "SUCCESS" && x.begun.Before(before.ended)
	})
}

// stored returns whether a key must be there now, and whether it must not be;
// neither if its last removal or store was cut off.
func (l *ledger) stored(key string) (there, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.keys[key]
	now := &request{begun: time.Now(), ended: time.Now()}
	for _, r := range all {
		there = there || r.shows() && !between(all, "REMOVE", r, now)
		gone = gone || r.is("REMOVE", "SUCCESS") && r.away == 0 && !between(all, "STORE", r, now)
	}
	return there, gone
}

// history returns all that is known of a key, in order.
func (l *ledger) history(key string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.keys[key])
	slices.SortStableFunc(all, func(a, b *request) int { return a.begun.Compare(b.begun) })
	var lines []string
	for _, r := range all {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

func (l *ledger) size() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, all := range l.keys {
		n += len(all)
	}
	return n
}
