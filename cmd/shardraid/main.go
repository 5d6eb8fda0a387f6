// Command shardraid is the git-annex special remote, when it is called
// git-annex-remote-shardraid, and the operator's command line otherwise.
package main

import (
	"os"
	"path/filepath"
	"strings"

	_ "github.com/rclone/rclone/backend/all"

	"shardraid/cli"
	"shardraid/remote"
)

func main() {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if name == "git-annex-remote-shardraid" {
		os.Exit(remote.Main())
	}
	os.Exit(cli.Main(name, os.Args[1:]))
}
