package layout

import "strings"

// What a field means when it is not written.
const (
	defaultShardSize = 8 << 20
	defaultInline    = 64 << 10
)

// MaxText is the largest layout, in bytes of YAML.
const MaxText = 1 << 20

// What a field may say at most or at least.
const (
	maxShards    = 255 // Reed-Solomon over GF(2^8)
	minShardSize = 64 << 10
	maxShardSize = 32 << 20
	maxInline    = 1 << 20
	maxName      = 32
	maxDomain    = 64

	// shardOverhead is what a stored shard may be larger than shard_size.
	shardOverhead = 1 << 10
)

// Layout is one valid layout. Its fields are those of the YAML file:
//
//	shardraid: 1         # Version, required
//	data: 4              # Data, required
//	parity: 2            # Parity, required
//	shard_size: 8MiB     # ShardSize
//	write_quorum: 6      # WriteQuorum
//	inline: 64KiB        # Inline
//	backends: [...]      # Backends, required
type Layout struct {
	// Version of the file's format, always 1.
	Version int
	// Data shards bring a segment back; at least 1.
	Data int
	// Parity shards may be lost; at least 1, and Data+Parity at most 255.
	Parity int
	// ShardSize is the ceiling of a stored shard in bytes, 64KiB to 32MiB;
	// 8MiB unless written.
	ShardSize int64
	// WriteQuorum shards must be stored before a store succeeds:
	// Data+max(1, ceil(Parity/2)) to Data+Parity; Data+Parity unless written.
	WriteQuorum int
	// Inline is the size in bytes up to which an object lives inside its
	// manifest, 0 to 1MiB; 64KiB unless written.
	Inline int64
	// Backends in the order of the file; at least Data+Parity are active.
	Backends []Backend

	// LeastData and LeastParity are the smallest k and m of this layout and
	// all its predecessors: records of then may stand on fewer backends than
	// records of now. Equal to Data and Parity unless a [Document] says less.
	LeastData, LeastParity int
	// Epoch and Hash are those of the [Document] that the layout came in;
	// 0 and "" for a file.
	Epoch int
	Hash  string
}

// State says what a backend is used for.
type State string

// The states of a backend.
const (
	Active State = "active" // reads and stores
	Drain  State = "drain"  // reads only: to be emptied
	Off    State = "off"    // not to be touched
)

// Backend is one account or directory:
//
//	name: drive            # Name, required
//	remote: "gdrive:annex" # Remote, required
//	domain: google         # Domain
//	state: active          # State
//	limits: {...}          # Limits
type Backend struct {
	// Name is unique in the layout: 1 to 32 characters [a-z0-9-].
	Name string
	// Remote is section:path of the user's rclone.conf or an absolute local
	// path, as written.
	Remote string
	// Domain is shared by the backends that can die together; Name unless
	// written, so a domain may also be another backend's name.
	Domain string
	// State is Active unless written.
	State State
	// Limits that the account imposes or the user wants.
	Limits Limits
	// ID is not in the YAML but comes from a [Document]: 13 characters
	// [a-z2-7], 64 random bits in lower-case base32.
	ID string
}

// Limits of one backend; 0 means none.
//
//	limits: {storage: 13GiB, upload: 1MiB/s, download: 4MiB/s, requests: 2/s, file_size: 250MiB}
type Limits struct {
	Storage  int64   // bytes that may be stored
	Upload   int64   // bytes per second
	Download int64   // bytes per second
	FileSize int64   // bytes of one file; a shard must fit on an active backend
	Requests float64 // per second
}

// Local reports whether the backend is a directory of this machine.
func (b Backend) Local() bool { return strings.HasPrefix(b.Remote, "/") }

// HasPlace reports whether one of the backends is at the place of b.
func (l *Layout) HasPlace(b Backend) bool { return renamed(l, b) != nil }

// Section is the section of rclone.conf that the backend names, "" for local paths.
func (b Backend) Section() string {
	if b.Local() {
		return ""
	}
	section, _, _ := strings.Cut(b.Remote, ":")
	return section
}
