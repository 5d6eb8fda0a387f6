package main

import (
	"net"
	"sync"
)

// conn is a connection over a link: all connections of a link share its two
// buckets.
type conn struct {
	net.Conn
	link *link
	done chan struct{} // closed with the connection
	once sync.Once
}

// Read takes what the client sends: that goes up.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.link.up.wait(c.done, 0); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p[:min(len(p), c.link.up.chunk())])
	if waitErr := c.link.up.wait(c.done, n); waitErr != nil {
		return 0, waitErr
	}
	c.link.moved(n, 0)
	return n, err
}

// Write sends to the client: that goes down.
func (c *conn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:]
		part = part[:min(len(part), c.link.down.chunk())]
		if err := c.link.down.wait(c.done, len(part)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(part)
		c.link.moved(0, m)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.done) })
	c.link.forget(c)
	return c.Conn.Close()
}

// listener hands out connections over a link.
type listener struct {
	net.Listener
	link *link
}

func (l listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, link: l.link, done: make(chan struct{})}
	l.link.remember(c)
	return c, nil
}
