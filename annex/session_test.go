package annex

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inStore runs a call inside a TRANSFER STORE of key k.
func inStore(t *testing.T, call func(ctx context.Context, s *Session) error, talk func(ctx context.Context, p *peer)) {
	t.Helper()
	converse(t, &fakeRemote{store: call}, func(ctx context.Context, p *peer) {
		p.send("EXTENSIONS INFO GETGITREMOTENAME", "TRANSFER STORE k /ab")
		p.expect("EXTENSIONS INFO GETGITREMOTENAME")
		talk(ctx, p)
	})
}

func TestProgress(t *testing.T) {
	var kept *Session
	call := func(_ context.Context, s *Session) error {
		kept = s
		time.Sleep(time.Millisecond / 2) // never at the same instant as a timer
		for i := range int64(1000) {
			s.Progress(10 + i)
			s.Progress(5)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Hour) // the last one must not wait that long
		s.Progress(2000)
		s.Progress(2001)
		s.Progress(-1)
		return errors.New("put shard: disk full")
	}
	inStore(t, call, func(_ context.Context, p *peer) {
		start := time.Now()
		p.expect("PROGRESS 259", "PROGRESS 509", "PROGRESS 759", "PROGRESS 1009")
		if d := time.Since(start); d != time.Second {
			t.Errorf("last progress after %v", d)
		}
		time.Sleep(2 * time.Hour)
		p.expect("PROGRESS 2000", "PROGRESS 2001", "TRANSFER-FAILURE STORE k put shard: disk full")
		kept.Progress(3000)
		kept.Info("late")
		kept.Debug("late")
		if _, err := kept.Config("a"); !errors.Is(err, errOver) && !errors.Is(err, context.Canceled) {
			t.Errorf("late Config returns %v", err)
		}
		if err := kept.SetConfig("a", "b"); !errors.Is(err, errOver) {
			t.Errorf("late SetConfig returns %v", err)
		}
		p.quiet()
	})
}

func TestProgressWaitingAtTheEnd(t *testing.T) {
	call := func(_ context.Context, s *Session) error { s.Progress(7); s.Progress(8); return nil }
	inStore(t, call, func(_ context.Context, p *peer) {
		p.expect("PROGRESS 8", "TRANSFER-SUCCESS STORE k")
		p.quiet()
	})
}

func TestParametersThatDoNotFit(t *testing.T) {
	call := func(_ context.Context, s *Session) error {
		_, noName := s.Config("")
		_, twoWords := s.Config("a b")
		_, _, credsTwoLines := s.Creds("a\nb")
		for i, err := range []error{
			noName, twoWords, credsTwoLines,
			s.SetConfig("a b", "c"), s.SetConfig("a", "b\nc"), s.SetConfig("a", "b\r"), s.SetConfig("a", "b\x00"),
			s.SetCreds("", "u", "p"), s.SetCreds("a", "u u", "p"), s.SetCreds("a", "u", "secret\nsecret"),
		} {
			if err == nil {
				t.Errorf("case %d works", i)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("case %d tells the password: %v", i, err)
			}
		}
		return s.SetConfig("a", "")
	}
	inStore(t, call, func(_ context.Context, p *peer) {
		p.expect("SETCONFIG a ", "PROGRESS 3", "TRANSFER-SUCCESS STORE k") // see fakeRemote
	})
}

// TestQuestionsAtOnce asks from several goroutines of one request, one of which
// the request does not wait for.
func TestQuestionsAtOnce(t *testing.T) {
	call := func(_ context.Context, s *Session) error {
		var asked sync.WaitGroup
		for range 3 {
			asked.Go(func() {
				if value, err := s.Config("a"); value != "v" || err != nil {
					t.Errorf("Config returns %q, %v", value, err)
				}
			})
		}
		asked.Wait()
		go s.Config("forgotten")
		synctest.Wait()
		return nil
	}
	inStore(t, call, func(_ context.Context, p *peer) {
		for i := range 3 {
			p.expect("GETCONFIG a")
			if i == 0 {
				p.expect("PROGRESS 3") // see fakeRemote
			}
			p.quiet()
			p.send("VALUE v")
		}
		p.expect("GETCONFIG forgotten")
		p.quiet()
		p.send("VALUE v")
		p.expect("TRANSFER-SUCCESS STORE k")
		p.send("GETCOST")
		p.expect("COST 225")
	})
}
