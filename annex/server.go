package annex

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	maxLine = 1 << 20         // longest line accepted
	grace   = 5 * time.Second // given to running requests when the session ends
)

var (
	errEndOfInput = errors.New("end of input")
	errProtocol   = errors.New("protocol error")
)

// server is one session with git-annex.
//
// One goroutine reads. It hands each line to the job it belongs to: "" in the
// plain protocol, the job number in ASYNC. A job has a goroutine while it has
// a request to answer, and the lines that arrive meanwhile are the replies to
// the questions which that request asks.
type server struct {
	remote  Remote
	out     *output
	ctx     context.Context
	cancel  context.CancelCauseFunc
	running sync.WaitGroup

	mu      sync.Mutex
	agreed  extensions
	jobs    map[string]*job // those with a goroutine
	stopped bool            // no job may be started any more

	prepare preparation
}

// Serve speaks the protocol on r and w until end of input, ctx's end or a
// protocol error, and tells git-annex of the latter. Then it cancels the
// running calls and waits up to 5 s for them. It returns nil at end of input,
// else the cause: for ctx's end [context.Cause] of ctx.
//
// A Read of r cannot be interrupted: when ctx ends, the reading goroutine
// lives on until that Read returns, and what it read is ignored. So does the
// goroutine of a call that outlasts the 5 s, or of a Write that is stuck.
func Serve(ctx context.Context, r io.Reader, w io.Writer, remote Remote) error {
	sv := &server{remote: remote, jobs: make(map[string]*job)}
	sv.ctx, sv.cancel = context.WithCancelCause(ctx)
	sv.out = &output{w: w, fail: sv.cancel}
	go sv.read(r)
	<-sv.ctx.Done()
	sv.stop()
	if cause := context.Cause(sv.ctx); cause != errEndOfInput {
		return cause
	}
	return nil
}

// read greets git-annex and accepts its lines until one ends the session.
func (sv *server) read(r io.Reader) {
	sv.out.write("VERSION 1")
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine+len("\r\n"))
	lines.Split(splitLine)
	for sv.ctx.Err() == nil && lines.Scan() {
		if err := sv.accept(lines.Text()); err != nil {
			sv.cancel(err)
			return
		}
	}
	switch err := lines.Err(); {
	case err == nil:
		sv.cancel(errEndOfInput)
	case errors.Is(err, bufio.ErrTooLong):
		sv.cancel(fmt.Errorf("%w: line of more than %d bytes", errProtocol, maxLine))
	default:
		sv.cancel(fmt.Errorf("read request: %w", err))
	}
}

// accept hands a line to the job it belongs to. An error ends the session.
func (sv *server) accept(line string) error {
	command, rest, _ := strings.Cut(line, " ")
	if command == "EXTENSIONS" {
		return sv.negotiate(rest)
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if !sv.agreed.has("ASYNC") {
		return sv.deliver("", line)
	}
	if name, line, ok := cutJob(line); ok {
		return sv.deliver(name, line)
	}
	if command == "ERROR" {
		return sv.deliverError(rest)
	}
	return fmt.Errorf("%w: %.40q without a job number", errProtocol, command)
}

// negotiate answers which of the offered extensions will be used.
func (sv *server) negotiate(offered string) error {
	agreed := agree(offered)
	sv.mu.Lock()
	sv.agreed = agreed
	sv.mu.Unlock()
	return sv.out.write(strings.TrimSpace("EXTENSIONS " + strings.Join(agreed, " ")))
}

// deliver gives a line to a job, which it wakes if need be. It never waits, so
// that end of input is seen whatever the jobs do. The caller holds mu.
func (sv *server) deliver(name, line string) error {
	if sv.stopped {
		return nil
	}
	j := sv.jobs[name]
	if j == nil {
		j = &job{server: sv, name: name, agreed: sv.agreed, arrived: make(chan struct{}, 1)}
		if name != "" {
			j.prefix = "J " + name + " "
		}
		sv.jobs[name] = j
		sv.running.Go(j.run)
	}
	return j.put(line)
}

// deliverError takes an ERROR as the reply to the one question that is open:
// git-annex sends it without a job number even then. With none or several open
// nobody can tell whom it concerns. The caller holds mu.
func (sv *server) deliverError(text string) error {
	var asking []string
	for name, j := range sv.jobs {
		if j.asking {
			asking = append(asking, name)
		}
	}
	if len(asking) != 1 {
		return errorOfPeer(text)
	}
	return sv.deliver(asking[0], "ERROR "+text)
}

// errorOfPeer is the end of a session that git-annex gave up.
func errorOfPeer(text string) error {
	return fmt.Errorf("end session: git-annex says: %s", text)
}

// stop waits for the running jobs, but not for ever, and closes the output. A
// protocol error is the last thing that git-annex is told.
func (sv *server) stop() {
	sv.mu.Lock()
	sv.stopped = true
	sv.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		sv.running.Wait()
		if cause := context.Cause(sv.ctx); errors.Is(cause, errProtocol) {
			sv.out.write("ERROR " + cause.Error())
		}
	}()
	select {
	case <-done:
	case <-time.After(grace):
	}
	sv.out.close()
}
