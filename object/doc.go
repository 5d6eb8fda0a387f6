// Package object stores whole objects as sealed, erasure-coded shards spread
// over a pool of backends, and brings them back from any k of them.
//
// It holds the record protocol (docs/format.md, section 11): incarnations,
// the write order, what counts as present, absent or unknown. It knows no
// git-annex: a key is a string to it, a file is bytes.
//
// Start at Store.Put, Store.Get, Store.Check and Store.Remove. All of them
// begin with look, which asks every backend what it has of one object.
package object
