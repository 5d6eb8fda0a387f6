// Package clone is what one clone of a repository knows of one shardraid
// remote: the settings that came through git and whether they are to be
// trusted, the key, and what it remembers.
//
// It opens the object store for whoever has work for it: the special remote
// (package remote) and the operator's command line (package cli). It knows no
// protocol and no command.
package clone
