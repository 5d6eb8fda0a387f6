package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/vault"
)

// repo is a shardraid remote in the repository that the command runs in.
type repo struct {
	name   string
	uuid   string
	gitDir string
	dir    *clone.Dir
}

// findRepo finds the remote by its name, or the only one.
func (a *app) findRepo(ctx context.Context) (*repo, error) {
	out, err := git(ctx, "rev-parse", "--git-dir")
	if err != nil {
		return nil, fmt.Errorf("not in a git repository: run this in a clone, or name a layout with --layout where that is offered (%w)", err)
	}
	gitDir, err := filepath.Abs(strings.TrimSpace(out))
	if err != nil {
		return nil, err
	}
	remotes := enabled(ctx)
	if len(remotes) == 0 || a.remote != "" && remotes[a.remote] == "" {
		remotes = known(ctx) // key import and key trust come before enableremote
	}
	names := slices.Sorted(maps.Keys(remotes))
	switch {
	case len(names) == 0:
		return nil, errors.New("this repository has no shardraid remote: run git annex initremote, or git annex enableremote")
	case a.remote == "" && len(names) > 1:
		return nil, fmt.Errorf("which remote? add --remote NAME: %s", strings.Join(names, ", "))
	case a.remote == "":
		a.remote = names[0]
	case !slices.Contains(names, a.remote):
		return nil, fmt.Errorf("there is no shardraid remote %q here, only: %s", a.remote, strings.Join(names, ", "))
	}
	r := &repo{name: a.remote, uuid: remotes[a.remote], gitDir: gitDir}
	r.dir = clone.NewDir(gitDir, r.uuid)
	return r, nil
}

// enabled returns the UUIDs, by name, of the shardraid remotes that this clone
// uses.
func enabled(ctx context.Context) map[string]string {
	remotes := map[string]string{}
	out, _ := git(ctx, "config", "--get-regexp", `^remote\..*\.annex-externaltype$`) // fails where there are none
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name := strings.TrimSuffix(strings.TrimPrefix(key, "remote."), ".annex-externaltype")
		uuid, err := git(ctx, "config", "remote."+name+".annex-uuid")
		if value == "shardraid" && err == nil {
			remotes[name] = strings.TrimSpace(uuid)
		}
	}
	return remotes
}

// known returns those that the git-annex branch knows.
func known(ctx context.Context) map[string]string {
	remotes := map[string]string{}
	log, _ := git(ctx, "cat-file", "-p", "git-annex:remote.log") // fails where git-annex is not used
	for line := range strings.Lines(log) {
		uuid, _, _ := strings.Cut(line, " ")
		if config := parseRemoteLog(log, uuid); config["externaltype"] == "shardraid" && config["name"] != "" {
			remotes[config["name"]] = uuid
		}
	}
	return remotes
}

// git runs git, which says itself what is wrong.
func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// config returns the remote's configuration from the git-annex branch.
func (r *repo) config(ctx context.Context) (map[string]string, error) {
	log, err := git(ctx, "cat-file", "-p", "git-annex:remote.log")
	if err != nil {
		return nil, fmt.Errorf("read the remote's configuration: %w", err)
	}
	// What git-annex has not committed yet is in its journal.
	if journal, err := os.ReadFile(filepath.Join(r.gitDir, "annex", "journal", "remote.log")); err == nil {
		log += "\n" + string(journal)
	}
	config := parseRemoteLog(log, r.uuid)
	if config == nil {
		return nil, fmt.Errorf("the git-annex branch knows nothing of remote %s", r.name)
	}
	return config, nil
}

// parseRemoteLog reads git-annex's remote.log: a line is a UUID and fields; of
// several with one UUID the latest counts.
func parseRemoteLog(log, uuid string) (config map[string]string) {
	latest := -1.0
	for line := range strings.Lines(log) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != uuid {
			continue
		}
		values := map[string]string{}
		for _, f := range fields[1:] {
			key, value, _ := strings.Cut(f, "=")
			values[key] = unescape(value)
		}
		at, _ := strconv.ParseFloat(strings.TrimSuffix(values["timestamp"], "s"), 64)
		if at > latest {
			latest, config = at, values
		}
	}
	return config
}

var escaped = regexp.MustCompile(`&([0-9]+);`)

// unescape reads git-annex's form of spaces and of &.
func unescape(value string) string {
	return escaped.ReplaceAllStringFunc(value, func(s string) string {
		code, err := strconv.Atoi(s[1 : len(s)-1])
		if err != nil {
			return s
		}
		return string(rune(code))
	})
}

// annexKeys returns the keys that git-annex knows, by the names of their
// location logs (git-annex, doc/internals: "XXX/YYY/KEY.log" on its branch).
func annexKeys(ctx context.Context) (keys []string, err error) {
	out, err := git(ctx, "ls-tree", "-r", "-z", "--name-only", "git-annex")
	if err != nil {
		return nil, fmt.Errorf("list the keys of git-annex: %w", err)
	}
	for name := range strings.SplitSeq(out, "\x00") {
		if key, ok := strings.CutSuffix(path.Base(name), ".log"); ok && strings.Contains(name, "/") {
			keys = append(keys, keyOf(key))
		}
	}
	return keys, nil
}

// fromGit returns the settings that git has.
func (r *repo) fromGit(ctx context.Context) (*clone.Settings, error) {
	config, err := r.config(ctx)
	if err != nil {
		return nil, err
	}
	return clone.ParseSettings(config[clone.SetVault], config[clone.SetSigned])
}

// settings returns the settings that git has and this clone trusts.
func (r *repo) settings(cmd *cobra.Command) (*clone.Settings, error) {
	set, err := r.fromGit(cmd.Context())
	if err != nil {
		return nil, err
	}
	said, err := r.dir.Trust(cmd.Context(), set)
	if err != nil {
		return nil, err
	}
	if said != "" {
		note(cmd, "%s", said)
	}
	return set, nil
}

func (r *repo) creds() string { return clone.CredsPath(r.gitDir, r.uuid) }

// open opens the vault, which proves whose settings these are.
func (r *repo) open(ctx context.Context, set *clone.Settings) (*vault.Vault, error) {
	v, err := clone.OpenVault(ctx, set.Card, r.creds(), clone.AskPassphrase)
	if errors.Is(err, clone.ErrNoKey) {
		return nil, fmt.Errorf("%w: run shardraid key export FILE in the clone that has it, and shardraid key import FILE here", err)
	}
	if err != nil {
		return nil, err
	}
	return v, r.dir.Proved(set)
}

// opened returns the settings that this clone trusts and their vault.
func (r *repo) opened(cmd *cobra.Command) (*clone.Settings, *vault.Vault, error) {
	set, err := r.settings(cmd)
	if err != nil {
		return nil, nil, err
	}
	v, err := r.open(cmd.Context(), set)
	return set, v, err
}

// publish puts settings into git. Only git-annex can: enableremote makes it
// ask our other half, which finds them staged.
func (r *repo) publish(ctx context.Context, set *clone.Settings) error {
	if err := r.dir.Stage(set); err != nil {
		return err
	}
	defer r.dir.Unstage()
	out, err := exec.CommandContext(ctx, "git", "annex", "enableremote", r.name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("put the settings into git: git annex enableremote %s: %w: %s", r.name, err, strings.TrimSpace(string(out)))
	}
	now, err := r.fromGit(ctx)
	if err != nil {
		return err
	}
	if now.Layout.Hash != set.Layout.Hash || now.Card.String() != set.Card.String() {
		return errors.New("put the settings into git: git annex enableremote did not take them: is the git-annex-remote-shardraid in your PATH of this version?")
	}
	return nil
}
