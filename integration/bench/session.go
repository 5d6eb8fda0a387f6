package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// session is one process of an external special remote, spoken to as git-annex
// would, with as many requests at once as the remote allows.
type session struct {
	memory *memory
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr *said
	async  bool
	plain  sync.Mutex // held by the only request where there is no ASYNC

	write sync.Mutex
	mu    sync.Mutex
	last  int // job number
	jobs  map[string]chan message
	over  error // why nothing comes any more
}

// start starts a special remote, which is prepared or, with init, set up.
func start(ctx context.Context, program string, env []string, k *memory, init bool) (*session, error) {
	s := &session{memory: k, jobs: map[string]chan message{}, stderr: &said{}}
	s.cmd = exec.CommandContext(ctx, program)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stderr = k.gitDir, env, s.stderr
	gently(s.cmd)
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	if err := s.greet(lines); err != nil {
		s.close()
		return nil, err
	}
	go s.read(lines)
	if init {
		err = s.do("INITREMOTE", nil)
	}
	if err == nil {
		err = s.do("PREPARE", nil)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// greet agrees on extensions.
func (s *session) greet(lines *bufio.Reader) error {
	version, err := lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(version, "VERSION ") {
		return fmt.Errorf("%s says %q: %w", filepath.Base(s.cmd.Path), version, err)
	}
	if err := s.send("", "EXTENSIONS INFO ASYNC GETGITREMOTENAME UNAVAILABLERESPONSE"); err != nil {
		return err
	}
	reply, err := lines.ReadString('\n')
	if err != nil {
		return err
	}
	words := strings.Fields(reply)
	s.async = len(words) > 0 && words[0] == "EXTENSIONS" && strings.Contains(reply+" ", " ASYNC")
	return nil
}

// read hands messages to the jobs that wait for them.
func (s *session) read(lines *bufio.Reader) {
	for {
		line, err := lines.ReadString('\n')
		s.mu.Lock()
		if err != nil {
			s.over = fmt.Errorf("%s has ended: %w: %s", filepath.Base(s.cmd.Path), err, s.tail())
			for _, job := range s.jobs {
				close(job)
			}
			clear(s.jobs)
			s.mu.Unlock()
			return
		}
		m := parseMessage(strings.TrimSuffix(line, "\n"))
		if job := s.jobs[m.job]; job != nil {
			job <- m
		}
		s.mu.Unlock()
	}
}

// tail is the last of what the process has said on stderr.
func (s *session) tail() string {
	s.stderr.mu.Lock()
	defer s.stderr.mu.Unlock()
	text := strings.TrimSpace(s.stderr.text.String())
	return text[max(0, len(text)-300):]
}

// said is what a process says on stderr.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *said) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (s *session) send(job, line string) error {
	if job != "" {
		line = "J " + job + " " + line
	}
	s.write.Lock()
	defer s.write.Unlock()
	_, err := io.WriteString(s.in, line+"\n")
	return err
}

// do makes one request and fails unless it succeeds. It tells of progress.
func (s *session) do(request string, progress func(int64)) error {
	job, messages, err := s.open()
	if err != nil {
		return err
	}
	defer s.finish(job)
	if err := s.send(job, request); err != nil {
		return err
	}
	for m := range messages {
		if m.final() {
			if strings.HasSuffix(m.command, "-SUCCESS") {
				return nil
			}
			return fmt.Errorf("%s: %s %s", request, m.command, m.rest)
		}
		if n, ok := m.progress(); ok && progress != nil {
			progress(n)
		}
		answer, err := s.memory.answer(m)
		if err == nil && answer != "" {
			err = s.send(job, answer)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", request, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Errorf("%s: %w", request, s.over)
}

// open makes a place for the messages of one request.
func (s *session) open() (job string, messages chan message, err error) {
	if !s.async {
		s.plain.Lock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		if !s.async {
			s.plain.Unlock()
		}
		return "", nil, s.over
	}
	if s.async {
		s.last++
		job = strconv.Itoa(s.last)
	}
	messages = make(chan message, 1<<12)
	s.jobs[job] = messages
	return job, messages, nil
}

func (s *session) finish(job string) {
	s.mu.Lock()
	delete(s.jobs, job)
	s.mu.Unlock()
	if !s.async {
		s.plain.Unlock()
	}
}

func (s *session) store(key, file string) error {
	return s.do("TRANSFER STORE "+key+" "+file, nil)
}

func (s *session) retrieve(key, file string, progress func(int64)) error {
	return s.do("TRANSFER RETRIEVE "+key+" "+file, progress)
}

func (s *session) remove(key string) error { return s.do("REMOVE "+key, nil) }

// peak is the most memory that the process has had, in MiB. It is the
// kernel's high-water mark of this program alone: the one in rusage counts
// also who started it.
func (s *session) peak() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(text))
}

func parsePeak(status string) (float64, error) {
	for line := range strings.Lines(status) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(words[1], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("process has no VmHWM")
}

// close ends the process as git-annex does.
func (s *session) close() error {
	s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(s.cmd.Path), err, s.tail())
	}
	return nil
}
