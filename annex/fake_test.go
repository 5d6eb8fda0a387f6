package annex

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	neturl "net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeRemote does what the key tells it to.
type fakeRemote struct {
	init, prepare, store func(ctx context.Context, s *Session) error
	prepared             atomic.Int32
	availability         Availability
	infoErr              error
	openLists            atomic.Int32 // of URLs, that did not come to their end
}

func (f *fakeRemote) Configs() []Config {
	return []Config{{"layout", "the layout\nfile"}, {"recipients", ""}}
}

func (f *fakeRemote) Init(ctx context.Context, s *Session) error {
	if f.init != nil {
		return f.init(ctx, s)
	}
	value, err := s.Config("layout")
	if err != nil {
		return err
	}
	return s.SetConfig("layout", value+"!")
}

func (f *fakeRemote) Prepare(ctx context.Context, s *Session) error {
	f.prepared.Add(1)
	if f.prepare != nil {
		return f.prepare(ctx, s)
	}
	return nil
}

func (f *fakeRemote) Store(ctx context.Context, s *Session, key Key, file string) error {
	s.Progress(int64(len(file)))
	if f.store != nil {
		return f.store(ctx, s)
	}
	return f.act(ctx, s, key, file)
}

func (f *fakeRemote) Retrieve(ctx context.Context, s *Session, key Key, file string) error {
	return f.act(ctx, s, key, file)
}

func (f *fakeRemote) Present(ctx context.Context, s *Session, key Key) (bool, error) {
	return key != "absent", f.act(ctx, s, key, "")
}

func (f *fakeRemote) Remove(ctx context.Context, s *Session, key Key) error {
	return f.act(ctx, s, key, "")
}

func (f *fakeRemote) Whereis(ctx context.Context, s *Session, key Key) (string, bool) {
	return "6/6 shards\non a b", f.act(ctx, s, key, "") == nil
}

func (f *fakeRemote) Info(ctx context.Context, s *Session) ([]Field, error) {
	return []Field{{"layout", "4+2"}, {"repairs", ""}}, f.infoErr
}

func (f *fakeRemote) Cost() int { return 225 }

func (f *fakeRemote) Availability() Availability { return f.availability }

// nilError panics when asked for its text.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func (f *fakeRemote) act(ctx context.Context, s *Session, key Key, file string) error {
	word, param, _ := strings.Cut(string(key), "-")
	switch word {
	case "broken":
		return errors.New("put shard: no\r\nTRANSFER-SUCCESS STORE k\x00\n")
	case "empty":
		return errors.New("\n")
	case "nil":
		return (*nilError)(nil)
	case "panic":
		panic("boom\nboom")
	case "file":
		return errors.New(file)
	case "wait":
		<-ctx.Done()
		return context.Cause(ctx)
	case "info":
		s.Info("stored 5/6\nshards")
		s.Info("\n")
		s.Debug("done")
	case "config":
		value, err := s.Config(param)
		return errors.Join(err, fmt.Errorf("value %s", value))
	case "creds":
		user, password, err := s.Creds(param)
		return errors.Join(err, fmt.Errorf("user %q password %q", user, password), s.SetCreds(param, "", password))
	case "uuid":
		uuid, err := s.UUID()
		return errors.Join(err, fmt.Errorf("uuid %s", uuid))
	case "dir":
		dir, err := s.GitDir()
		return errors.Join(err, fmt.Errorf("dir %s", dir))
	case "name":
		name, err := s.RemoteName()
		return errors.Join(err, fmt.Errorf("name %s", name))
	case "urls":
		f.openLists.Add(1)
		urls, err := s.URLs("k", param)
		if err == nil {
			f.openLists.Add(-1)
		}
		for _, url := range urls {
			s.Debug(fmt.Sprintf("url %q", url))
			s.SetURIMissing("k", url)
		}
		return errors.Join(err, fmt.Errorf("%d urls", len(urls)))
	case "set":
		return errors.Join(s.SetURLPresent("k", param), s.SetURLMissing("k", param),
			s.SetURIPresent("k", param), s.SetURIMissing("k", param), errors.New("all set"))
	}
	return nil
}

// urlRemote has URLs "is:" and the contents, each URL|SIZE|NAME with %XX where
// need be, and a ";" after each.
type urlRemote struct{ fakeRemote }

func (r *urlRemote) ClaimURL(url string) bool {
	if url == "panic" {
		panic("boom")
	}
	return strings.HasPrefix(url, "is:")
}

// CheckURL does with other URLs what they tell it to.
func (r *urlRemote) CheckURL(ctx context.Context, s *Session, url string) (contents []Content, err error) {
	list, ok := strings.CutPrefix(url, "is:")
	if !ok {
		return nil, r.act(ctx, s, Key(url), "")
	}
	for part := range strings.SplitAfterSeq(list, ";") {
		part, whole := strings.CutSuffix(part, ";")
		if !whole {
			continue
		}
		fields := append(strings.Split(part, "|"), "", "")
		var c Content
		c.URL, _ = neturl.PathUnescape(fields[0])
		c.Name, _ = neturl.PathUnescape(fields[2])
		if c.Size, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
			return nil, err
		}
		contents = append(contents, c)
	}
	return contents, nil
}

// peer plays git-annex.
type peer struct {
	t      *testing.T
	in     *io.PipeWriter
	lines  chan string
	served chan error
}

// converse runs a talk in a bubble of fake time, where a missing line costs no
// time and a goroutine left behind fails the test.
func converse(t *testing.T, remote Remote, talk func(ctx context.Context, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		inR, inW := io.Pipe()
		outR, outW := io.Pipe()
		p := &peer{t: t, in: inW, lines: make(chan string, 1000), served: make(chan error, 1)}
		go func() {
			p.served <- Serve(ctx, inR, outW, remote)
			outW.Close()
		}()
		go func() {
			defer close(p.lines)
			lines := bufio.NewScanner(outR)
			lines.Buffer(nil, 2*maxLine)
			for lines.Scan() {
				p.lines <- lines.Text()
			}
		}()
		defer time.Sleep(24 * time.Hour) // no sleeper is a leak
		defer inW.Close()
		p.expect("VERSION 1")
		talk(context.WithValue(ctx, cancelKey{}, cancel), p)
	})
}

type cancelKey struct{}

// terminate ends the context given to Serve.
func terminate(ctx context.Context, cause error) {
	ctx.Value(cancelKey{}).(context.CancelCauseFunc)(cause)
}

func (p *peer) send(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(p.in, line+"\n"); err != nil {
			p.t.Fatalf("send %q: %v", line, err)
		}
	}
}

func (p *peer) next() (line string, ok bool) {
	select {
	case line, ok = <-p.lines:
		return line, ok
	case <-time.After(time.Minute):
		return "", false
	}
}

// expect wants lines in this order; " ..." at an end stands for any rest.
func (p *peer) expect(lines ...string) {
	p.t.Helper()
	for _, want := range lines {
		got, ok := p.next()
		prefix, open := strings.CutSuffix(want, " ...")
		if !ok || got != want && !(open && strings.HasPrefix(got, prefix)) {
			p.t.Fatalf("got line %q, want %q", got, want)
		}
	}
}

// quiet wants nothing more to come while the session goes on.
func (p *peer) quiet() {
	p.t.Helper()
	if line, ok := p.next(); ok {
		p.t.Fatalf("got line %q, want none", line)
	}
}

// end wants Serve to return, after no further line.
func (p *peer) end() error {
	p.t.Helper()
	select {
	case err := <-p.served:
		if line, ok := p.next(); ok {
			p.t.Errorf("got line %q, want none", line)
		}
		return err
	case <-time.After(time.Minute):
		p.t.Fatal("Serve does not return")
		return nil
	}
}

// hangUp ends the input.
func (p *peer) hangUp() { p.in.Close() }
