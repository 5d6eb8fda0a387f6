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
// credential store. CredsName is not a setting's name: git-annex would take
// that for creds embedded in git.
const (
	SetVault  = "vault"
	SetSigned = "signedlayout"
	CredsName = "vaultkey"
)

// CredsPath is the file in which git-annex keeps the key of the remote with
// this UUID, where it keeps one.
func CredsPath(gitDir, uuid string) string {
	return filepath.Join(gitDir, "annex", "creds", uuid+"-"+CredsName)
}

// OpenVault opens the vault of a card outside of the protocol: with the key in
// the credential store, through gpg, or by asking for the passphrase.
func OpenVault(ctx context.Context, card *vault.Card, creds string) (*vault.Vault, error) {
	secret, err := readCreds(creds)
	if err != nil {
		return nil, err
	}
	switch {
	case secret != nil:
		return vault.Parse(secret, card)
	case card.Mode == vault.Recipients:
		return vault.Unwrap(ctx, card)
	case card.Mode == vault.Passphrase:
		passphrase, err := AskPassphrase("vault " + card.Fingerprint())
		if err != nil {
			return nil, err
		}
		return vault.UnwrapPassphrase(card, passphrase)
	}
	return nil, fmt.Errorf("open vault %s: this clone does not have the key: run shardraid key export FILE in the clone that has it, and shardraid key import FILE here", card.Fingerprint())
}

// readCreds reads a file of git-annex's credential store: a line with the
// user, here the vault's fingerprint, and one with the password.
func readCreds(path string) ([]byte, error) {
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
	tmp, err := os.CreateTemp(filepath.Dir(path), "tmp") // for this user's eyes only
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	return nil
}
