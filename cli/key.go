package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"shardraid/clone"
	"shardraid/vault"
)

func (a *app) keyCommand() *cobra.Command {
	key := group("key", "who may open the remote")
	add := func(use, short, long string, args cobra.PositionalArgs, run func(cmd *cobra.Command, r *repo, args []string) error) {
		key.AddCommand(&cobra.Command{Use: use, Short: short, Long: long, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.findRepo(cmd.Context())
			if err != nil {
				return err
			}
			return run(cmd, r, args)
		}})
	}
	add("show", "show the vault's fingerprint, its mode and who may open it", "", cobra.NoArgs, keyShow)
	add("add-recipient FINGERPRINT", "let another GPG key open the remote",
		"Lets another GPG key open the remote. A remote in mode local gets mode recipients by that; your own key must be among the recipients then.", cobra.ExactArgs(1), keyAdd)
	add("remove-recipient FINGERPRINT", "stop giving the key to a GPG key",
		"Wraps the vault anew without this GPG key.\n\n"+removeWarning, cobra.ExactArgs(1), keyRemove)
	add("change-passphrase", "set another passphrase",
		"Wraps the vault to another passphrase. A remote in mode local gets mode passphrase by that. Who knows the old passphrase and has an old copy of the git-annex branch, or of what a backend held, can still open the vault.", cobra.NoArgs, keyChange)
	add("renew-copies", "put new copies of the wrapped key on all backends",
		"Puts new copies of the wrapped key on all backends and takes the earlier ones away: for backends that did not answer when something was changed.", cobra.NoArgs, keyRenew)
	add("export FILE", "write a recovery file, and print the words that open it",
		"Writes a recovery file and prints eight words. Both together open the remote, without git and without any other key; one of them alone does nothing. Keep them in different places.", cobra.ExactArgs(1), keyExport)
	add("import FILE", "take the key from a recovery file into this clone",
		"Takes the key from a recovery file into git-annex's credential store of this clone. The words are asked for, or read from "+clone.PassphraseFile+".", cobra.ExactArgs(1), keyImport)
	add("trust FINGERPRINT", "trust the vault and the layout that git has now",
		"Makes this clone trust the vault with this fingerprint, and the layout that git has now, whatever it has trusted before. Do this only if you know the fingerprint from its owner, not from git.", cobra.ExactArgs(1), keyTrust)
	return key
}

const removeWarning = "This does not undo what was given: whoever has opened the vault once, or has an old copy of the git-annex branch or of what a backend held, can still read everything that is stored in this remote, now and later. " +
	"To shut somebody out, take his access to the accounts away, make a new remote, and copy the files over."

func keyShow(cmd *cobra.Command, r *repo, _ []string) error {
	set, err := r.settings(cmd)
	if err != nil {
		return err
	}
	card := set.Card
	show(cmd, "vault:      "+card.Fingerprint(), "mode:       "+string(card.Mode))
	for _, fpr := range card.Recipients {
		show(cmd, "recipient:  "+fpr)
	}
	if card.Creator.Key != "" {
		note, err := card.VerifyCreator(cmd.Context())
		switch {
		case err != nil:
			note = " (NOT verified: " + err.Error() + ")"
		case note != "":
			note = " (verified; " + note + ")"
		default:
			note = " (verified)"
		}
		show(cmd, "creator:    "+card.Creator.Key+note)
	}
	show(cmd, fmt.Sprintf("card:       serial %d", card.Serial), fmt.Sprintf("layout:     epoch %d, %s", set.Layout.Epoch, set.Layout.Hash))
	if _, err := os.Stat(r.creds()); err == nil {
		show(cmd, "this clone: has the key in "+r.creds())
	}
	return nil
}

// rewrap changes who may open the vault, in git first: what the backends hold
// is for the day when git is lost.
func rewrap(cmd *cobra.Command, r *repo, change func(ctx context.Context, v *vault.Vault, a *vault.Access) (passphrase string, err error)) error {
	ctx := cmd.Context()
	set, v, err := r.opened(cmd)
	if err != nil {
		return err
	}
	access := set.Card.Access
	access.Serial++
	passphrase, err := change(ctx, v, &access)
	if err != nil {
		return err
	}
	card, err := v.Card(access)
	if err != nil {
		return err
	}
	if set, err = clone.Sign(v, card, set.Document); err != nil {
		return err
	}
	if err := r.publish(ctx, set); err != nil {
		return err
	}
	pool, err := clone.Connect(v, set.Layout, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	note(cmd, "changed; other clones learn of it by git annex sync")
	err = pool.ReplaceCopies(ctx, func(ctx context.Context) ([]byte, error) { return vault.SealCopy(ctx, v, card, passphrase) })
	if err != nil {
		return fmt.Errorf("some backends still hold the copy of before: when they answer, run shardraid key renew-copies: %w", err)
	}
	return nil
}

// keyRenew puts new copies of the vault on all backends that answer.
func keyRenew(cmd *cobra.Command, r *repo, _ []string) error {
	ctx := cmd.Context()
	set, v, err := r.opened(cmd)
	if err != nil {
		return err
	}
	if set.Card.Mode == vault.Local {
		return errors.New("the remote is in mode local: there are no copies of its key on the backends")
	}
	passphrase, err := passphraseOf(ctx, set.Card)
	if err != nil {
		return err
	}
	pool, err := clone.Connect(v, set.Layout, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	return pool.ReplaceCopies(ctx, func(ctx context.Context) ([]byte, error) { return vault.SealCopy(ctx, v, set.Card, passphrase) })
}

// passphraseOf asks for the passphrase that opens a card, where one does.
func passphraseOf(ctx context.Context, card *vault.Card) (string, error) {
	if card.Mode != vault.Passphrase {
		return "", nil
	}
	passphrase, err := clone.AskPassphrase(ctx, "the remote, for the copies of its key")
	if err == nil {
		_, err = vault.UnwrapPassphrase(card, passphrase)
	}
	return passphrase, err
}

func keyAdd(cmd *cobra.Command, r *repo, args []string) error {
	err := rewrap(cmd, r, func(ctx context.Context, v *vault.Vault, a *vault.Access) (_ string, err error) {
		added, err := vault.ParseRecipients(args[0])
		if err != nil {
			return "", err
		}
		if a.Mode == vault.Passphrase {
			return "", errors.New("the remote is in mode passphrase: whoever shall open it needs the passphrase; there is no way to have both")
		}
		for _, fpr := range added {
			if slices.Contains(a.Recipients, fpr) {
				return "", fmt.Errorf("%s may open the remote already", fpr)
			}
		}
		a.Mode, a.Recipients = vault.Recipients, append(slices.Clone(a.Recipients), added...)
		if a.Creator.Key == "" {
			if a.Creator, err = vault.Vouch(ctx, v, a.Recipients); err != nil {
				return "", err
			}
		}
		a.Wrapped, err = vault.Wrap(ctx, v, a.Recipients)
		return "", err
	})
	if _, gone := os.Stat(r.creds()); err == nil && gone == nil {
		note(cmd, "this clone still has the key in the clear, in %s: delete the file when git annex works with your GPG key", r.creds())
	}
	return err
}

func keyRemove(cmd *cobra.Command, r *repo, args []string) error {
	err := rewrap(cmd, r, func(ctx context.Context, v *vault.Vault, a *vault.Access) (_ string, err error) {
		removed, err := vault.ParseRecipients(args[0])
		if err != nil {
			return "", err
		}
		var left []string
		for _, fpr := range a.Recipients {
			if !slices.Contains(removed, fpr) {
				left = append(left, fpr)
			}
		}
		switch {
		case len(a.Recipients)-len(left) < len(removed):
			return "", fmt.Errorf("%s is no recipient; they are: %s", args[0], strings.Join(a.Recipients, ", "))
		case len(left) == 0:
			return "", errors.New("nobody would be left to open the remote: add another recipient first")
		}
		a.Recipients = left
		a.Wrapped, err = vault.Wrap(ctx, v, left)
		return "", err
	})
	if err == nil {
		note(cmd, "%s", removeWarning)
	}
	return err
}

func keyChange(cmd *cobra.Command, r *repo, _ []string) error {
	var v *vault.Vault
	err := rewrap(cmd, r, func(ctx context.Context, opened *vault.Vault, a *vault.Access) (passphrase string, err error) {
		if a.Mode == vault.Recipients {
			return "", errors.New("the remote is in mode recipients: GPG keys open it, no passphrase (for one beside them see shardraid key export)")
		}
		if passphrase, err = clone.NewPassphrase(ctx, "the remote"); err != nil {
			return "", err
		}
		if a.Mode == vault.Passphrase && a.OpensWith(passphrase) {
			return "", errors.New("that is the passphrase already")
		}
		v = opened
		a.Mode = vault.Passphrase
		a.Wrapped, err = vault.WrapPassphrase(v, passphrase)
		return passphrase, err
	})
	if err != nil {
		return err
	}
	return clone.WriteCreds(r.creds(), v)
}

func keyExport(cmd *cobra.Command, r *repo, args []string) error {
	set, v, err := r.opened(cmd)
	if err != nil {
		return err
	}
	words, err := vault.Words()
	if err != nil {
		return err
	}
	text, err := v.Export(set.Card, words)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write recovery file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write recovery file: %w", err)
	}
	note(cmd, "%s is written. Print the next line and keep it apart from the file: together they open the remote.", args[0])
	show(cmd, words)
	return nil
}

// keyImport asks for no creator: the key itself proves whose settings these
// are.
func keyImport(cmd *cobra.Command, r *repo, args []string) error {
	set, err := r.fromGit(cmd.Context())
	if err != nil {
		return err
	}
	known, err := r.dir.Pinned()
	if err == nil && known != nil {
		err = known.Precedes(set)
	}
	if err != nil {
		return err
	}
	v, _, err := clone.ReadKeyFile(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	if got, want := v.Fingerprint(), set.Card.Fingerprint(); got != want {
		return fmt.Errorf("%s is the key of vault %s, and remote %s is of vault %s", args[0], got, r.name, want)
	}
	if err := clone.WriteCreds(r.creds(), v); err != nil {
		return err
	}
	if err := r.dir.Proved(set); err != nil {
		return err
	}
	note(cmd, "this clone has the key of remote %s now, in the clear, in %s", r.name, r.creds())
	return nil
}

func keyTrust(cmd *cobra.Command, r *repo, args []string) error {
	set, err := r.fromGit(cmd.Context())
	if err != nil {
		return err
	}
	if want := strings.ToUpper(args[0]); want != set.Card.Fingerprint() {
		return fmt.Errorf("git has vault %s, not %s: nothing is changed", set.Card.Fingerprint(), want)
	}
	if err := r.dir.Pin(set); err != nil {
		return err
	}
	note(cmd, "this clone trusts vault %s from now on, with the layout of epoch %d (%.12s)", set.Card.Fingerprint(), set.Layout.Epoch, set.Layout.Hash)
	return nil
}
