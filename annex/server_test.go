package annex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const async = "EXTENSIONS INFO ASYNC GETGITREMOTENAME"

func TestEndOfInputCancelsRequests(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		p.send(async)
		p.expect(async[:16] + "ASYNC GETGITREMOTENAME")
		p.send("J 1 REMOVE config-a")
		p.expect("J 1 GETCONFIG a")
		p.send("J 2 REMOVE wait")
		synctest.Wait() // else the request may be dropped unread
		p.hangUp()
		got := []string{}
		for range 2 {
			line, _ := p.next()
			got = append(got, line)
		}
		slices.Sort(got)
		want := []string{
			"J 1 REMOVE-FAILURE config-a ask GETCONFIG: end of input value",
			"J 2 REMOVE-FAILURE wait end of input",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := p.end(); err != nil {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestEndOfInputWithLinesWaiting(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		p.send("REMOVE wait")
		synctest.Wait()
		p.send("GETCOST", "REMOVE k")
		p.hangUp()
		p.expect("REMOVE-FAILURE wait end of input")
		if err := p.end(); err != nil {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestCutOffLineIsNoRequest(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		io.WriteString(p.in, "REMOVE SHA256E-s3--a")
		p.hangUp()
		if err := p.end(); err != nil {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestContextEnd(t *testing.T) {
	cause := errors.New("SIGTERM")
	for _, line := range []string{"", "REMOVE wait", "REMOVE config-a"} {
		converse(t, &fakeRemote{}, func(ctx context.Context, p *peer) {
			if line != "" {
				p.send(line)
				synctest.Wait()
			}
			terminate(ctx, cause)
			for range p.lines {
			}
			if err := <-p.served; err != cause {
				t.Errorf("%q: Serve returns %v, want %v", line, err, cause)
			}
		})
	}
}

func TestStuckRequestIsNotWaitedForLong(t *testing.T) {
	var late error
	stuck := func(_ context.Context, s *Session) error {
		time.Sleep(time.Minute)
		late = s.SetConfig("a", "b")
		return nil
	}
	converse(t, &fakeRemote{prepare: stuck}, func(_ context.Context, p *peer) {
		start := time.Now()
		p.send("PREPARE")
		synctest.Wait()
		p.hangUp()
		if err := <-p.served; err != nil || time.Since(start) != grace {
			t.Errorf("Serve returns %v after %v", err, time.Since(start))
		}
		p.quiet()
		time.Sleep(time.Hour)
		synctest.Wait()
		if late == nil || !strings.Contains(late.Error(), "output is closed") {
			t.Errorf("SetConfig after Serve returned: %v", late)
		}
	})
}

func TestLongLines(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		longest := strings.Repeat("k", maxLine-len("REMOVE "))
		p.send("REMOVE " + longest)
		p.expect("REMOVE-SUCCESS ...")
		p.send("REMOVE config-a")
		p.expect("GETCONFIG a")
		go io.WriteString(p.in, "VALUE "+longest+"kkkkkkkkk") // no end of line yet
		p.expect("REMOVE-FAILURE config-a ask GETCONFIG: protocol error: line of more than 1048576 bytes value")
		p.expect("ERROR protocol error: line of more than 1048576 bytes")
		if err := p.end(); !errors.Is(err, errProtocol) {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestFlood(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		p.send("REMOVE wait")
		synctest.Wait()
		for range maxWaiting + 1 {
			p.send("GETCOST")
		}
		p.expect("REMOVE-FAILURE wait ...", "ERROR protocol error: more than 64 lines wait for one request")
		if err := p.end(); !errors.Is(err, errProtocol) {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestFloodAfterAQuestion(t *testing.T) {
	prepare := func(ctx context.Context, s *Session) error {
		s.Config("a")
		<-ctx.Done()
		return ctx.Err()
	}
	converse(t, &fakeRemote{prepare: prepare}, func(_ context.Context, p *peer) {
		p.send("PREPARE")
		p.expect("GETCONFIG a")
		p.send("VALUE v")
		synctest.Wait()
		for range maxWaiting + 1 {
			p.send("GETCOST")
		}
		p.expect("PREPARE-FAILURE ...", "ERROR protocol error: more than 64 lines wait for one request")
		if err := p.end(); !errors.Is(err, errProtocol) {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestPipelinedRequests(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		p.send("EXTENSIONS INFO", "PREPARE", "GETCOST", "CHECKPRESENT k")
		p.expect("EXTENSIONS INFO", "PREPARE-SUCCESS", "COST 225", "CHECKPRESENT-SUCCESS k")
	})
}

func TestErrorWithTwoOpenQuestions(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		p.send("EXTENSIONS ASYNC", "J 1 REMOVE config-a")
		p.expect("EXTENSIONS ASYNC", "J 1 GETCONFIG a")
		p.send("J 2 REMOVE config-b")
		p.expect("J 2 GETCONFIG b")
		p.send("ERROR which")
		for range p.lines {
		}
		if err := <-p.served; err == nil || !strings.Contains(err.Error(), "which") {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestPrepareOnce(t *testing.T) {
	prepare := func(context.Context, *Session) error { time.Sleep(time.Second); panic("boom") }
	remote := &fakeRemote{prepare: prepare}
	converse(t, remote, func(_ context.Context, p *peer) {
		p.send("EXTENSIONS ASYNC")
		p.expect("EXTENSIONS ASYNC")
		p.send("J 1 PREPARE")
		synctest.Wait()
		p.send("J 1 PREPARE", "J 1 GETCOST")
		p.expect("J 1 DEBUG panic in PREPARE: boom: ...", "J 1 PREPARE-FAILURE answer PREPARE: panic: boom")
		p.expect("J 1 PREPARE-FAILURE ...", "J 1 COST 225")
		if n := remote.prepared.Load(); n != 1 {
			t.Errorf("Prepare called %d times", n)
		}
	})
}

// TestManyJobs has 40 jobs ask at once and each answered with its own value.
func TestManyJobs(t *testing.T) {
	converse(t, &fakeRemote{}, func(_ context.Context, p *peer) {
		p.send("EXTENSIONS ASYNC")
		p.expect("EXTENSIONS ASYNC")
		const jobs, rounds = 40, 25
		for i := range jobs {
			p.send(fmt.Sprintf("J %d REMOVE config-%d", i, i))
		}
		for left := jobs * rounds; left > 0; {
			line, ok := p.next()
			if !ok {
				t.Fatal("no line")
			}
			var job, name, value int
			if n, _ := fmt.Sscanf(line, "J %d GETCONFIG %d", &job, &name); n == 2 && job == name {
				p.send(fmt.Sprintf("J %d VALUE %d", job, job*7))
				continue
			}
			n, _ := fmt.Sscanf(line, "J %d REMOVE-FAILURE config-%d value %d", &job, &name, &value)
			if n != 3 || job != name || value != job*7 {
				t.Fatalf("got line %q", line)
			}
			if left--; left >= jobs {
				p.send(fmt.Sprintf("J %d REMOVE config-%d", job, job))
			}
		}
	})
}

type brokenPipe struct{ left int }

func (w *brokenPipe) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestBrokenOutput(t *testing.T) {
	for left := range 3 {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			in, peer := io.Pipe()
			defer in.Close()
			go io.WriteString(peer, "PREPARE\nREMOVE config-a\n")
			err := Serve(t.Context(), in, &brokenPipe{left}, &fakeRemote{})
			if !errors.Is(err, io.ErrClosedPipe) || time.Since(start) != 0 {
				t.Errorf("after %d writes Serve returns %v in %v", left, err, time.Since(start))
			}
		})
	}
}

func TestBrokenInput(t *testing.T) {
	in, peer := io.Pipe()
	peer.CloseWithError(io.ErrNoProgress)
	if err := Serve(t.Context(), in, io.Discard, &fakeRemote{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("Serve returns %v", err)
	}
}

// TestNoGoroutineStays counts them in real time; converse does so in fake time.
func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	var sessions sync.WaitGroup
	for range 20 {
		sessions.Go(func() {
			in := strings.NewReader("EXTENSIONS ASYNC\nJ 1 REMOVE wait\nJ 2 REMOVE config-a\nJ 3 TRANSFER STORE k f\n")
			if err := Serve(t.Context(), in, io.Discard, &fakeRemote{}); err != nil {
				t.Errorf("Serve returns %v", err)
			}
		})
	}
	sessions.Wait()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
