package clone

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"shardraid/vault"
)

// The names under which git-annex keeps the settings, and the key in its
// credential store.
const (
	SetVault  = "vault"
	SetSigned = "signedlayout"
	CredsName = "vaultkey"
)

// CredsPath is the file in git-annex's credential store that holds the key of
// the remote with this UUID. We read and write it ourselves: git-annex would
// hand out what somebody has put into git under that name, and put what it is
// given into git where somebody has set a cipher.
func CredsPath(gitDir, uuid string) string {
	return filepath.Join(gitDir, "annex", "creds", uuid+"-"+CredsName)
}

// OpenVault opens the vault of a card with the key in the credential store,
// through gpg, or with a passphrase that ask gets; nil to ask nobody.
func OpenVault(ctx context.Context, card *vault.Card, creds string, ask func(ctx context.Context, what string) (string, error)) (*vault.Vault, error) {
	secret, err := ReadCreds(creds)
	if err != nil {
		return nil, err
	}
	switch {
	case secret != nil:
		return vault.Parse(secret, card)
	case ask == nil && card.Mode == vault.Passphrase:
		return nil, ErrNoKey
	case card.Mode == vault.Recipients:
		return vault.Unwrap(ctx, card)
	case card.Mode == vault.Passphrase:
		passphrase, err := ask(ctx, "vault "+card.Fingerprint())
		if err != nil {
			return nil, err
		}
		return vault.UnwrapPassphrase(card, passphrase)
	}
	return nil, ErrNoKey
}

// ErrNoKey is returned where this clone has nothing that opens the vault.
var ErrNoKey = errors.New("this clone does not have the remote's key")

// ReadCreds reads a file of git-annex's credential store: a line with the
// user, here the vault's fingerprint, and one with the password.
func ReadCreds(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key from git-annex's credential store: %w", err)
	}
	_, text, _ := bytes.Cut(data, []byte("\n"))
	secret, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, fmt.Errorf("read the key from %s: %w", path, err)
	}
	return secret, nil
}

// WriteCreds puts the vault into git-annex's credential store.
func WriteCreds(path string, v *vault.Vault) error {
	secret, err := v.Marshal()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	text := v.Fingerprint() + "\n" + base64.StdEncoding.EncodeToString(secret)
	if err := replaceFile(path, []byte(text)); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	return nil
}
