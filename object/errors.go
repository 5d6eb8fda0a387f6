package object

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrAbsent is returned by Get where it is proved that the object is not
	// here.
	ErrAbsent = errors.New("not stored here")
	// errGivenUp: a person said that the backend will not come back.
	errGivenUp = errors.New("given up as lost")
	// errInterfered: another clone removes or collects what is being stored.
	errInterfered = errors.New("removed or collected by another clone meanwhile")
)

// QuorumError says that too few backends did what was asked of them, and why
// each of the others did not.
type QuorumError struct {
	Have, Need int
	What       string // "backends answer", "shards of segment 3 can be read"
	Causes     []Cause
}

// Cause is why one backend did not do what was asked of it.
type Cause struct {
	Backend string
	Err     error
}

// Error names each backend once, with the first of its reasons.
func (e *QuorumError) Error() string {
	text := fmt.Sprintf("%d of at least %d %s", e.Have, e.Need, e.What)
	sep, said := ": ", map[string]bool{}
	for _, c := range e.Causes {
		if said[c.Backend] {
			continue
		}
		said[c.Backend] = true
		line, _, _ := strings.Cut(c.Err.Error(), "\n")
		text += sep + c.Backend + ": " + strings.TrimPrefix(line, c.Backend+": ")
		sep = "; "
	}
	return text
}

// Unwrap returns the causes' errors.
func (e *QuorumError) Unwrap() []error {
	var errs []error
	for _, c := range e.Causes {
		errs = append(errs, c.Err)
	}
	return errs
}
