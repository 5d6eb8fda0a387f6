package backendtest

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"shardraid/backends"
)

var (
	// ErrBroken is an error that says nothing.
	ErrBroken = errors.New("connection reset by peer")
	// ErrLogin is what a backend says whose login is lost.
	ErrLogin error = &StatusError{StatusCode: http.StatusUnauthorized, text: "token expired"}
)

// StatusError is an HTTP answer, the way that most backends of rclone keep it.
type StatusError struct {
	StatusCode int
	Header     http.Header
	text       string
	until      time.Time
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("HTTP error %d: %s", e.StatusCode, e.text)
}

// RetryAfter makes it an fserrors.RetryAfter of rclone; zero where no time was named.
func (e *StatusError) RetryAfter() time.Time { return e.until }

// Throttled is a 429, which asks to be left alone for so long; 0 names no time.
func Throttled(wait time.Duration) error {
	e := &StatusError{StatusCode: http.StatusTooManyRequests, Header: http.Header{}, text: "too many requests"}
	if wait > 0 {
		e.Header.Set("Retry-After", fmt.Sprint(int(wait.Seconds())))
		e.until = time.Now().Add(wait)
	}
	return e
}

// Full is the error of a store that has no room.
func Full() error { return fmt.Errorf("HTTP error 507: %w", backends.ErrFull) }
