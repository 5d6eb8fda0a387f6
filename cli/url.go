package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/object"
	"shardraid/vault"
)

func (a *app) urlCommand() *cobra.Command {
	return a.withoutGit(&cobra.Command{
		Use: "url", Short: "print the URL by which git clones from the remote itself", Args: cobra.NoArgs,
		Long: `Prints the annex:: URL for git clone, with git-annex 10.20250416 or newer. Before, git must have been pushed there:

  git annex enableremote --with-url NAME; git push NAME main git-annex

With --layout the URL is put together from what the backends hold, for the day when every clone is lost.

The URL holds no secret; the clone needs rclone.conf and the GPG key or the passphrase.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.layout != "" {
				return a.foundURLs(cmd)
			}
			r, err := a.findRepo(cmd.Context())
			if err != nil {
				return err
			}
			set, err := r.settings(cmd)
			if err != nil {
				return err
			}
			config, err := r.config(cmd.Context())
			if err != nil {
				return err
			}
			if set.Card.Mode == vault.Local {
				return errors.New("no URL can clone from a remote whose key is in one clone only: see shardraid key add-recipient and change-passphrase")
			}
			if config["encryption"] != "none" {
				return errors.New("git-annex clones only from remotes with encryption=none (shardraid encrypts by itself)")
			}
			show(cmd, cloneURL(r.uuid, set))
			return nil
		},
	})
}

// cloneURL has the fields that git-annex asks for; it refuses others.
func cloneURL(uuid string, set *clone.Settings) string {
	card, signed := set.Values()
	query := url.Values{
		"type": {"external"}, "externaltype": {"shardraid"}, "encryption": {"none"},
		clone.SetVault: {card}, clone.SetSigned: {signed},
	}
	return fmt.Sprintf("annex::%s?%s", uuid, query.Encode())
}

// foundURLs prints the URLs of the git repositories that were pushed to a
// remote. Their UUID stands in the name of the key that git-annex begins with.
func (a *app) foundURLs(cmd *cobra.Command) error {
	found, err := a.discover(cmd)
	if err != nil {
		return err
	}
	if found.Card.Mode == vault.Local {
		return errors.New("no URL can clone from a remote whose key is in one clone only: get the files one by one with shardraid list and shardraid get")
	}
	set, err := found.Settings()
	if err != nil {
		return err
	}
	pool, err := found.Connect()
	if err != nil {
		return err
	}
	defer pool.Close()
	var urls []string
	err = pool.List(cmd.Context(), a.job(cmd), func(l object.Listed) {
		if uuid, ok := strings.CutPrefix(l.Key, "GITMANIFEST--"); ok && !strings.HasSuffix(uuid, ".bak") {
			urls = append(urls, cloneURL(uuid, set))
		}
	})
	if err == nil && len(urls) == 0 {
		err = errors.New("no git repository was pushed there: get the files one by one with shardraid list and shardraid get")
	}
	show(cmd, urls...)
	return err
}
