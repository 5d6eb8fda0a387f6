package annex

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// progressEvery is the least time between two PROGRESS lines: git-annex stops
// reading all jobs while one of them has sent too much.
const progressEvery = 250 * time.Millisecond

var errOver = errors.New("request is over")

// Session is one request's talk back to git-annex. Its methods may be called
// from several goroutines. The questions return an error as soon as the
// request's context ends.
type Session struct {
	job *job
	ctx context.Context

	question chan struct{} // full from a question to its reply

	mu       sync.Mutex
	over     bool
	best     int64 // furthest progress, -1 before any
	sent     int64 // the progress git-annex knows, -1 before any
	sentAt   time.Time
	sendSoon *time.Timer // set while best waits to be sent
}

func newSession(ctx context.Context, j *job) *Session {
	return &Session{job: j, ctx: ctx, question: make(chan struct{}, 1), best: -1, sent: -1, sentAt: time.Now()}
}

// Config returns the value of a setting of the remote, empty if it is unset.
func (s *Session) Config(name string) (string, error) {
	if !isWord(name) {
		return "", fmt.Errorf("ask GETCONFIG: name %q is not one word", name)
	}
	return s.ask("VALUE", "GETCONFIG", name)
}

// SetConfig sets a setting of the remote. It lasts only when called from Init,
// and everybody with the git repository can read it.
func (s *Session) SetConfig(name, value string) error {
	if !isWord(name) {
		return fmt.Errorf("send SETCONFIG: name %q is not one word", name)
	}
	if !isLine(value) {
		return fmt.Errorf("send SETCONFIG %s: value is not one line", name)
	}
	return s.tell("SETCONFIG", name, value)
}

// Creds returns the credentials kept under a name, both empty if there are
// none.
func (s *Session) Creds(name string) (user, password string, err error) {
	if !isWord(name) {
		return "", "", fmt.Errorf("ask GETCREDS: name %q is not one word", name)
	}
	reply, err := s.ask("CREDS", "GETCREDS", name)
	if err != nil {
		return "", "", err
	}
	user, password, _ = strings.Cut(reply, " ")
	return user, password, nil
}

// SetCreds keeps credentials under a name in git-annex's credential store. The
// user must be one word or empty, the password one line.
func (s *Session) SetCreds(name, user, password string) error {
	if !isWord(name) || user != "" && !isWord(user) {
		return errors.New("send SETCREDS: name or user is not one word")
	}
	if !isLine(password) { // say nothing of what it is
		return fmt.Errorf("send SETCREDS %s: password is not one line", name)
	}
	return s.tell("SETCREDS", name, user, password)
}

// UUID returns git-annex's identifier of the remote.
func (s *Session) UUID() (string, error) {
	return s.askNonEmpty("GETUUID")
}

// GitDir returns the absolute path of the repository's git directory.
func (s *Session) GitDir() (string, error) {
	dir, err := s.askNonEmpty("GETGITDIR")
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolve git directory %s: %w", dir, err)
	}
	return abs, nil
}

// RemoteName returns the name of the git remote. Older git-annex does not tell
// it, or not yet in Init: then there is an error.
func (s *Session) RemoteName() (string, error) {
	if !s.job.agreed.has("GETGITREMOTENAME") {
		return "", errors.New("ask GETGITREMOTENAME: this git-annex does not offer it")
	}
	return s.askNonEmpty("GETGITREMOTENAME")
}

// Progress reports how many bytes of the transfer's file, from its beginning,
// are done. Reports that go back are dropped; others reach git-annex within a
// quarter of a second, the last one always, with the reply if not before: each
// line costs git-annex more than a small file costs us.
func (s *Session) Progress(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || bytes <= s.best {
		return
	}
	s.best = bytes
	wait := progressEvery - time.Since(s.sentAt)
	if wait <= 0 {
		s.sendProgress()
	} else if s.sendSoon == nil {
		s.sendSoon = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.over {
				s.sendProgress()
			}
		})
	}
}

// sendProgress sends the progress unless git-annex knows it. The caller holds
// mu.
func (s *Session) sendProgress() {
	if s.sendSoon != nil {
		s.sendSoon.Stop()
		s.sendSoon = nil
	}
	if s.best > s.sent {
		s.sent, s.sentAt = s.best, time.Now()
		s.write("PROGRESS " + strconv.FormatInt(s.best, 10))
	}
}

// Info shows a text to the user, or only to one who debugs where git-annex is
// too old for more.
func (s *Session) Info(text string) {
	if s.job.agreed.has("INFO") {
		s.say("INFO", text)
	} else {
		s.say("DEBUG", text)
	}
}

// Debug shows a text to a user who runs git-annex with --debug.
func (s *Session) Debug(text string) {
	s.say("DEBUG", text)
}

func (s *Session) say(command, text string) {
	if text = trim(text); text != "" {
		s.tell(command, text)
	}
}

// known is the availability in terms that this git-annex knows.
func (s *Session) known(a Availability) Availability {
	if a == Local || a == Unavailable && s.job.agreed.has("UNAVAILABLERESPONSE") {
		return a
	}
	return Global
}

func (s *Session) askNonEmpty(question string) (string, error) {
	reply, err := s.ask("VALUE", question)
	if err == nil && reply == "" {
		err = fmt.Errorf("ask %s: empty reply", question)
	}
	return reply, err
}

// ask sends a question and returns what follows the expected word in the reply.
func (s *Session) ask(expected, question string, params ...string) (string, error) {
	if err := s.begin(question, params...); err != nil {
		return "", err
	}
	defer s.end()
	return s.reply(expected, question)
}

// begin sends a question, when there is none. Unless it returns an error, there
// is none again after end.
func (s *Session) begin(question string, params ...string) error {
	select {
	case s.question <- struct{}{}:
	case <-s.ctx.Done():
		return fmt.Errorf("ask %s: %w", question, context.Cause(s.ctx))
	}
	s.job.setAsking(true)
	err := s.tell(question, params...)
	if err != nil {
		s.end()
	}
	return err
}

func (s *Session) end() {
	s.job.setAsking(false)
	<-s.question
}

// reply returns what follows the expected word in the next line of the reply.
func (s *Session) reply(expected, question string) (string, error) {
	line, err := s.job.await(s.ctx)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", question, err)
	}
	switch word, reply, _ := strings.Cut(line, " "); word {
	case expected:
		return reply, nil
	case "ERROR":
		return "", fmt.Errorf("ask %s: git-annex says: %s", question, reply)
	default:
		return "", fmt.Errorf("ask %s: unexpected reply %.40q", question, word)
	}
}

// tell sends a line that gets no reply. An empty parameter keeps its place.
func (s *Session) tell(command string, params ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errOver
	if !s.over {
		err = s.write(strings.Join(append([]string{command}, params...), " "))
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", command, err)
	}
	return nil
}

// finish sends the last progress and the reply, and is the end of the session.
// It waits for an open question, whose reply would else pass for a request.
func (s *Session) finish(reply []string) {
	s.question <- struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendProgress()
	s.over = true
	s.write(reply...)
}

// write sends lines of this job in one piece. The caller holds mu.
func (s *Session) write(lines ...string) error {
	tagged := make([]string, len(lines))
	for i, line := range lines {
		tagged[i] = s.job.prefix + line
	}
	return s.job.server.out.write(tagged...)
}
