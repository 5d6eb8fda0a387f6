package cli

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"shardraid/clone"
)

func (a *app) urlCommand() *cobra.Command {
	return &cobra.Command{
		Use: "url", Short: "print the URL by which git clones from the remote itself", Args: cobra.NoArgs,
		Long: "Prints the annex:: URL for git clone, with git-annex 10.20241031 or newer. Before, git must have been pushed there:\n\n  git annex enableremote --with-url NAME; git push NAME main git-annex\n\nThe URL holds no secret; the clone needs the GPG key or the passphrase, and rclone.conf.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findRepo(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := r.settings(cmd); err != nil {
				return err
			}
			config, err := r.config(cmd.Context())
			if err != nil {
				return err
			}
			if config["encryption"] != "none" {
				return errors.New("git-annex clones only from remotes with encryption=none (shardraid encrypts by itself)")
			}
			query := url.Values{}
			for _, key := range []string{"type", "externaltype", "encryption", clone.SetVault, clone.SetSigned} {
				query.Set(key, config[key])
			}
			print(cmd, fmt.Sprintf("annex::%s?%s", r.uuid, query.Encode()))
			return nil
		},
	}
}
