package backends

import (
	"context"
	"crypto/x509"
	"errors"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rclone/rclone/fs"
)

// link is a connection that operations share.
type link struct {
	fs.Fs
	users sync.WaitGroup
}

// attempt is one attempt to connect, which all callers share.
type attempt struct {
	over chan struct{} // closed when it is
	err  error
}

// unreachable is why a connection could not be made.
type unreachable struct{ cause error }

func (e *unreachable) Error() string { return say(e.cause) }
func (e *unreachable) Unwrap() error { return e.cause }
func (e *unreachable) fit()          {}

// connected returns the connection, which the caller has to leave, and makes it if need be.
func (r *Rclone) connected(ctx context.Context) (*link, error) {
	for {
		r.mu.Lock()
		l, a := r.link, r.making
		if l != nil {
			l.users.Add(1)
		} else if a == nil {
			a = &attempt{over: make(chan struct{})}
			r.making = a
			go r.connect(a)
		}
		r.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-a.over:
			if a.err != nil {
				return nil, &unreachable{a.err}
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (r *Rclone) connect(a *attempt) {
	f, err := call(context.Background(), r, func(ctx context.Context, _ *Job) (fs.Fs, error) {
		// Some backends keep this context for refreshing their tokens: it must not end with the call.
		ctx = context.WithoutCancel(ctx)
		f, err := r.newFs(ctx)
		if f != nil && errors.Is(err, fs.ErrorIsFile) {
			f, err = r.guessed(ctx, f)
		}
		if err != nil {
			return nil, err
		}
		return f, nil
	})
	r.mu.Lock()
	if a.err = err; err == nil {
		r.link = &link{Fs: f}
	}
	r.making = nil
	r.mu.Unlock()
	close(a.over)
}

// guessed is for where rclone calls the path a file, of which it returns what is above. On S3
// (rclone v1.76, backend/s3) it only guesses so of whatever it may not ask for: a wrong key would
// look like a wrong path.
func (r *Rclone) guessed(ctx context.Context, above fs.Fs) (fs.Fs, error) {
	name := path.Base(r.remote)
	name = name[strings.LastIndexByte(name, ':')+1:] // section:name
	switch _, err := find(ctx, above, name); err {
	case nil:
		return nil, fs.ErrorIsFile
	case ErrNotFound: // no file, and what was wrong is over
		return r.newFs(ctx)
	default:
		return nil, err
	}
}

// drop lets a connection go when its last user has left. A throttled one must go, since rclone
// would make the next call wait for as long as the provider has said, be it a year.
func (r *Rclone) drop() {
	if l := r.unlink(); l != nil && l.Features().Shutdown != nil {
		go func() {
			l.users.Wait()
			_ = r.shutdown(l)
		}()
	}
}

func (r *Rclone) unlink() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.link
	r.link = nil
	return l
}

// Close removes leftovers of failed Puts, as far as that goes quickly, and ends the
// connection. A later operation would make a new one.
func (r *Rclone) Close() error {
	r.lastTidy()
	for _, l := range []*limiter{r.upload, r.download, r.requests} {
		l.close()
	}
	l := r.unlink()
	if l == nil || l.Features().Shutdown == nil {
		return nil
	}
	if err := r.shutdown(l); err != nil {
		return r.explain("close", "", err)
	}
	return nil
}

func (r *Rclone) shutdown(l *link) error {
	_, err := call(context.Background(), r, func(ctx context.Context, _ *Job) (struct{}, error) {
		return struct{}{}, l.Features().Shutdown(ctx)
	})
	return err
}

// loginError says how to log in again.
type loginError struct {
	cause  error
	remedy string
}

func (e *loginError) Error() string {
	text := say(e.cause)
	if e.remedy == "" || strings.Contains(text, e.remedy) {
		return text
	}
	return text + ": log in again: " + e.remedy
}

func (e *loginError) Unwrap() error { return e.cause }
func (e *loginError) fit()          {}

// keyed are the types with a key of the user's, which rclone asks something when they are set up,
// but no login.
var keyed = map[string]bool{"s3": true, "storj": true, "tardigrade": true}

// remedy is the command that renews the login of a remote, "" for a local directory.
func remedy(remote string) string {
	section, _, ok := strings.Cut(remote, ":")
	if !ok || section == "" || filepath.IsAbs(remote) {
		return ""
	}
	kind := SectionType(section)
	if info, err := fs.Find(kind); keyed[kind] || err == nil && info.Config == nil {
		return "rclone config update " + quoteWord(section) + " ..." // has a password, or the like
	}
	return "rclone config reconnect " + quoteWord(section+":")
}

// aboutCertificate says what to do where a server's certificate is refused, "" where it is not.
func aboutCertificate(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "renew the certificate of the server, or set the clock of this machine"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "if it is the right server, let RCLONE_CA_CERT name a file with the certificate of its authority"
	}
	return ""
}

// advised is an error with what to do about it.
type advised struct {
	cause  error
	advice string
}

func (e *advised) Error() string { return say(e.cause) + ": " + e.advice }
func (e *advised) Unwrap() error { return e.cause }
func (e *advised) fit()          {}
