package annex

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

const unsupported = "UNSUPPORTED-REQUEST"

// preparation is the one call of Prepare and its outcome.
type preparation struct {
	mu   sync.Mutex
	done bool
	err  error
}

// serve answers one request line.
func (j *job) serve(line string) {
	ctx, cancel := context.WithCancel(j.server.ctx)
	defer cancel()
	s := newSession(ctx, j)
	reply := []string{unsupported}
	if req, ok := parseRequest(line); ok {
		reply = j.server.answer(ctx, s, req)
	}
	s.finish(reply)
}

// answer has the Remote do what was requested and returns the reply's lines,
// none for EXPORT. It does not panic.
func (sv *server) answer(ctx context.Context, s *Session, req request) (reply []string) {
	defer func() {
		if p := recover(); p != nil {
			s.Debug(fmt.Sprintf("panic in %s: %v: %s", req.command, p, debug.Stack()))
			reply = req.failure(fmt.Errorf("answer %s: panic: %v", req.command, p))
		}
	}()
	switch req.command {
	case "INITREMOTE":
		return req.outcome(sv.remote.Init(ctx, s))
	case "PREPARE":
		return req.outcome(sv.prepareOnce(ctx, s))
	case "TRANSFER":
		return req.outcome(sv.transfer(ctx, s, req))
	case "CHECKPRESENT":
		present, err := sv.remote.Present(ctx, s, req.key)
		if err == nil && !present {
			return []string{"CHECKPRESENT-FAILURE " + string(req.key)}
		}
		return req.outcome(err)
	case "REMOVE":
		return req.outcome(sv.remote.Remove(ctx, s, req.key))
	}
	return sv.describe(ctx, s, req)
}

// describe answers the requests that only want to know something.
func (sv *server) describe(ctx context.Context, s *Session, req request) []string {
	switch req.command {
	case "WHEREIS":
		where, ok := sv.remote.Whereis(ctx, s, req.key)
		if where = trim(where); ok && where != "" {
			return []string{"WHEREIS-SUCCESS " + where}
		}
		return []string{"WHEREIS-FAILURE"}
	case "GETINFO":
		fields, err := sv.remote.Info(ctx, s)
		if err != nil {
			s.Debug("GETINFO: " + errorText(err))
			return req.failure(err)
		}
		return infoLines(fields)
	case "LISTCONFIGS":
		return configLines(sv.remote.Configs())
	case "GETCOST":
		return []string{"COST " + strconv.Itoa(sv.remote.Cost())}
	case "GETAVAILABILITY":
		return []string{"AVAILABILITY " + string(s.known(sv.remote.Availability()))}
	case "GETORDERED":
		return []string{"ORDERED"}
	case "CLAIMURL":
		return sv.claimURL(req.url)
	case "CHECKURL":
		return sv.checkURL(ctx, s, req)
	case "EXPORTSUPPORTED":
		return []string{"EXPORTSUPPORTED-FAILURE"}
	case "EXPORT": // only names the file of the request that follows
		return nil
	}
	return []string{unsupported}
}

// prepareOnce calls Prepare for the first PREPARE and repeats its outcome to
// any other, also to one that comes while the first is under way.
func (sv *server) prepareOnce(ctx context.Context, s *Session) error {
	p := &sv.prepare
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done {
		p.done = true
		p.err = errors.New("prepare: panic in an earlier PREPARE")
		p.err = sv.remote.Prepare(ctx, s)
	}
	return p.err
}

// transfer stores or retrieves. The path in the request is relative to the
// working directory, which the Remote need not know.
func (sv *server) transfer(ctx context.Context, s *Session, req request) error {
	file, err := filepath.Abs(req.file)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", req.file, err)
	}
	if req.direction == "STORE" {
		return sv.remote.Store(ctx, s, req.key, file)
	}
	return sv.remote.Retrieve(ctx, s, req.key, file)
}

// outcome is the reply to a request that succeeds unless there is an error.
func (req request) outcome(err error) []string {
	if err != nil {
		return req.failure(err)
	}
	return []string{join(req.command+"-SUCCESS", req.direction, string(req.key))}
}

// failure is the reply to a request that came to an error. Not every request
// has room for a text.
func (req request) failure(err error) []string {
	switch req.command {
	case "INITREMOTE", "PREPARE", "TRANSFER", "REMOVE", "CHECKURL":
		return []string{join(req.command+"-FAILURE", req.direction, string(req.key), errorText(err))}
	case "CHECKPRESENT": // -FAILURE would claim absence
		return []string{join("CHECKPRESENT-UNKNOWN", string(req.key), errorText(err))}
	case "WHEREIS", "CLAIMURL":
		return []string{req.command + "-FAILURE"}
	case "GETINFO":
		return []string{"INFOEND"}
	}
	return []string{unsupported}
}

// infoLines keeps each value right behind its field, as git-annex demands.
func infoLines(fields []Field) []string {
	var lines []string
	for _, f := range fields {
		lines = append(lines, "INFOFIELD "+f.Name, "INFOVALUE "+f.Value)
	}
	return append(lines, "INFOEND")
}

func configLines(configs []Config) []string {
	var lines []string
	for _, c := range configs {
		lines = append(lines, "CONFIG "+c.Name+" "+c.Description)
	}
	return append(lines, "CONFIGEND")
}

// errorText is an error's text in one line, never empty. Sprint, unlike
// Error, survives an error value whose method panics.
func errorText(err error) string {
	if text := trim(fmt.Sprint(err)); text != "" {
		return text
	}
	return "error without a text"
}

// trim makes a text one line without spaces around it.
func trim(text string) string {
	return strings.TrimSpace(oneLine(text))
}
