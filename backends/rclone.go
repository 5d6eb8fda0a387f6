package backends

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rclone/rclone/fs"
	"golang.org/x/time/rate"
)

const (
	defaultTimeout   = 60 * time.Second
	defaultTransfers = 4

	// A backend that could not be reached is not tried again for this long, so that a dead
	// account does not cost every object a connection timeout.
	reconnectAfter = 10 * time.Second
)

// Options of one backend.
type Options struct {
	Name      string        // of the layout; used in error texts
	Remote    string        // "section:path" or an absolute local path, already validated
	Upload    int64         // bytes per second, 0 = unlimited
	Download  int64         // bytes per second, 0 = unlimited
	Requests  float64       // per second, 0 = unlimited
	Transfers int           // concurrent Put and Get, 0 = 4
	Timeout   time.Duration // without a byte or an answer, 0 = 60 s
}

// Rclone is a Store on one rclone remote.
type Rclone struct {
	name    string
	timeout time.Duration
	newFs   func(ctx context.Context) (fs.Fs, error)

	upload, download, requests *rate.Limiter
	slots                      chan struct{} // one per running Put or Get
	stuck                      atomic.Int32  // calls that were left behind and still run

	mu     sync.Mutex
	fs     fs.Fs         // nil until first used
	making chan struct{} // closed when the attempt under way is over
	err    error         // why the last attempt went wrong
	retry  time.Time     // no new attempt before
}

var _ Store = (*Rclone)(nil)

// Open returns the backend. It never touches the network: the connection is made at first
// use, kept, and shared by all operations.
func Open(opts Options) *Rclone {
	return openWith(opts, func(ctx context.Context) (fs.Fs, error) {
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
	return &Rclone{
		name:     opts.Name,
		timeout:  opts.Timeout,
		newFs:    newFs,
		upload:   byteLimiter(opts.Upload),
		download: byteLimiter(opts.Download),
		requests: requestLimiter(opts.Requests),
		slots:    make(chan struct{}, opts.Transfers),
	}
}

// Close ends the connection. A later operation would make a new one.
func (r *Rclone) Close() error {
	r.mu.Lock()
	f := r.fs
	r.fs = nil
	r.mu.Unlock()
	if f == nil || f.Features().Shutdown == nil {
		return nil
	}
	_, err := call(context.Background(), r, func(ctx context.Context, _ *Job) (struct{}, error) {
		return struct{}{}, f.Features().Shutdown(ctx)
	})
	if err != nil {
		return r.explain("close", "", err)
	}
	return nil
}

// do runs one operation on the connected remote and gives its error the text that users see.
func do[T any](ctx context.Context, r *Rclone, verb, name string,
	op func(ctx context.Context, f fs.Fs, j *Job) (T, error)) (T, error) {
	result, err := func() (none T, err error) {
		f, err := r.remote(ctx)
		if err != nil {
			return none, err
		}
		if err := wait(ctx, r.requests, 1); err != nil {
			return none, err
		}
		return call(ctx, r, func(ctx context.Context, j *Job) (T, error) { return op(ctx, f, j) })
	}()
	if err != nil {
		return result, r.explain(verb, name, err)
	}
	return result, nil
}

// remote returns the connected Fs, waiting for the one attempt that all callers share.
func (r *Rclone) remote(ctx context.Context) (fs.Fs, error) {
	for waited := false; ; waited = true {
		r.mu.Lock()
		f, err, making := r.fs, r.err, r.making
		failed := err != nil && (waited || time.Now().Before(r.retry))
		if f == nil && !failed && making == nil {
			making = make(chan struct{})
			r.making = making
			go r.connect(making)
		}
		r.mu.Unlock()

		switch {
		case f != nil:
			return f, nil
		case failed:
			return nil, err
		}
		select {
		case <-making:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (r *Rclone) connect(made chan struct{}) {
	f, err := call(context.Background(), r, func(ctx context.Context, _ *Job) (fs.Fs, error) {
		// Some backends keep this context for refreshing their tokens: it must not end with the call.
		f, err := r.newFs(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err // rclone returns an Fs as well when the path is a file
		}
		return f, nil
	})
	r.mu.Lock()
	r.fs, r.err, r.making = f, err, nil
	if err != nil {
		r.retry = time.Now().Add(reconnectAfter)
	}
	r.mu.Unlock()
	close(made)
}
