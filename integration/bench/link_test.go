package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func testLink(t *testing.T) *link {
	t.Helper()
	l, err := newLink("link", filepath.Join(t.TempDir(), "server"), speed{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.kill)
	return l
}

func ask(l *link, method, name, body string, wait time.Duration) (status int, answer string, err error) {
	req, err := http.NewRequest(method, "http://"+l.addr+"/"+name, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	client := http.Client{Timeout: wait, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func wants(t *testing.T, l *link, method, name, body string, status int, answer string) {
	t.Helper()
	got, text, err := ask(l, method, name, body, time.Minute)
	if err != nil || got != status || answer != "" && text != answer {
		t.Errorf("%s %s: %d %.40q, %v", method, name, got, text, err)
	}
}

func TestStore(t *testing.T) {
	l := testLink(t)
	wants(t, l, "PUT", "a/b", "hello", http.StatusConflict, "")
	var wg sync.WaitGroup
	for i := range 8 { // nobody is locked out
		wg.Go(func() { wants(t, l, "MKCOL", fmt.Sprint("d", i), "", http.StatusCreated, "") })
	}
	wg.Wait()
	wants(t, l, "MKCOL", "a", "", http.StatusCreated, "")
	wants(t, l, "PUT", "a/b", "hello", http.StatusCreated, "")
	wants(t, l, "GET", "a/b", "", http.StatusOK, "hello")
	wants(t, l, "PROPFIND", "a", "", http.StatusMultiStatus, "")
	wants(t, l, "DELETE", "a/b", "", http.StatusNoContent, "")
	wants(t, l, "GET", "a/b", "", http.StatusNotFound, "")
	all := l.counts.all()
	if all["PUT"] != (tally{Requests: 2, Up: 10}) || all["GET"].Requests != 2 || all["MKCOL"].Requests != 9 {
		t.Errorf("counted %v", all)
	}
}

// What was cut off is not there.
func TestStoreIsWhole(t *testing.T) {
	l := testLink(t)
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello")
	for up := int64(0); up == 0; up, _ = l.bytes() {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	wants(t, l, "GET", "a", "", http.StatusNotFound, "")
}

func TestLinkFails(t *testing.T) {
	l := testLink(t)
	wants(t, l, "PUT", "a", "hello", http.StatusCreated, "")
	addr := l.addr
	l.kill()
	if status, _, err := ask(l, "GET", "a", "", time.Minute); err == nil {
		t.Errorf("a dead server answers %d", status)
	}
	if err := l.revive(); err != nil || l.addr != addr {
		t.Fatalf("revived at %s instead of %s, %v", l.addr, addr, err)
	}
	wants(t, l, "GET", "a", "", http.StatusOK, "hello")

	l.stall()
	if status, _, err := ask(l, "GET", "a", "", 100*time.Millisecond); err == nil {
		t.Errorf("a stalled server answers %d", status)
	}
	l.resume()
	wants(t, l, "GET", "a", "", http.StatusOK, "hello")

	l.stallAfter(1000)
	if _, _, err := ask(l, "PUT", "b", string(bytes.Repeat([]byte("x"), 32*miB)), 300*time.Millisecond); err == nil {
		t.Error("a server does not stall in the middle")
	}
	l.resume()
	wants(t, l, "GET", "b", "", http.StatusNotFound, "")
}

func TestRoundTrip(t *testing.T) {
	l := testLink(t)
	l.setSpeed(speed{rtt: 50 * time.Millisecond})
	begin := time.Now()
	wants(t, l, "GET", "a", "", http.StatusNotFound, "")
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("a request took %v", took)
	}
}
