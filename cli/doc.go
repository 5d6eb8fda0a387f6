// Package cli is the operator's command line: keys, layouts, scrub, repair and
// collection, and objects without git-annex.
//
// It finds a remote by its name in the repository it is run in, or by a
// layout file and a key anywhere. What git-annex must know it tells through
// git annex enableremote. It knows no protocol.
package cli
