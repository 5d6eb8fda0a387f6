package vault

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Wrap encrypts the vault to the GPG keys with these full fingerprints. gpg
// refuses keys that are unknown, expired or revoked.
func Wrap(ctx context.Context, v *Vault, recipients []string) ([]byte, error) {
	plain, err := v.Marshal()
	if err != nil {
		return nil, err
	}
	return encryptTo(ctx, plain, recipients, "--recipient")
}

// WrapPassphrase encrypts the vault to a passphrase.
func WrapPassphrase(v *Vault, passphrase string) ([]byte, error) {
	plain, err := v.Marshal()
	if err != nil {
		return nil, err
	}
	return lock(plain, passphrase)
}

// Unwrap opens the vault of a card in mode recipients with the user's GPG
// key, through gpg and its agent.
func Unwrap(ctx context.Context, card *Card) (*Vault, error) {
	plain, err := decrypt(ctx, card.Wrapped, card.Recipients)
	if err != nil {
		return nil, fmt.Errorf("open vault %s: %w", card.Fingerprint(), err)
	}
	return Parse(plain, card)
}

// UnwrapPassphrase opens the vault of a card in mode passphrase.
func UnwrapPassphrase(card *Card, passphrase string) (*Vault, error) {
	plain, err := unlock(card.Wrapped, passphrase)
	if err != nil {
		return nil, fmt.Errorf("open vault %s: %w", card.Fingerprint(), err)
	}
	return Parse(plain, card)
}

// OpensWith reports whether a passphrase opens what is wrapped.
func (a *Access) OpensWith(passphrase string) bool {
	_, err := unlock(a.Wrapped, passphrase)
	return err == nil
}

// A bundle is the card and the vault document: all that is needed without
// git. It is stored wrapped, on every backend and in recovery files.
func (v *Vault) bundle(card *Card) ([]byte, error) {
	doc, err := v.Marshal()
	if err != nil {
		return nil, err
	}
	return []byte(bundleKind + "\n" + card.String() + "\n" + base64.StdEncoding.EncodeToString(doc) + "\n"), nil
}

const bundleKind = "shardraid-bundle-v1"

func parseBundle(plain []byte) (*Vault, *Card, error) {
	lines := strings.Split(string(plain), "\n")
	if len(lines) != 4 || lines[0] != bundleKind || lines[3] != "" {
		return nil, nil, fmt.Errorf("%w: not a %s", ErrRecord, bundleKind)
	}
	card, err := ParseCard(lines[1])
	if err != nil {
		return nil, nil, err
	}
	doc, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrRecord, err)
	}
	v, err := Parse(doc, card)
	return v, card, err
}

// SealCopy returns one copy of the vault for a backend, openable by whoever
// the card says; the passphrase is for that mode alone. No two copies share a
// byte that tells whose they are. In mode local there are none: nil.
func SealCopy(ctx context.Context, v *Vault, card *Card, passphrase string) ([]byte, error) {
	plain, err := v.bundle(card)
	if err != nil {
		return nil, err
	}
	switch card.Mode {
	case Recipients:
		return encryptTo(ctx, plain, card.Recipients, "--hidden-recipient")
	case Passphrase:
		return lock(plain, passphrase)
	}
	return nil, nil
}

// OpenCopy opens a copy that SealCopy wrote: with the passphrase, or through
// gpg where that is "". Who made it is not proved by that: see
// Card.VerifyCreator.
func OpenCopy(ctx context.Context, message []byte, passphrase string) (*Vault, *Card, error) {
	var plain []byte
	var err error
	mode := Recipients
	if passphrase != "" {
		mode = Passphrase
		plain, err = unlock(message, passphrase)
	} else {
		plain, err = decrypt(ctx, message, nil)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open vault copy: %w", err)
	}
	v, card, err := parseBundle(plain)
	if err == nil && card.Mode != mode {
		// Anybody can encrypt to a GPG key: only a card of that mode has a creator.
		return nil, nil, fmt.Errorf("open vault copy: %w: its card is of mode %s", ErrRecord, card.Mode)
	}
	return v, card, err
}

// NeedsPassphrase tells a copy that is locked to a passphrase from one that is
// encrypted to GPG keys.
func NeedsPassphrase(message []byte) bool {
	return len(message) > saltSize+1 && message[saltSize] >= 1 && message[saltSize] <= maxLogN && checkLocked(message[saltSize+1:]) == nil
}

const recoveryType = "SHARDRAID RECOVERY"

// Export returns a recovery file: text that opens with the passphrase, and
// then needs nothing else (docs/recovery.md).
func (v *Vault) Export(card *Card, passphrase string) ([]byte, error) {
	plain, err := v.bundle(card)
	if err != nil {
		return nil, err
	}
	locked, err := lock(plain, passphrase)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: recoveryType, Headers: map[string]string{"Vault": v.Fingerprint()}, Bytes: locked}), nil
}

// Import reads what Export wrote.
func Import(file []byte, passphrase string) (*Vault, *Card, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != recoveryType {
		return nil, nil, errors.New("read recovery file: it has no block \"BEGIN " + recoveryType + "\": shardraid key export writes such files")
	}
	plain, err := unlock(block.Bytes, passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("read recovery file: %w", err)
	}
	v, card, err := parseBundle(plain)
	if err != nil {
		return nil, nil, fmt.Errorf("read recovery file: %w", err)
	}
	return v, card, nil
}
