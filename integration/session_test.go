package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// session is one command of git-annex at work, in a process group of its own,
// and the special remotes that it starts.
type session struct {
	who    string
	cmd    *exec.Cmd
	ledger *ledger
	away   int
	over   chan struct{} // closed when all of its processes are gone

	mu      sync.Mutex
	procs   []*process
	lines   []string  // what it printed, without the protocol
	all     []string  // and with the most of it
	heard   time.Time // when it printed something
	expired bool      // it did not end in time
}

// process is one special remote.
type process struct {
	number int
	pid    int
	ended  time.Time           // when it was seen dead; zero before
	open   map[string]*request // by job
	asked  int                 // questions so far
	owes   bool                // the last word was git-annex's
	checks int                 // of them CHECKPRESENT
	done   int                 // stores and removals that succeeded
	hunted bool
	frozen bool     // stopped just now
	killed string   // what was killed, "" if nothing was
	doing  []string // when it was killed
}

// deadline is how long a command may take, whatever is done to it.
const deadline = time.Minute

// start starts git-annex in a clone.
func (l *lab) start(book *ledger, who, dir string, away int, args ...string) (*session, error) {
	args = append([]string{args[0], "--json", "--json-error-messages", "--debug", "--debugfilter=Annex.ExternalAddonProcess", "-c", "annex.alwayscommit=false"}, args[1:]...)
	s := &session{who: who, cmd: l.command(dir, "git-annex", args...), ledger: book, away: away, over: make(chan struct{})}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	limit := time.AfterFunc(deadline, s.expire)
	var readers sync.WaitGroup
	readers.Go(func() { s.read(stdout) })
	readers.Go(func() { s.read(stderr) })
	go func() {
		readers.Wait()
		s.cmd.Wait()
		for len(groupOf(s.cmd.Process.Pid)) > 0 {
			time.Sleep(5 * time.Millisecond)
		}
		limit.Stop()
		s.finish()
		close(s.over)
	}()
	return s, nil
}

func (s *session) read(pipe io.Reader) {
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.line(lines.Text())
	}
	io.Copy(io.Discard, pipe)
}

// protocolLine: time, number of the process, direction, job, message.
var protocolLine = regexp.MustCompile(`^\[([-0-9]+ [:.0-9]+)\] \(Annex\.ExternalAddonProcess\) \S+\[(\d+)\] (<--|-->) (?:J (\d+) )?(.*)$`)

var (
	question = regexp.MustCompile(`^(?:TRANSFER )?(STORE|RETRIEVE|REMOVE|CHECKPRESENT) (\S+)`)
	reply    = regexp.MustCompile(`^(?:TRANSFER|REMOVE|CHECKPRESENT)-(SUCCESS|FAILURE|UNKNOWN) (?:(?:STORE|RETRIEVE) )?\S+ ?(.*)$`)
)

// line takes one line that git-annex prints. It prints a question just before
// it asks, and an answer just after it has it.
func (s *session) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	m := protocolLine.FindStringSubmatch(text)
	if !strings.Contains(text, " VALUE ") && !strings.Contains(text, " PROGRESS ") {
		s.all = append(s.all, text)
	}
	if m == nil {
		s.lines = append(s.lines, text)
		return
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", m[1], time.Local)
	if err != nil {
		s.lines = append(s.lines, text)
		return
	}
	number, _ := strconv.Atoi(m[2])
	p := s.process(number)
	job, message := m[4], m[5]
	p.owes = m[3] == "<--"
	if m[3] == "<--" {
		if q := question.FindStringSubmatch(message); q != nil {
			r := &request{verb: q[1], key: q[2], who: fmt.Sprintf("%s[%d]", s.who, number), begun: at, answer: died, stopped: p.frozen, away: s.away}
			r.ended = at.Add(24 * time.Hour) // until we know better
			p.open[job] = r
			p.asked++
			if r.verb == "CHECKPRESENT" {
				p.checks++
			}
			s.ledger.add(r)
		}
		return
	}
	a := reply.FindStringSubmatch(message)
	if r := p.open[job]; a != nil && r != nil {
		s.ledger.end(r, at, a[1], a[2])
		delete(p.open, job)
		if a[1] == "SUCCESS" && (r.verb == "STORE" || r.verb == "REMOVE") {
			p.done++
		}
	}
}

// process returns the special remote of a number; it has just spoken.
func (s *session) process(number int) *process {
	for _, p := range s.procs {
		if p.number == number {
			return p
		}
	}
	p := &process{number: number, open: map[string]*request{}}
	for _, pid := range s.remotes() {
		if !slices.ContainsFunc(s.procs, func(o *process) bool { return o.pid == pid }) {
			p.pid = pid
			break
		}
	}
	s.procs = append(s.procs, p)
	return p
}

// remotes returns the special remotes that live. There may be two: git-annex
// starts one for each job that has seen the death of the last.
func (s *session) remotes() (pids []int) {
	for _, pid := range groupOf(s.cmd.Process.Pid) {
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.HasPrefix(string(name), "git-annex-remot") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// expire ends a session that does not end by itself, and has its remotes say
// where they are.
func (s *session) expire() {
	s.mu.Lock()
	s.expired = true
	s.mu.Unlock()
	for _, pid := range groupOf(s.cmd.Process.Pid) {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		s.line(fmt.Sprintf("still there: %d %q %s", pid, name, stat))
		if pid != s.cmd.Process.Pid {
			syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
	time.Sleep(time.Second)
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
}

// finish ends the requests that got no answer, no later than their process
// was seen dead.
func (s *session) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.procs {
		if p.ended.IsZero() {
			p.ended = time.Now()
		}
		for _, r := range p.open {
			s.ledger.end(r, p.ended, died, "")
		}
	}
}

func (l *ledger) end(r *request, at time.Time, answer, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.ended, r.answer, r.text = at, answer, text
}

// groupOf returns the living processes of a process group.
func groupOf(leader int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest) // state, parent, group, …
		if len(fields) > 2 && fields[2] == strconv.Itoa(leader) && fields[0] != "Z" && fields[0] != "X" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// lives reports whether a process runs or is stopped.
func lives(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	return err == nil && rest != "" && rest[0] != 'Z' && rest[0] != 'X'
}
