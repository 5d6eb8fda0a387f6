package backends

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// A throttled backend is waited for this long; beyond that a call fails at once, since
	// other backends may serve better.
	maxWait = 10 * time.Second
	// How long a backend is left alone that asks for it without naming a time: the first
	// time, and at most.
	minPause = time.Second
	maxPause = time.Minute
	// The longest time that a backend may name: it must not be able to switch itself off.
	maxNamed = 15 * time.Minute
	// Times that a throttled operation is tried again.
	throttleTries = 2
	// Times that an operation which met a lock is tried again, and the pause before the first;
	// each is twice the one before.
	lockedTries = 6
	lockedPause = 20 * time.Millisecond

	// Failures in a row after which a backend counts as down.
	maxFailures = 4
	// How long a backend that is down is left alone: the first time, and at most.
	minRest = 10 * time.Second
	maxRest = 5 * time.Minute
	// How long a call waits for another one that looks whether the backend is back: what is
	// asked together shall not fail because one of it looks.
	maxLook = 2 * time.Second
)

// outcome is what a call tells of its backend.
type outcome int

const (
	silent   outcome = iota // nothing: the caller left, or nothing was asked
	answered                // it works, whatever it thinks of the file
	locked                  // it works, and is busy with this very file or directory
	slowed                  // it works, and asks to be left alone
	failed                  // it may be down
	down                    // it is: no connection, or the login is lost
)

// gate decides whether a backend may be used now: not while it asks to be left alone, and not
// while it is known to be down, but for one call now and then that looks whether it is back.
// Without it a dead account costs every object a connection timeout.
type gate struct {
	mu sync.Mutex

	quiet time.Time     // left alone until
	pause time.Duration // the last one of our own choice
	turn  int           // counts the pauses, so that calls of one time pause it once
	why   error         // it asked for that

	failures int
	cause    error         // it is down since; nil when it is not
	rest     time.Duration // the last time that it was left alone
	retry    time.Time     // no call before
	probing  chan struct{} // one call looks whether it is back; closed when it knows

	contact Contact
}

// Contact is when a backend last answered and last failed.
type Contact struct {
	Answered time.Time `json:"answered,omitzero"`
	Failed   time.Time `json:"failed,omitzero"`
	Failure  string    `json:"failure,omitempty"`
}

// pass is what a call got at the gate.
type pass struct {
	turn     int
	failures int // in a row, before the call
	probe    bool
}

// enter lets a call through, after a short wait if need be, or says why not.
func (g *gate) enter(ctx context.Context) (pass, error) {
	looked := false
	for {
		g.mu.Lock()
		now := time.Now()
		if probing := g.probing; probing != nil && !looked {
			g.mu.Unlock()
			looked = true
			if err := waitFor(ctx, probing, maxLook); err != nil {
				return pass{}, err
			}
			continue
		}
		if err := g.refusal(now); err != nil {
			g.mu.Unlock()
			return pass{}, err
		}
		left := g.quiet.Sub(now)
		if left <= 0 {
			p := pass{g.turn, g.failures, g.cause != nil}
			if p.probe {
				g.probing = make(chan struct{})
			}
			g.mu.Unlock()
			return p, nil
		}
		g.mu.Unlock()
		if err := sleep(ctx, left); err != nil {
			return pass{}, err
		}
	}
}

// ready says why a call would be refused.
func (g *gate) ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal(time.Now())
}

func (g *gate) refusal(now time.Time) error {
	if g.quiet.Sub(now) > maxWait {
		return &throttledError{g.why, g.quiet}
	}
	if g.cause != nil && (g.probing != nil || now.Before(g.retry)) {
		return &downError{g.cause, g.retry}
	}
	return nil
}

// leave notes what came of a call. Named is the time that a backend asked for, 0 for none;
// quiet is until when it is to be left alone.
func (g *gate) leave(p pass, o outcome, named time.Duration, err error) (quiet time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.probe {
		close(g.probing)
		g.probing = nil
	}
	switch o {
	case answered, locked, slowed:
		g.contact.Answered = time.Now()
		g.failures, g.cause, g.rest = 0, nil, 0
		if o == slowed {
			g.slow(p, named, err)
		} else if p.turn == g.turn {
			g.pause = 0
		}
	case failed, down:
		g.contact.Failed, g.contact.Failure = time.Now(), say(err)
		if p.failures == g.failures { // what fails at one time counts once
			g.failures++
		}
		open := g.cause != nil
		if open && p.probe || !open && (o == down || g.failures >= maxFailures) {
			g.rest = min(max(2*g.rest, minRest), maxRest)
			g.cause, g.retry = err, time.Now().Add(g.rest)
		}
	}
	return g.quiet
}

func (g *gate) slow(p pass, named time.Duration, err error) {
	if p.turn == g.turn { // else the call began before we knew
		g.turn++
		if named <= 0 {
			g.pause = min(max(2*g.pause, minPause), maxPause)
			named = g.pause
		}
	}
	if until := time.Now().Add(min(named, maxNamed)); until.After(g.quiet) {
		g.quiet, g.why = until, err
	}
}

// throttledError is the answer of a backend that asks to be left alone.
type throttledError struct {
	cause error
	until time.Time
}

func (e *throttledError) Error() string {
	left := max(0, time.Until(e.until)).Round(time.Second)
	return fmt.Sprintf("%s: throttled, asks to be left alone until %s (for %s)", say(e.cause), clock(e.until), seconds(left))
}

func (e *throttledError) Unwrap() error { return e.cause }
func (e *throttledError) fit()          {}

// downError is our own answer in place of a backend that is down.
type downError struct {
	cause error
	retry time.Time
}

func (e *downError) Error() string {
	return fmt.Sprintf("%s; not tried again before %s", say(e.cause), clock(e.retry))
}

func (e *downError) Unwrap() error { return e.cause }
func (e *downError) fit()          {}

func clock(t time.Time) string { return t.Format(time.TimeOnly) }

// seconds is d the way it is spoken of: 60s, not 1m0s.
func seconds(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }

func sleep(ctx context.Context, d time.Duration) error { return waitFor(ctx, nil, d) }

// waitFor waits until something is over, or for so long.
func waitFor(ctx context.Context, over <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
