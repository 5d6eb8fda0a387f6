// Package manifest defines the records of an object: what they say, their
// bytes, their names on a backend.
//
// A record is small, immutable and signed: the manifest of an incarnation,
// the move of a shard, the tombstone and the doom marker of an incarnation,
// and each backend's marker (docs/format.md, sections 4, 8 and 10). The
// package does no I/O and reads no clock; it does not know git-annex or how
// backends are reached.
package manifest
