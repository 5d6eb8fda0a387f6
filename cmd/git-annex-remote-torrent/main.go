// Command git-annex-remote-torrent is the git-annex special remote that gets files out of
// torrents, and seeds them when it is called with the word seed.
package main

import (
	"os"

	"shardraid/torrent"
)

func main() {
	os.Exit(torrent.Main(os.Args[1:]))
}
