// Package integration runs the real git-annex against the real special remote
// and real servers: one script of testdata for each promise of the README. It
// holds no code of the program.
package integration
