// Package torrent is a git-annex remote whose contents are in BitTorrent
// swarms: it gets single files out of torrents, given by magnet links and
// .torrent files, and gives to others meanwhile. It stores nothing.
//
// A link is turned into a checked metainfo (link.go, metainfo.go, resolve.go),
// a metainfo into a swarm that all requests share (engine.go), whose pieces lie
// in a store (store.go) until they are written, in order, to the file that
// git-annex asked for (get.go).
//
// The library's parsers see only bytes that have passed the checks of this
// package; metadata from strangers are fetched by a process of their own
// (metadata.go), which may die of them.
//
// It knows nothing of shards, backends or layouts.
package torrent
