// Package vault holds the keys of one special remote: it derives the keys of
// objects, makes the names that each backend sees, seals and signs records,
// and wraps all of it for the people who may open it.
//
// It is the only door to OpenPGP and to gpg (docs/format.md, sections 4, 8
// and 9). It does not know what a manifest, a layout or a backend is: to it a
// record is a kind and some bytes.
package vault
