// Command shardraid is a placeholder while the packages are written.
package main

import (
	_ "github.com/ProtonMail/go-crypto/openpgp/v2"
	_ "github.com/klauspost/reedsolomon"
	_ "github.com/rclone/rclone/backend/all"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sync/semaphore"
	_ "golang.org/x/time/rate"
	_ "gopkg.in/yaml.v3"
)

func main() {}
