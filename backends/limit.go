package backends

import (
	"context"
	"regexp"
	"strings"

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

func wait(ctx context.Context, l *rate.Limiter, n int) error {
	err := l.WaitN(ctx, n)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return context.DeadlineExceeded // the wait would outlast the deadline
}

func (r *Rclone) acquire(ctx context.Context) error {
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Rclone) release() { <-r.slots }

// explained is an error whose text is fit for users: one line without credentials.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

func (r *Rclone) explain(verb, name string, err error) error {
	text := r.name + ": " + verb
	if name != "" {
		text += " " + name
	}
	return &explained{text + ": " + clean(err.Error()), err}
}

var (
	userinfo = regexp.MustCompile(`://[^\s"'/?#]*@`)
	query    = regexp.MustCompile(`(://[^\s"'?]*)\?[^\s"']*`) // may be a signature or a token
)

func clean(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = userinfo.ReplaceAllString(text, "://")
	return strings.TrimSpace(query.ReplaceAllString(text, "$1"))
}
