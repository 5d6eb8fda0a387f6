package remote

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"shardraid/annex"
	"shardraid/clone"
	"shardraid/vault"
)

// The remote's settings in git-annex's configuration. The last two are ours:
// the set-up writes them, and they hold no secret.
const (
	setLayout     = "layout"
	setRecipients = "recipients"
	setPassphrase = "passphrase"
)

// Configs lists the settings for git-annex initremote --whatelse.
func (r *Remote) Configs() []annex.Config {
	return []annex.Config{
		{Name: setLayout, Description: "YAML file that says how many shards, and which backends hold them (required by initremote)"},
		{Name: setRecipients, Description: "full fingerprints of the GPG keys that may open the remote, separated by commas"},
		{Name: setPassphrase, Description: "yes: a passphrase opens the remote; without this and recipients its key stays in this clone"},
		{Name: clone.SetVault, Description: "written by shardraid: the public side of the remote's keys"},
		{Name: clone.SetSigned, Description: "written by shardraid: the layout as signed"},
	}
}

// readSettings reads and verifies what initremote has written.
func readSettings(s *annex.Session) (*clone.Settings, error) {
	card, err := s.Config(clone.SetVault)
	if err != nil {
		return nil, err
	}
	signed, err := s.Config(clone.SetSigned)
	if err != nil {
		return nil, err
	}
	return clone.ParseSettings(card, signed)
}

func writeSettings(s *annex.Session, set *clone.Settings) error {
	card, signed := set.Values()
	for _, c := range [][2]string{
		{clone.SetVault, card},
		{clone.SetSigned, signed},
		{setLayout, ""}, // the path means nothing in another clone
	} {
		if err := s.SetConfig(c[0], c[1]); err != nil {
			return err
		}
	}
	return nil
}

// openVault opens the vault with what this clone and this user have. It never
// asks for a passphrase: it runs in the middle of transfers.
func openVault(ctx context.Context, s *annex.Session, card *vault.Card) (*vault.Vault, error) {
	secret, err := storedSecret(s)
	if err != nil {
		return nil, err
	}
	if secret != nil {
		return vault.Parse(secret, card)
	}
	if card.Mode == vault.Recipients {
		return vault.Unwrap(ctx, card)
	}
	return nil, errors.New(noSecret(s, card))
}

// storedSecret returns the vault from git-annex's credential store, or nil.
func storedSecret(s *annex.Session) ([]byte, error) {
	_, text, err := s.Creds(clone.CredsName)
	if err != nil || text == "" {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read the key from git-annex's credential store: %w", err)
	}
	return secret, nil
}

// storeSecret puts the vault into git-annex's credential store.
func storeSecret(s *annex.Session, v *vault.Vault) error {
	secret, err := v.Marshal()
	if err != nil {
		return err
	}
	return s.SetCreds(clone.CredsName, v.Fingerprint(), base64.StdEncoding.EncodeToString(secret))
}

// noSecret says what to do in a clone that has no key.
func noSecret(s *annex.Session, card *vault.Card) string {
	if card.Mode == vault.Passphrase {
		return "this clone does not have the remote's key: run git annex enableremote on a terminal, or with " + clone.PassphraseFile + " set, to give the passphrase once"
	}
	return "this clone does not have the remote's key: run shardraid key export FILE in the clone where git annex initremote was run and shardraid key import FILE here, or copy its " + credsFile(s) + " to the same place in this one"
}

// credsFile names the file in which git-annex keeps the key.
func credsFile(s *annex.Session) string {
	uuid, err := s.UUID()
	if err != nil {
		uuid = "UUID"
	}
	return clone.CredsPath(".git", uuid)
}
