package annex

import (
	"context"
	"fmt"
	"strings"
)

const (
	maxWaiting = 64       // lines that may wait for one busy job
	maxReply   = 64 << 20 // bytes that may wait for one that asks
	lineCost   = 64       // of a line that waits, besides its bytes
)

// job answers the requests of one job number, one after another.
type job struct {
	server  *server
	name    string
	prefix  string // of every line sent
	agreed  extensions
	arrived chan struct{} // full once a line has come

	// guarded by server.mu
	waiting []string // lines, as they came
	cost    int      // of waiting
	asking  bool     // a question awaits its reply
}

// put has a line wait until the job takes it. While the job asks, many may: a
// list of URLs comes in faster than it is taken. The caller holds mu.
func (j *job) put(line string) error {
	if !j.asking && len(j.waiting) >= maxWaiting {
		return fmt.Errorf("%w: more than %d lines wait for one request", errProtocol, maxWaiting)
	}
	if j.asking && j.cost > maxReply {
		return fmt.Errorf("%w: more than %d MiB wait for one question", errProtocol, maxReply>>20)
	}
	j.waiting = append(j.waiting, line)
	j.cost += len(line) + lineCost
	select {
	case j.arrived <- struct{}{}:
	default:
	}
	return nil
}

// take returns the line that waits longest. The caller holds mu.
func (j *job) take() (line string, ok bool) {
	if len(j.waiting) == 0 {
		return "", false
	}
	line = j.waiting[0]
	j.waiting[0] = ""
	j.waiting = j.waiting[1:]
	j.cost -= len(line) + lineCost
	return line, true
}

// await returns the next line as soon as there is one.
func (j *job) await(ctx context.Context) (string, error) {
	for {
		j.server.mu.Lock()
		line, ok := j.take()
		j.server.mu.Unlock()
		if ok {
			return line, nil
		}
		select {
		case <-j.arrived:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// setAsking notes whether a question of this job is open.
func (j *job) setAsking(asking bool) {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	j.asking = asking
}

// run answers requests until none waits.
func (j *job) run() {
	for {
		line, ok := j.next()
		if !ok {
			return
		}
		if command, text, _ := strings.Cut(line, " "); command == "ERROR" {
			j.server.cancel(errorOfPeer(text))
			continue
		}
		j.serve(line)
	}
}

// next returns a waiting request, or takes the job from the table.
func (j *job) next() (string, bool) {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	if j.server.ctx.Err() == nil {
		if line, ok := j.take(); ok {
			return line, true
		}
	}
	delete(j.server.jobs, j.name)
	return "", false
}
