package integration

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// killer kills the special remotes of sessions at random moments, and
// sometimes git-annex.
type killer struct {
	mu     sync.Mutex
	rand   *rand.Rand
	kills  int            // SIGKILLs that hit a living process
	stops  int            // SIGSTOPs that were followed by SIGCONT
	missed int            // the process was faster
	how    map[string]int // kills, by what was killed
	during map[string]int // questions without an answer, and files that were open
	idle   int            // kills while nothing was asked

	hung int // git-annex waited for ever for a remote that was dead

	slowest time.Duration // from a kill to the end of the remote
}

func (k *killer) draw(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rand.IntN(n)
}

// hunt follows one session to its end.
func (k *killer) hunt(s *session) {
	for {
		select {
		case <-s.over:
			k.tally(s)
			return
		case <-time.After(2 * time.Millisecond):
		}
		if p := s.prey(); p != nil {
			k.wait(s, p)
			k.strike(s, p)
		}
	}
}

// watch ends a session in which git-annex waits for nothing, as it sometimes
// does after the death of an async remote.
func (k *killer) watch(s *session) {
	for {
		select {
		case <-s.over:
			return
		case <-time.After(100 * time.Millisecond):
		}
		if s.hangs() {
			k.mu.Lock()
			k.hung++
			k.mu.Unlock()
			syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
			return
		}
	}
}

// wait waits for the moment to strike: seldom while the remote starts up,
// mostly once it works, often just after it has promised something. A batch of
// files takes some hundred milliseconds.
func (k *killer) wait(s *session, p *process) {
	most := 150
	switch n := k.draw(10); {
	case n == 0:
		most = 60
	case n < 2:
		s.await(func() bool { return p.asked > 0 })
	case n < 5:
		promises := 1 + k.draw(3)
		s.await(func() bool { return p.done >= promises })
		most = 5
	default:
		s.await(func() bool { return p.asked > p.checks })
	}
	select {
	case <-s.over:
	case <-time.After(time.Duration(k.draw(most)) * time.Millisecond):
	}
}

// hangs reports whether git-annex has said nothing for long after a remote of
// it was killed, and waits for no other.
func (s *session) hangs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	killed, asked := false, false
	for _, p := range s.procs {
		killed = killed || p.killed != ""
		asked = asked || p.killed == "" && (p.owes || len(p.open) > 0)
	}
	return killed && !asked && time.Since(s.heard) > 3*time.Second
}

// prey returns the running special remote, if it was not yet hunted.
func (s *session) prey() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.procs) == 0 {
		return nil
	}
	p := s.procs[len(s.procs)-1]
	if p.hunted {
		return nil
	}
	p.hunted = true
	return p
}

// await waits until cond, or the end of the session.
func (s *session) await(cond func() bool) {
	for {
		s.mu.Lock()
		ok := cond()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.over:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// strike does one bad thing to a session.
func (k *killer) strike(s *session, p *process) {
	if p.pid == 0 || !lives(p.pid) {
		k.mu.Lock()
		k.missed++
		k.mu.Unlock()
		return
	}
	switch n := k.draw(100); {
	case n < 60:
		k.kill(s, p, "remote")
	case n < 72: // stopped for a while, as a laptop that sleeps
		if k.stop(s, p) {
			syscall.Kill(p.pid, syscall.SIGCONT)
			k.mu.Lock()
			k.stops++
			k.mu.Unlock()
		}
	case n < 80:
		if k.stop(s, p) {
			k.kill(s, p, "stopped remote")
		}
	case n < 92:
		k.kill(s, p, "git-annex and remote")
	default:
		k.kill(s, p, "git-annex")
	}
}

// stop stops a remote for a while, and says if it still lives then. The others
// go on meanwhile.
func (k *killer) stop(s *session, p *process) bool {
	s.mu.Lock()
	syscall.Kill(p.pid, syscall.SIGSTOP)
	p.frozen = true
	for _, r := range p.open {
		s.ledger.mu.Lock()
		r.stopped = true
		s.ledger.mu.Unlock()
	}
	s.mu.Unlock()
	time.Sleep(time.Duration(50+k.draw(1200)) * time.Millisecond)
	s.mu.Lock()
	p.frozen = false
	s.mu.Unlock()
	return lives(p.pid)
}

func (k *killer) kill(s *session, p *process, what string) {
	// Frozen first, so that we see what it was doing.
	syscall.Kill(p.pid, syscall.SIGSTOP)
	p.doing = p.files()
	alone := len(s.remotes()) == 1 // else we may take one for the other
	switch what {
	case "git-annex and remote":
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	case "git-annex": // the remote is to end by itself
		syscall.Kill(s.cmd.Process.Pid, syscall.SIGKILL)
		syscall.Kill(p.pid, syscall.SIGCONT)
	default:
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
	struck := time.Now()
	for lives(p.pid) {
		time.Sleep(time.Millisecond)
	}
	s.mu.Lock()
	p.killed = what
	if alone {
		p.ended = time.Now()
	}
	s.mu.Unlock()
	k.mu.Lock()
	k.kills++
	k.slowest = max(k.slowest, time.Since(struck))
	k.mu.Unlock()
}

// tally counts what the kills of a session hit, when it is over.
func (k *killer) tally(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range s.procs {
		if p.killed == "" {
			continue
		}
		k.how[p.killed]++
		if len(p.open) == 0 {
			k.idle++
		}
		for _, r := range p.open {
			k.during[r.verb]++
		}
		for _, what := range p.doing {
			k.during[what]++
		}
	}
}

// files says what kinds of files a process has open.
func (p *process) files() []string {
	kinds := map[string]bool{}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
	for _, fd := range fds {
		file, _ := os.Readlink(fd)
		switch name := filepath.Base(file); {
		case strings.Contains(file, "/journal/"):
			kinds["journal open"] = true
		case strings.Contains(name, ".s."):
			kinds["shard open"] = true
		case strings.Contains(name, ".m.") || strings.Contains(name, ".t."):
			kinds["record open"] = true
		case strings.Contains(file, "/annex/tmp/"):
			kinds["output open"] = true
		}
	}
	return slices.Collect(maps.Keys(kinds))
}

func (k *killer) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := fmt.Sprintf("%d kills (%d of them while nothing was asked), %d stops, %d came too late, %d times git-annex hung;", k.kills, k.idle, k.stops, k.missed, k.hung)
	for _, counts := range []map[string]int{k.how, k.during} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			text += fmt.Sprintf(" %s %d,", name, counts[name])
		}
	}
	return strings.TrimSuffix(text, ",")
}
