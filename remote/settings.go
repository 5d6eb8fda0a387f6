package remote

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"shardraid/annex"
	"shardraid/layout"
	"shardraid/vault"
)

// The remote's settings in git-annex's configuration. The last two are ours:
// the set-up writes them, and they hold no secret.
const (
	setLayout     = "layout"
	setRecipients = "recipients"
	setVault      = "vault"
	setSigned     = "signedlayout"

	// credsVault is not a setting's name: git-annex would take that for creds
	// embedded in git.
	credsVault = "vaultkey"

	layoutKind = "shardraid-layout-v1"
)

// Configs lists the settings for git-annex initremote --whatelse.
func (r *Remote) Configs() []annex.Config {
	return []annex.Config{
		{Name: setLayout, Description: "YAML file that says how many shards, and which backends hold them (required by initremote)"},
		{Name: setRecipients, Description: "full fingerprints of the GPG keys that may open the remote, separated by commas; without them its key stays in this clone"},
		{Name: setVault, Description: "written by shardraid: the public side of the remote's keys"},
		{Name: setSigned, Description: "written by shardraid: the layout as signed"},
	}
}

// readSettings reads and verifies what initremote has written.
func readSettings(s *annex.Session) (*settings, error) {
	text, err := s.Config(setVault)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("this remote was never set up: run git annex initremote with layout=FILE")
	}
	card, err := vault.ParseCard(text)
	if err != nil {
		return nil, err
	}
	if text, err = s.Config(setSigned); err != nil {
		return nil, err
	}
	signed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read signed layout: %w", err)
	}
	body, err := card.Verify(layoutKind, signed)
	if err != nil {
		return nil, fmt.Errorf("read signed layout: vault %s has not signed it: %w", card.Fingerprint(), err)
	}
	doc, l, err := layout.ParseDocument(body)
	if err != nil {
		return nil, fmt.Errorf("read signed layout: %w", err)
	}
	return &settings{card, doc, l}, nil
}

// openVault opens the vault with what this clone and this user have.
func openVault(ctx context.Context, s *annex.Session, card *vault.Card) (*vault.Vault, error) {
	if card.Mode() == vault.Recipients {
		return vault.Unwrap(ctx, card)
	}
	secret, err := localSecret(s)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, errors.New(noSecret(s))
	}
	return vault.Parse(secret, card)
}

// localSecret returns the vault from git-annex's credential store, or nil.
func localSecret(s *annex.Session) ([]byte, error) {
	_, text, err := s.Creds(credsVault)
	if err != nil || text == "" {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read the key from git-annex's credential store: %w", err)
	}
	return secret, nil
}

// noSecret says what to do in a clone that has no key.
func noSecret(s *annex.Session) string {
	return "this clone does not have the remote's key: copy the file " + credsFile(s) + " from the clone where git annex initremote was run, to the same place in this one"
}

// credsFile names the file in which git-annex keeps the key.
func credsFile(s *annex.Session) string {
	uuid, err := s.UUID()
	if err != nil {
		uuid = "UUID"
	}
	return ".git/annex/creds/" + uuid + "-" + credsVault
}
