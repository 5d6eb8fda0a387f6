// Command shardraid is the git-annex special remote, when it is called
// git-annex-remote-shardraid, and the operator's command line otherwise.
package main

import (
	"os"

	_ "github.com/rclone/rclone/backend/all"

	"shardraid/remote"
)

func main() { os.Exit(remote.Main(os.Args)) }
