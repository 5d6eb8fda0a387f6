// Package remote binds the external special remote protocol to the object
// store: settings, the set-up of a remote, requests, what this clone remembers.
//
// It knows git-annex's side (package annex) and the store's side (package
// object) and leaves everything else to them.
package remote
