package clone

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"shardraid/backends"
	"shardraid/layout"
)

// ledger is where the processes of this user on this machine keep limits
// together; "" if there is no such place. It is gone after a restart.
func ledger(name string) string {
	if name == "" {
		return ""
	}
	// Not by XDG_RUNTIME_DIR: cron has none, and must find the same place.
	dir := fmt.Sprintf("/run/user/%d", os.Getuid())
	if _, err := os.Stat(dir); err != nil {
		if dir, err = os.UserCacheDir(); err != nil {
			return ""
		}
	}
	return filepath.Join(dir, "shardraid", "limits", name)
}

// link is what git config says that this clone may use of its machine's link:
// remote.NAME.annex-shardraid-upload and -download, as 1MiB/s.
func (s *Dir) link(ctx context.Context) (*backends.Link, error) {
	uuid := filepath.Base(s.path)
	gitDir := filepath.Dir(filepath.Dir(filepath.Dir(s.path)))
	out, err := exec.CommandContext(ctx, "git", "--git-dir="+gitDir, "config", "--get-regexp", `^remote\..*\.annex-(uuid|shardraid-upload|shardraid-download)$`).Output()
	if err != nil {
		return nil, nil // there are none
	}
	name, values := "", map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		values[key] = value
		if remote, ok := strings.CutSuffix(key, ".annex-uuid"); ok && value == uuid {
			name = remote
		}
	}
	var rates [2]int64
	for i, what := range []string{"upload", "download"} {
		key := name + ".annex-shardraid-" + what
		if value := values[key]; name != "" && value != "" {
			if rates[i], err = layout.ParseRate(value); err != nil {
				return nil, fmt.Errorf("git config %s: %w", key, err)
			}
		}
	}
	return backends.NewLink(rates[0], rates[1], ledger("link")), nil
}
