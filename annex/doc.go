// Package annex speaks git-annex's external special remote protocol on behalf
// of a [Remote]. It knows lines, jobs, questions and replies; it knows nothing
// of shards, backends or layouts, and uses only the standard library.
//
// The protocol is described at
// https://git-annex.branchable.com/design/external_special_remote_protocol/
// and its concurrent form at
// https://git-annex.branchable.com/design/external_special_remote_protocol/async_appendix/
//
// # What a Remote can rely on
//
//   - Every request gets exactly one well-formed reply. An error, or a panic in
//     the goroutine that was called, fails that request and no other.
//   - CR, LF and NUL never leave inside a text, so an error may hold several
//     lines; they arrive as one.
//   - When git-annex closes its end, or the context given to [Serve] ends, the
//     context of every running call ends and every question a [Session] waits
//     for returns an error.
//
// # What the program must do itself
//
// Nothing but Serve may write to standard output. The program should ignore
// SIGPIPE, which would otherwise end it where Serve would return an error.
// [ServeStdio] sees to both.
package annex
