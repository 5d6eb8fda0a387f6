package annex

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// list is a reply of n URLs; each line begins with the tag.
func list(tag string, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%sVALUE x:%s%d\n", tag, tag, i)
	}
	return text.String() + tag + "VALUE \n"
}

// checkList wants the URLs of list.
func checkList(t *testing.T, got []string, err error, tag string, n int) {
	t.Helper()
	if err != nil || len(got) != n || n > 0 && (got[0] != "x:"+tag+"0" || got[n-1] != fmt.Sprint("x:", tag, n-1)) {
		t.Errorf("URLs returns %d of %d URLs: %.100q, %v", len(got), n, got, err)
	}
}

func TestURLs(t *testing.T) {
	call := func(_ context.Context, s *Session) error {
		for _, n := range []int{0, 1, maxWaiting, maxWaiting + 1, maxURLs} {
			urls, err := s.URLs("k", "x:")
			checkList(t, urls, err, "", n)
		}
		urls, err := s.URLs("k", "")
		if len(urls) != 0 || err == nil || !strings.Contains(err.Error(), "10001 URLs of 58897 bytes are too many") {
			t.Errorf("URLs returns %d URLs of too many, %v", len(urls), err)
		}
		urls, err = s.URLs("k", "")
		checkList(t, urls, err, "", 3)
		return nil
	}
	inStore(t, call, func(_ context.Context, p *peer) {
		for _, n := range []int{0, 1, maxWaiting, maxWaiting + 1, maxURLs} {
			p.expect("GETURLS k x:")
			if n == 0 {
				p.expect("PROGRESS 3") // see fakeRemote
			}
			io.WriteString(p.in, list("", n))
		}
		p.expect("GETURLS k ")
		io.WriteString(p.in, list("", maxURLs+1))
		p.expect("GETURLS k ")
		io.WriteString(p.in, list("", 3))
		p.expect("TRANSFER-SUCCESS STORE k")
		p.send("GETCOST")
		p.expect("COST 225")
	})
}

func TestURLsOfTooManyBytes(t *testing.T) {
	long := "VALUE " + strings.Repeat("u", maxLine-len("VALUE "))
	call := func(_ context.Context, s *Session) error {
		urls, err := s.URLs("k", "")
		return errors.Join(err, fmt.Errorf("%d urls", len(urls)))
	}
	inStore(t, call, func(_ context.Context, p *peer) {
		p.expect("GETURLS k ", "PROGRESS 3")
		for range maxReply/maxLine + 1 {
			p.send(long)
		}
		p.send("VALUE")
		p.expect("TRANSFER-FAILURE STORE k ask GETURLS k: 65 URLs of 68157050 bytes are too many: ...")
	})
}

// TestURLsInJobs has 40 jobs ask at once for the URLs of as many keys.
func TestURLsInJobs(t *testing.T) {
	const jobs, n = 40, 300
	call := func(_ context.Context, s *Session) error {
		urls, err := s.URLs("k", "")
		checkList(t, urls, err, s.job.prefix, n)
		return err
	}
	converse(t, &fakeRemote{store: call}, func(_ context.Context, p *peer) {
		p.send("EXTENSIONS ASYNC")
		p.expect("EXTENSIONS ASYNC")
		var replies [][]string
		for i := range jobs {
			p.send(fmt.Sprintf("J %d TRANSFER STORE k f", i))
			replies = append(replies, strings.SplitAfter(list(fmt.Sprintf("J %d ", i), n), "\n"))
		}
		for asked := 0; asked < jobs; {
			if line, _ := p.next(); strings.HasSuffix(line, "GETURLS k ") {
				asked++
			}
		}
		for i := range n + 1 {
			for _, reply := range replies {
				io.WriteString(p.in, reply[i])
			}
		}
		for left := jobs; left > 0; {
			line, ok := p.next()
			if !ok || strings.Contains(line, "FAILURE") {
				t.Fatalf("got line %q", line)
			}
			if strings.HasSuffix(line, " TRANSFER-SUCCESS STORE k") {
				left--
			}
		}
	})
}

// unread starts a session that asks for URLs and cannot take them, since its
// question is not read yet.
func unread(t *testing.T, talk func(in *io.PipeWriter, out *bufio.Scanner, served chan error)) {
	synctest.Test(t, func(t *testing.T) {
		inR, inW := io.Pipe()
		outR, outW := io.Pipe()
		served := make(chan error, 1)
		remote := &fakeRemote{prepare: func(_ context.Context, s *Session) error {
			urls, err := s.URLs("k", "")
			return errors.Join(err, fmt.Errorf("%d urls", len(urls)))
		}}
		go func() {
			served <- Serve(t.Context(), inR, outW, remote)
			outW.Close()
		}()
		defer inW.Close()
		out := bufio.NewScanner(outR)
		out.Scan()
		io.WriteString(inW, "PREPARE\n")
		synctest.Wait()
		talk(inW, out, served)
	})
}

// rest returns the lines that are left.
func rest(out *bufio.Scanner) (lines []string) {
	for out.Scan() {
		lines = append(lines, out.Text())
	}
	return lines
}

func TestURLsComeFasterThanTheyAreTaken(t *testing.T) {
	unread(t, func(in *io.PipeWriter, out *bufio.Scanner, served chan error) {
		io.WriteString(in, list("", maxURLs))
		go func() { synctest.Wait(); in.Close() }()
		if got := rest(out); !slices.Equal(got, []string{"GETURLS k ", "PREPARE-FAILURE 10000 urls"}) {
			t.Errorf("got %q", got)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestEndOfInputInURLs(t *testing.T) {
	unread(t, func(in *io.PipeWriter, out *bufio.Scanner, served chan error) {
		io.WriteString(in, strings.TrimSuffix(list("", 5000), "VALUE \n"))
		in.Close()
		synctest.Wait()
		if got := rest(out); !slices.Equal(got, []string{"GETURLS k ", "PREPARE-FAILURE ask GETURLS: end of input 0 urls"}) {
			t.Errorf("got %q", got)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve returns %v", err)
		}
	})
}

func TestFloodOfURLs(t *testing.T) {
	unread(t, func(in *io.PipeWriter, out *bufio.Scanner, served chan error) {
		line := "VALUE " + strings.Repeat("u", maxLine-len("VALUE ")) + "\n"
		for range maxReply/maxLine + 1 {
			io.WriteString(in, line)
		}
		synctest.Wait()
		got := rest(out)
		if want := "ERROR protocol error: more than 64 MiB wait for one question"; got[len(got)-1] != want {
			t.Errorf("got %q, want %q in the end", got, want)
		}
		if err := <-served; !errors.Is(err, errProtocol) {
			t.Errorf("Serve returns %v", err)
		}
	})
}

// TestLinesThatWaitAreBounded holds a job to both of its bounds, and to what it
// owes after all was taken.
func TestLinesThatWaitAreBounded(t *testing.T) {
	long := strings.Repeat("u", maxLine)
	for _, c := range []struct {
		asking bool
		line   string
		want   int
	}{
		{false, "", maxWaiting},
		{false, long, maxWaiting},
		{true, long[:1000], maxReply/(1000+lineCost) + 1},
		{true, long, maxReply / maxLine},
	} {
		j := &job{server: &server{}, asking: c.asking, arrived: make(chan struct{}, 1)}
		n := 0
		for j.put(c.line) == nil {
			n++
		}
		if n != c.want {
			t.Errorf("%d lines of %d bytes wait, asking %v, want %d", n, len(c.line), c.asking, c.want)
		}
		for range n {
			if line, ok := j.take(); !ok || line != c.line {
				t.Fatalf("take returns %.10q, %v", line, ok)
			}
		}
		if _, ok := j.take(); ok || j.cost != 0 {
			t.Errorf("after all a line waits: %v, cost %d", ok, j.cost)
		}
	}
}

func TestURLsThatDoNotFit(t *testing.T) {
	call := func(_ context.Context, s *Session) error {
		var errs []error
		for _, key := range []Key{"", "a b", "a\nb", "a\x00"} {
			_, err := s.URLs(key, "")
			errs = append(errs, err)
			for _, set := range []func(Key, string) error{s.SetURLPresent, s.SetURLMissing, s.SetURIPresent, s.SetURIMissing} {
				errs = append(errs, set(key, "a:b"))
			}
		}
		_, err := s.URLs("k", "a\nb")
		errs = append(errs, err)
		for _, url := range []string{"", "a:\n", "a:\r", "a:\x00b", "a: b\nVALUE"} {
			for _, set := range []func(Key, string) error{s.SetURLPresent, s.SetURLMissing, s.SetURIPresent, s.SetURIMissing} {
				errs = append(errs, set("k", url))
			}
		}
		for i, err := range errs {
			if err == nil {
				t.Errorf("case %d works", i)
			}
		}
		return nil
	}
	inStore(t, call, func(_ context.Context, p *peer) {
		p.expect("PROGRESS 3", "TRANSFER-SUCCESS STORE k")
	})
}

// TestURI was made with git-annex: it takes what has true here, and whoever
// sends it one of the others has the session ended.
func TestURI(t *testing.T) {
	for text, want := range map[string]bool{
		"torrent:magnet:?xt=urn:btih:aa&dn=%C3%A9&tr=udp://x:1/a&so=0": true,
		"magnet:?xt=urn:btih:aa": true, "http://a.b:80/c?d=~e'f": true, "a:": true, "a+b-c.1:/x//y": true,
		"a:/": true, "a://": true, "a:///x": true, "a://h?x": true, "a:?": true,
		"": false, "x": false, "./x.torrent": false, "1a:b": false, ":a": false, "torrent: a": false,
		"torrent:a&x.pe=[::1]:80": false, "a:b|c": false, "a:%2": false, "a:%": false, "a:?b=%zz": false, "a:é": false,
		"a:b#c#d": false, `a:"b`: false, "a:{}": false, "http://a:b/c": false, "a://h:p:1/": false, "a:b\\c": false, "a:^": false,
		"a:\x01": false, "a:b\n": false,
	} {
		if got := isURI(text); got != want {
			t.Errorf("isURI(%q) = %v", text, got)
		}
	}
}
