package backends

import (
	"context"
	"errors"
)

var (
	// ErrNotFound is returned when the store says that the file is not there. It is what one
	// store says, not a proof: an unmounted disk says so too.
	ErrNotFound = errors.New("not found")
	// ErrTooLarge is returned when the file is larger than the caller's buffer.
	ErrTooLarge = errors.New("larger than expected")
	// ErrFull is returned when the store takes no more bytes: another place serves better than
	// another try.
	ErrFull = errors.New("no space left")
)

// Entry is one line of a listing.
type Entry struct {
	Name string // relative to the listed directory; a directory ends in a slash
	Size int64  // -1 for a directory
}

// Store is named bytes in one place. Names are slash-separated, of [a-z2-7./] only.
// All methods may be called concurrently. None of them touches the caller's slices after it
// has returned, whatever it has returned.
type Store interface {
	// Put stores data under a name that is new. When it returns nil the store has acknowledged
	// the whole file, its size was checked, and its hash where the store reports one without
	// reading the file; hash is then "md5:…" (type:hex), else "". It returns ErrFull when there
	// is no room.
	//
	// After an error the file may be there or not, and may come and go for as long as the
	// process lives: a hanging upload may yet end, and leftovers are removed where possible, if
	// need be later. Only files that begin like data are, so that nobody else's is lost who has
	// written under the name. But who needs the name again has to make sure of the file afterwards:
	// so all names but the few that must be known beforehand have a random part.
	Put(ctx context.Context, name string, data []byte) (hash string, err error)

	// Get reads the whole file into dst and returns its length. It returns ErrNotFound, or
	// ErrTooLarge when the file is longer than dst. After an error the contents of dst are undefined.
	Get(ctx context.Context, name string, dst []byte) (int, error)

	// List returns what is directly in dir ("" is the root), in no particular order.
	// A missing directory is an empty list. Names that the store lists in upper case are given
	// in lower case.
	List(ctx context.Context, dir string) ([]Entry, error)

	// Hash returns the hash that the store reports of a file without reading it, as Put does.
	// The error is errors.ErrUnsupported where it reports none; ErrNotFound when the file is
	// not there.
	Hash(ctx context.Context, name string) (hash string, err error)

	// Remove removes the file; ErrNotFound when it is not there.
	Remove(ctx context.Context, name string) error

	// Free returns how many bytes may still be stored, as the store says, which may be stale or
	// wrong. The error is errors.ErrUnsupported where it does not say.
	Free(ctx context.Context) (bytes int64, err error)
}
