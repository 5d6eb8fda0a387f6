// Package layout reads the YAML file that says into how many shards objects
// are cut and which backends hold them, checks that what it promises can be
// kept, and puts backends into an object's own order.
//
// A layout may arrive through git from somebody else, so every byte of it is
// taken as an attacker's: only the listed fields in their plainest YAML form
// are accepted, and a remote can only name a section of the reader's own
// rclone.conf or an absolute local path, never carry options.
//
// What a valid layout promises: each backend gets at most one shard of a
// segment and each domain at most Parity of them, so any Parity backends, or
// any one domain, may vanish and Data shards are left.
//
// The package does no I/O, reads no clock and draws nothing at random. It does
// not know rclone, what free space a backend has, nor how a layout is signed.
package layout
