// Package backends stores named bytes on rclone remotes: one file at a time, by name, with
// "not found" told apart from "does not answer".
//
// It knows nothing of objects, shards, keys or manifests, and it decides nothing: it does not
// retry a Put that has sent data (only the caller knows whether another backend serves better)
// and it does not prove that a file is absent (only the caller knows what else must be there).
//
// It is the only importer of rclone, and keeps rclone's habits away from the rest of the
// program:
//
//   - A Put that rclone calls done is checked: for its hash where the store reports one, else
//     for the size that is found anew, and sometimes for its last bytes (check.go).
//   - A backend that ignores its context is left behind with buffers of its own, and a transfer
//     that trickles is cut off (job.go). What a failed Put leaves is removed, if need be later
//     (litter.go).
//   - What some forty error types say is told apart: no room, slow down, log in again, or
//     something else (answer.go).
//   - A backend that asks to be left alone is, for the time it names within reason; one that is
//     down is asked by one call now and then (gate.go). rclone's own tries again are switched
//     off, since they wait as long as a provider likes.
//   - rclone's own way out, os.Exit in the middle of a protocol, becomes an error.
//
// A process calls Setup once, then CheckSections if its layout names sections of rclone.conf,
// then Open for each backend.
package backends
