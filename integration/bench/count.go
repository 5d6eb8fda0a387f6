package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// tally is what one method has cost.
type tally struct {
	Requests int
	Up, Down int64 // bytes of bodies
	Shards   int64 // of these, those of shards
}

// counts are the tallies of one server, by method.
type counts struct {
	mu sync.Mutex
	by map[string]tally
}

// count counts the requests that next answers.
func (c *counts) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.add(r.Method, tally{Requests: 1})
		body, answer := &countedBody{ReadCloser: r.Body}, &countedAnswer{ResponseWriter: w}
		r.Body = body
		defer func() {
			t := tally{Up: body.n, Down: answer.n}
			if strings.Contains(r.URL.Path, ".s.") {
				t.Shards = body.n + answer.n
			}
			c.add(r.Method, t)
		}()
		next.ServeHTTP(answer, r)
	})
}

func (c *counts) add(method string, t tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]tally{}
	}
	c.by[method] = c.by[method].plus(t)
}

// all returns a copy.
func (c *counts) all() map[string]tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]tally{}
	for method, t := range c.by {
		all[method] = t
	}
	return all
}

func (t tally) plus(u tally) tally {
	return tally{t.Requests + u.Requests, t.Up + u.Up, t.Down + u.Down, t.Shards + u.Shards}
}

type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

type countedAnswer struct {
	http.ResponseWriter
	n int64
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.n += int64(n)
	return n, err
}
