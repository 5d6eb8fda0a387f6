package remote

import (
	"sync"

	"shardraid/annex"
)

// listeners are the requests under way. What rclone logs belongs to none of them in
// particular, and git-annex takes a line only as a part of one: so one of them says it.
type listeners struct {
	mu  sync.Mutex
	all map[*annex.Session]bool
}

// add lets s speak for rclone until the returned function is called.
func (l *listeners) add(s *annex.Session) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[*annex.Session]bool{}
	}
	l.all[s] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, s)
	}
}

// say shows a line of rclone's log to a user who runs git-annex with --debug.
func (l *listeners) say(line string) {
	l.mu.Lock()
	var one *annex.Session
	for s := range l.all {
		one = s
		break
	}
	l.mu.Unlock() // before what may wait for git-annex
	if one != nil {
		one.Debug("rclone: " + line)
	}
}
