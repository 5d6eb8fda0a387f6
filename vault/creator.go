package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Creator is the GPG key that vouches for a vault, and its signature.
// Encryption to a user's key proves nothing: anybody can do that.
type Creator struct {
	Key       string `json:"key"`       // full fingerprint of the primary key
	Signature []byte `json:"signature"` // detached, over the statement
}

// statement is what a creator signs: this is the owner key of my vault.
func statement(owner []byte) []byte { return append([]byte("shardraid-creator-v1\n"), owner...) }

// Vouch signs the vault with the first of the recipients' GPG keys that this
// user has. gpg may ask for its passphrase.
func Vouch(ctx context.Context, v *Vault, recipients []string) (Creator, error) {
	v.mu.Lock()
	owner, err := publicKey(v.owner)
	v.mu.Unlock()
	if err != nil {
		return Creator{}, err
	}
	key := ""
	for _, fpr := range recipients {
		if own, signs := secretKey(ctx, fpr); signs {
			key = own
			break
		}
	}
	if key == "" {
		return Creator{}, fmt.Errorf("sign vault: you have the secret key of none of %s, and could not open the remote yourself: add your own key (gpg --list-secret-keys)", strings.Join(recipients, ", "))
	}
	signature, _, err := runGPG(ctx, statement(owner), "--detach-sign", "--local-user", key)
	if err != nil {
		return Creator{}, fmt.Errorf("sign vault with GPG key %s: %w: if it is locked, unlock it (%s) and try again", key, err, unlockSigning(key))
	}
	return Creator{key, signature}, nil
}

// secretKey returns the fingerprint of the primary key that fpr belongs to if
// this user has its secret key, else "", and whether it can sign now.
func secretKey(ctx context.Context, fpr string) (primary string, signs bool) {
	out, _, err := runGPG(ctx, nil, "--with-colons", "--list-secret-keys", fpr)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(line, ":")
		switch {
		case len(fields) > 11 && fields[0] == "sec":
			signs = strings.Contains(fields[11], "S") // capital: of the whole key, now
		case len(fields) > 9 && fields[0] == "fpr":
			return fields[9], signs
		}
	}
	return "", false
}

var (
	// ErrNoCreator is returned for a vault that no GPG key vouches for.
	ErrNoCreator = errors.New("no GPG key vouches for the vault")
	// ErrUnknownCreator is returned where the creator's public key is not in
	// the keyring.
	ErrUnknownCreator = errors.New("the creator's public key is not in your keyring")
	// ErrUncertified is returned where it is there, and nobody says that it
	// belongs to whom it names.
	ErrUncertified = errors.New("the creator's public key is in your keyring, and is not certified")
)

// VerifyCreator makes sure that the creator's GPG key signed this vault, and
// that the key is this user's own or certified by him. An own key that has
// expired is good enough, for a person stays the same; note says so. A revoked
// one is not.
func (c *Card) VerifyCreator(ctx context.Context) (note string, err error) {
	if c.Creator.Key == "" {
		return "", ErrNoCreator
	}
	owner, err := c.ownerKey()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "shardraid")
	if err != nil {
		return "", fmt.Errorf("check creator's signature: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "signature")
	if err := os.WriteFile(file, c.Creator.Signature, 0o600); err != nil {
		return "", fmt.Errorf("check creator's signature: %w", err)
	}
	_, status, err := runGPG(ctx, statement(owner), "--verify", file, "-")
	note, err = judgeSignature(string(status), c.Creator.Key, err)
	if err != nil {
		return "", err
	}
	certified := hasStatus(status, "TRUST_FULLY") || hasStatus(status, "TRUST_ULTIMATE")
	if own, _ := secretKey(ctx, c.Creator.Key); own == "" && !certified {
		return "", ErrUncertified
	}
	return note, nil
}

// judgeSignature reads gpg's status lines; its exit code alone says nothing
// about whose signature it was.
func judgeSignature(all, key string, err error) (note string, _ error) {
	var valid, good, expired bool
	for line := range strings.Lines(all) {
		status, ours := strings.CutPrefix(line, "[GNUPG:] ")
		if !ours {
			continue
		}
		fields := strings.Fields(status)
		if len(fields) == 0 || !strings.HasPrefix(status, fields[0]) {
			return "", errors.New("gpg's status lines are not as they should be")
		}
		switch fields[0] {
		case "GOODSIG":
			good = true
		case "EXPKEYSIG":
			expired = true
		case "NO_PUBKEY":
			return "", ErrUnknownCreator
		case "REVKEYSIG":
			return "", fmt.Errorf("GPG key %s is revoked", key)
		case "VALIDSIG":
			valid = fields[len(fields)-1] == key // the primary key's
		case "BADSIG", "EXPSIG", "ERRSIG":
			if fields[0] != "ERRSIG" || !strings.Contains(all, "NO_PUBKEY") {
				return "", fmt.Errorf("the signature of GPG key %s is not good", key)
			}
		}
	}
	switch {
	case valid && good && err == nil:
		return "", nil
	case valid && expired:
		return "the key has expired since", nil
	case err != nil && !good && !expired:
		return "", err
	}
	return "", fmt.Errorf("the signature is not by GPG key %s", key)
}

func unlockSigning(key string) string {
	return "echo | gpg --sign --local-user " + key + " >/dev/null"
}
