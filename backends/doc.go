// Package backends stores named bytes on rclone remotes: one file at a time, by name, with
// "not found" told apart from "does not answer".
//
// It knows nothing of objects, shards, keys or manifests, and it decides nothing: it does not
// retry a Put (only the caller knows whether another backend serves better) and it does not
// prove that a file is absent (only the caller knows what else must be there).
//
// It is the only importer of rclone, and keeps rclone's habits away from the rest of the
// program. A Put that rclone calls done is checked for its size. A backend that ignores its
// context is left behind with buffers of its own. rclone's own way out, os.Exit in the middle
// of a protocol, becomes an error.
//
// A process calls Setup once, then CheckSections if its layout names sections of rclone.conf,
// then Open for each backend.
package backends
