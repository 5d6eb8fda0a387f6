// Package erasure turns one segment into k+m tagged shards, any k of which
// bring it back.
//
// A segment is sealed whole with AES-256-GCM, the sealed bytes are coded with
// Reed-Solomon, and every shard gets a GMAC tag, so that a damaged shard is
// told from a good one without the content key (docs/format.md, sections 5
// to 7).
//
// The package is pure: it does no I/O, reads no clock and draws no random
// bytes. It does not know keys' origins, objects, manifests or backends.
package erasure
