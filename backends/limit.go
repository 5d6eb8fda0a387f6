package backends

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"golang.org/x/time/rate"
)

// maxStep is the most that is read in one go; without it one Read could be the whole file.
const maxStep = 64 << 10

// limiter lets through so much a second, of this process or, with a ledger, of all that have the
// same one.
type limiter struct {
	*rate.Limiter
	ledger *ledger  // nil: of this process alone
	link   *limiter // of what all backends share, nil for nothing
}

// Link is what all backends of a machine share: its way to the network.
type Link struct {
	upload, download *limiter
}

// NewLink returns one that lets through so many bytes per second, 0 for any number, of all
// processes that name the same ledger (see Options).
func NewLink(upload, download int64, ledger string) *Link {
	o := Options{Ledger: ledger}
	return &Link{byteLimiter(upload).share(o.ledger("upload")), byteLimiter(download).share(o.ledger("download"))}
}

// byteLimiter lets through a quarter of a second's bytes at a time, so that a slow link flows
// evenly and its waits stay far below the timeout.
func byteLimiter(perSecond int64) *limiter {
	if perSecond <= 0 {
		return &limiter{Limiter: rate.NewLimiter(rate.Inf, maxStep)}
	}
	return &limiter{Limiter: rate.NewLimiter(rate.Limit(perSecond), int(min(max(perSecond/4, 1), maxStep)))}
}

func requestLimiter(perSecond float64) *limiter {
	if perSecond <= 0 {
		return &limiter{Limiter: rate.NewLimiter(rate.Inf, 1)}
	}
	return &limiter{Limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
}

// share makes a limit one of all processes that name the same file. Where that cannot be it
// stays one of this process.
func (l *limiter) share(file string) *limiter {
	if file != "" && l.Limiter.Limit() != rate.Inf {
		l.ledger = &ledger{path: file}
	}
	return l
}

// over makes a limit hold beside that of the link.
func (l *limiter) over(link *limiter) *limiter {
	l.link = link
	return l
}

// Burst is how much may be let through in one go.
func (l *limiter) Burst() int {
	if l.link == nil {
		return l.Limiter.Burst()
	}
	return min(l.Limiter.Burst(), l.link.Burst())
}

// Limit is per second.
func (l *limiter) Limit() rate.Limit {
	if l.link == nil {
		return l.Limiter.Limit()
	}
	return min(l.Limiter.Limit(), l.link.Limit())
}

// WaitN waits until n more may be let through, n being at most Burst.
func (l *limiter) WaitN(ctx context.Context, n int) error {
	err := l.waitOwn(ctx, n)
	if err == nil && l.link != nil {
		err = l.link.waitOwn(ctx, n)
	}
	return err
}

func (l *limiter) waitOwn(ctx context.Context, n int) error {
	if l.ledger == nil {
		return l.Limiter.WaitN(ctx, n)
	}
	each := float64(time.Second) / float64(l.Limiter.Limit())
	cost, burst := time.Duration(each*float64(n)), time.Duration(each*float64(l.Limiter.Burst()))
	left, err := l.ledger.take(cost, burst)
	if err != nil {
		return l.Limiter.WaitN(ctx, n)
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < left {
		err = context.DeadlineExceeded
	} else {
		err = sleep(ctx, left)
	}
	if err != nil {
		l.ledger.take(-cost, burst)
	}
	return err
}

// close closes the ledger, which a later use would open again.
func (l *limiter) close() {
	if l.ledger != nil {
		l.ledger.close()
	}
}

// errLate means that the caller's deadline comes before its turn.
var errLate = fmt.Errorf("the limits of the layout leave no time: %w", context.DeadlineExceeded)

func wait(ctx context.Context, l *limiter, n int) error {
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
