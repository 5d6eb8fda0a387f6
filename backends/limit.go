package backends

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/time/rate"
)

// maxStep is the most that is read in one go; without it one Read could be the whole file.
const maxStep = 64 << 10

// byteLimiter lets through a quarter of a second's bytes at a time, so that a slow link flows
// evenly and its waits stay far below the timeout.
func byteLimiter(perSecond int64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, maxStep)
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(min(max(perSecond/4, 1), maxStep)))
}

func requestLimiter(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

// errLate means that the caller's deadline comes before its turn.
var errLate = fmt.Errorf("the limits of the layout leave no time: %w", context.DeadlineExceeded)

func wait(ctx context.Context, l *rate.Limiter, n int) error {
	err := l.WaitN(ctx, n)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errLate
}

// smallFile is the largest that does not wait behind large ones: records decide how things
// go on.
const smallFile = 64 << 10

// acquire waits for a slot, but not where the call would be refused anyway.
func (r *Rclone) acquire(ctx context.Context, size int) (release func(), err error) {
	if err := r.gate.ready(); err != nil {
		return nil, err
	}
	slots := r.slots
	if size <= smallFile {
		slots = r.smallSlots
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// maxText bounds what a provider can make us print.
const maxText = 400

// fit is an error whose text is fit for users: one line without credentials.
type fit interface{ fit() }

// explained is a fit error that says which backend and operation it is about.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }
func (e *explained) fit()          {}

func (r *Rclone) explain(verb, name string, err error) error {
	text := r.name + ": " + verb
	if name != "" {
		text += " " + name
	}
	return &explained{text + ": " + say(err), err}
}

// say is the text of err, fit for users.
func say(err error) string {
	if _, ok := err.(fit); ok {
		return err.Error()
	}
	return clean(err.Error())
}

var (
	userinfo = regexp.MustCompile(`://[^\s"'/?#]*@`)
	query    = regexp.MustCompile(`(://[^\s"'?]*)\?[^\s"']*`) // may be a signature or a token
)

func clean(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = userinfo.ReplaceAllString(text, "://")
	text = strings.TrimSpace(query.ReplaceAllString(text, "$1"))
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}
