package backends

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rclone/rclone/fs"
)

const (
	defaultTimeout   = 60 * time.Second
	defaultTransfers = 4

	// What failed sooner than this may be tried again at once.
	quick = 5 * time.Second
)

// Options of one backend.
type Options struct {
	Name      string        // of the layout; used in error texts
	Remote    string        // "section:path" or an absolute local path, already validated
	Upload    int64         // bytes per second, 0 = unlimited
	Download  int64         // bytes per second, 0 = unlimited
	Requests  float64       // per second, 0 = unlimited
	Transfers int           // concurrent Put and Get, 0 = 4; four times as many of small files
	Timeout   time.Duration // without an answer, or with almost no bytes; 0 = 60 s
	Link      *Link         // shared with other backends, nil for none
	Ledger    string        // prefix of the files by which processes share these limits; "" = each has its own
}

func (o *Options) ledger(of string) string {
	if o.Ledger == "" {
		return ""
	}
	return o.Ledger + "-" + of
}

// Rclone is a Store on one rclone remote.
type Rclone struct {
	name    string
	remote  string
	timeout time.Duration
	newFs   func(ctx context.Context) (fs.Fs, error)

	upload, download, requests *limiter
	slots, smallSlots          chan struct{} // one per running Put or Get
	stuck                      atomic.Int32  // calls that were left behind and still run
	gate                       gate
	litter                     litter
	handles                    handles
	made                       made
	checker                    checker

	mu     sync.Mutex
	link   *link    // nil until first used
	making *attempt // to connect, if one is under way
}

var _ Store = (*Rclone)(nil)

// Open returns the backend. It never touches the network: the connection is made at first
// use, kept, and shared by all operations.
func Open(opts Options) *Rclone {
	return openWith(opts, func(ctx context.Context) (fs.Fs, error) {
		// rclone's own tries again would wait as long as the provider likes, deaf to any context.
		// (What Setup sets stays in force for the parts of one upload.)
		ctx, ci := fs.AddConfig(ctx)
		ci.LowLevelRetries = 1
		return fs.NewFs(ctx, opts.Remote)
	})
}

func openWith(opts Options, newFs func(context.Context) (fs.Fs, error)) *Rclone {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Transfers <= 0 {
		opts.Transfers = defaultTransfers
	}
	if opts.Link == nil {
		opts.Link = &Link{}
	}
	return &Rclone{
		name:     opts.Name,
		remote:   opts.Remote,
		timeout:  opts.Timeout,
		newFs:    newFs,
		upload:   byteLimiter(opts.Upload).share(opts.ledger("upload")).over(opts.Link.upload),
		download: byteLimiter(opts.Download).share(opts.ledger("download")).over(opts.Link.download),
		requests: requestLimiter(opts.Requests).share(opts.ledger("requests")),
		slots:    make(chan struct{}, opts.Transfers),

		smallSlots: make(chan struct{}, 4*opts.Transfers),
	}
}

// Ready says, without a call, why one would be refused now: the backend is down, its login is
// lost, or it asks to be left alone. It is nil where a call may be tried.
func (r *Rclone) Ready() error {
	err := r.gate.ready()
	if err == nil && r.stuck.Load() >= maxStuck {
		err = errStuck
	}
	if err != nil {
		return r.explain("use", "", err)
	}
	return nil
}

// Contact returns when the backend last answered and last failed, as far as it was asked here.
func (r *Rclone) Contact() Contact {
	r.gate.mu.Lock()
	defer r.gate.mu.Unlock()
	return r.gate.contact
}

// do runs one operation on the connected remote and gives its error the text that users see.
// An operation that was throttled, or met a lock, is tried again.
func do[T any](ctx context.Context, r *Rclone, verb, name string,
	op func(ctx context.Context, f fs.Fs, j *Job) (T, error)) (T, error) {
	for try := 0; ; try++ {
		result, o, err := once(ctx, r, verb, op)
		switch {
		case err == nil:
			r.tidy()
			return result, nil
		case o == slowed && try < throttleTries:
			continue
		case o == locked && try < lockedTries && sleep(ctx, lockedPause<<try) == nil:
			continue
		}
		return result, r.explain(verb, name, err)
	}
}

// once runs an operation if the gate lets it, and tells the gate what came of it. What failed
// for a moment's reason is tried again at once, but never what has sent data: only the caller
// knows whether another backend serves better.
func once[T any](ctx context.Context, r *Rclone, verb string,
	op func(ctx context.Context, f fs.Fs, j *Job) (T, error)) (none T, o outcome, err error) {
	p, err := r.gate.enter(ctx)
	if err != nil {
		return none, silent, err
	}
	began := time.Now()
	result, sent, err := run(ctx, r, op)
	if !sent && isBlip(err) && ctx.Err() == nil && time.Since(began) < quick {
		result, _, err = run(ctx, r, op)
	}
	o, named := judge(ctx, verb, err)
	if o == down && isLogin(err, true) {
		err = &loginError{err, remedy(r.remote)}
	} else if advice := aboutCertificate(err); advice != "" {
		err = &advised{err, advice}
	}
	until := r.gate.leave(p, o, named, err)
	if o == slowed {
		err = &throttledError{err, until}
		if time.Until(until) > maxWait {
			r.drop()
		}
	}
	return result, o, err
}

// run runs an operation on the connected remote. Sent means that it has asked for data to store.
func run[T any](ctx context.Context, r *Rclone,
	op func(ctx context.Context, f fs.Fs, j *Job) (T, error)) (result T, sent bool, err error) {
	l, err := r.connected(ctx)
	if err != nil {
		return result, false, err
	}
	defer l.users.Done()
	if err := wait(ctx, r.requests, 1); err != nil {
		return result, false, err
	}
	var asked atomic.Bool
	result, err = call(ctx, r, func(ctx context.Context, j *Job) (T, error) {
		defer func() {
			if used, _ := j.state(); used {
				asked.Store(true)
			}
		}()
		return op(ctx, l.Fs, j)
	})
	return result, asked.Load(), err
}
