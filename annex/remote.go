package annex

import "context"

// Key is git-annex's name of a content. It holds no space, CR, LF or NUL.
type Key string

// Remote is what a special remote must be able to do. Methods are called
// concurrently when git-annex speaks ASYNC. A returned error becomes the
// failure reply's one line of text. The Session is valid until the method
// returns; afterwards it says nothing and answers every question with an error.
//
// One that gets contents by URL is a [URLRemote].
type Remote interface {
	// Configs lists the settings a user may give to initremote. It is static.
	Configs() []Config
	// Init sets the remote up, or enables it in a further clone. It must not
	// rely on Prepare.
	Init(ctx context.Context, s *Session) error
	// Prepare readies the remote for use. It is called at most once per
	// process; its outcome answers any later PREPARE too.
	Prepare(ctx context.Context, s *Session) error
	// Store uploads the file, an absolute path, as the key's content.
	Store(ctx context.Context, s *Session, key Key, file string) error
	// Retrieve writes the key's content to the file, an absolute path, in
	// order from the beginning: git-annex hashes the file while it grows.
	Retrieve(ctx context.Context, s *Session, key Key, file string) error
	// Present tells whether the key's content could be retrieved now. An
	// error means unknown, never absent.
	Present(ctx context.Context, s *Session, key Key) (bool, error)
	// Remove deletes the key's content. A missing key is no error.
	Remove(ctx context.Context, s *Session, key Key) error
	// Whereis says in one line where the key's content lies; ok is false when
	// that is not known.
	Whereis(ctx context.Context, s *Session, key Key) (where string, ok bool)
	// Info returns what `git annex info` shows of the remote.
	Info(ctx context.Context, s *Session) ([]Field, error)
	// Cost is the expense of a transfer; git-annex prefers cheaper remotes.
	Cost() int
	// Availability tells from where the remote can be reached.
	Availability() Availability
}

// Config is one setting that a user may give to initremote. The name is one
// word.
type Config struct{ Name, Description string }

// Field is one line of what `git annex info` shows.
type Field struct{ Name, Value string }

// Availability tells from where a remote can be reached.
type Availability string

// Unavailable is sent only to a git-annex that knows it, Global to others.
const (
	Global      Availability = "GLOBAL"
	Local       Availability = "LOCAL"
	Unavailable Availability = "UNAVAILABLE"
)
