package clone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"shardraid/vault"
)

// pin is what this clone has come to trust: one vault, and the newest card
// and layout of it that were seen.
type pin struct {
	Version int    `json:"version"`
	Vault   string `json:"vault"`
	Card    string `json:"card"`
	Layout  string `json:"layout"`
}

const (
	pinFile     = "pin"
	stagedFile  = "staged"
	attemptFile = "attempt"
)

// Trust makes sure that settings are of the vault that this clone trusts and
// not older than what it has seen. The first use pins the vault: in mode
// recipients here, where its creator must be known, in the others when the key
// has opened it (Proved). What is said of that is for a person to read.
func (s *Dir) Trust(ctx context.Context, set *Settings) (said string, err error) {
	known, err := s.Pinned()
	if err != nil {
		return "", err
	}
	if known == nil && set.Card.Mode != vault.Recipients {
		return "", nil // whose it is shows when the key opens it: see Proved
	}
	if known == nil {
		if said, err = firstUse(ctx, set.Card); err != nil {
			return "", err
		}
		return said + " is trusted from now on", s.Pin(set)
	}
	if err := known.Precedes(set); err != nil {
		return "", err
	}
	if known.Card.Serial != set.Card.Serial || known.Layout.Hash != set.Layout.Hash {
		return "", s.Pin(set)
	}
	return "", nil
}

// Proved pins settings, unless others are, whose vault was opened with a key
// that did not come through git.
func (s *Dir) Proved(set *Settings) error {
	if known, err := s.Pinned(); known != nil || err != nil {
		return err
	}
	return s.Pin(set)
}

var (
	// ErrVault: another vault, or one that nobody known vouches for.
	ErrVault = errors.New("the vault is not trusted")
	// ErrOlder: git has an older card or layout than this clone has seen.
	ErrOlder = errors.New("git was put back")
	// ErrFork: neither of two layouts follows the other.
	ErrFork = errors.New("the layout is forked")
	// ErrCards: two clones changed at once who may open the vault.
	ErrCards = errors.New("there are two cards of one serial")
)

// distrusted is an error whose text is for a person.
type distrusted struct {
	text string
	kind error
}

func (e *distrusted) Error() string { return e.text }
func (e *distrusted) Unwrap() error { return e.kind }

func distrust(kind error, format string, args ...any) error {
	return &distrusted{fmt.Sprintf(format, args...), kind}
}

// Precedes returns nil if set may follow what is known; nothing may where that
// is nil.
func (known *Settings) Precedes(set *Settings) error {
	if known == nil {
		return distrust(ErrVault, "this clone trusts no vault yet")
	}
	if had, got := known.Card.Fingerprint(), set.Card.Fingerprint(); had != got {
		return distrust(ErrVault, "another vault: git says %s, and this clone trusts %s: somebody replaced it; if it was you, run: shardraid key trust %s", got, had, got)
	}
	had, got := known.Card.Serial, set.Card.Serial
	switch {
	case got < had:
		return distrust(ErrOlder, "an older vault card: git has serial %d, and this clone has seen %d: to put the newer one back into git, run: shardraid layout apply", got, had)
	case got == had && !reflect.DeepEqual(known.Card.Access, set.Card.Access):
		return distrust(ErrCards, "another vault card: git has one of serial %d, and this clone has seen another of that serial: two clones changed at once who may open the remote; to take the one in git, run: shardraid key trust %s, then make the other change again", got, set.Card.Fingerprint())
	}
	return known.layoutPrecedes(set)
}

func (known *Settings) layoutPrecedes(set *Settings) error {
	had, got := known.Layout, set.Layout
	switch {
	case had.Hash == got.Hash || set.Document.Follows(had.Hash):
		return nil
	case known.Document.Follows(got.Hash):
		return distrust(ErrOlder, "an older layout: git has epoch %d (%.12s), and this clone has seen epoch %d (%.12s): to put the newer one back into git, run: shardraid layout apply", got.Epoch, got.Hash, had.Epoch, had.Hash)
	}
	return distrust(ErrFork, "a forked layout: git has epoch %d (%.12s), which does not follow epoch %d (%.12s) that this clone has seen: two clones applied layouts at once, or git was put back: to join both, run: shardraid layout apply --join FILE", got.Epoch, got.Hash, had.Epoch, had.Hash)
}

// firstUse returns whose vault it is, the beginning of a sentence. Whoever can write to git can put a vault
// of his own there, encrypted to everybody: only the creator's signature tells.
func firstUse(ctx context.Context, card *vault.Card) (string, error) {
	if card.Mode != vault.Recipients {
		return "vault " + card.Fingerprint(), nil
	}
	note, err := card.VerifyCreator(ctx)
	switch {
	case errors.Is(err, vault.ErrUnknownCreator):
		return "", distrust(ErrVault, "vault %s claims to be made by GPG key %s, which is not in your keyring: fetch that key and check its fingerprint with its owner, or, if you know that the vault is right, run: shardraid key trust %s",
			card.Fingerprint(), card.Creator.Key, card.Fingerprint())
	case errors.Is(err, vault.ErrUncertified):
		return "", distrust(ErrVault, "vault %s is made by GPG key %s, which is in your keyring and not certified: check its fingerprint with its owner, and run gpg --lsign-key %s, or, if you know that the vault is right, run: shardraid key trust %s",
			card.Fingerprint(), card.Creator.Key, card.Creator.Key, card.Fingerprint())
	case err != nil:
		return "", distrust(ErrVault, "vault %s: %v: somebody else may have put it there; if you know that it is right, run: shardraid key trust %s", card.Fingerprint(), err, card.Fingerprint())
	}
	if note != "" {
		note = " (" + note + ")"
	}
	return fmt.Sprintf("vault %s, made by GPG key %s%s,", card.Fingerprint(), card.Creator.Key, note), nil
}

// Pinned returns the settings that this clone trusts, or nil.
func (s *Dir) Pinned() (*Settings, error) { return s.load(pinFile) }

// Pin trusts these settings from now on.
func (s *Dir) Pin(set *Settings) error { return s.save(pinFile, set) }

// Staged returns the settings that the command line wants in git: enableremote
// writes them there, for nobody else can.
func (s *Dir) Staged() (*Settings, error) { return s.load(stagedFile) }

// Stage and Unstage set and drop them.
func (s *Dir) Stage(set *Settings) error { return s.save(stagedFile, set) }
func (s *Dir) Unstage()                  { os.Remove(filepath.Join(s.path, stagedFile)) }

// Attempt returns the settings that an apply began to put on the backends and
// has not finished.
func (s *Dir) Attempt() (*Settings, error) { return s.load(attemptFile) }

// Begin and Finish set and drop them.
func (s *Dir) Begin(set *Settings) error { return s.save(attemptFile, set) }
func (s *Dir) Finish()                   { os.Remove(filepath.Join(s.path, attemptFile)) }

func (s *Dir) load(file string) (*Settings, error) {
	path := filepath.Join(s.path, file)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what this clone trusts: %w", err)
	}
	return parsePin(path, data)
}

// parsePin reads what save wrote; path is for error texts.
func parsePin(path string, data []byte) (*Settings, error) {
	var p pin
	if err := json.Unmarshal(data, &p); err != nil || p.Version != 1 {
		return nil, fmt.Errorf("read %s: damaged, or written by a newer shardraid: if it is damaged and you know the vault's fingerprint, run: shardraid key trust FINGERPRINT", path)
	}
	set, err := ParseSettings(p.Card, p.Layout)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if set.Card.Fingerprint() != p.Vault {
		return nil, fmt.Errorf("read %s: damaged: it is of two vaults", path)
	}
	return set, nil
}

func (s *Dir) save(file string, set *Settings) (err error) {
	data, err := set.pin()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("note what this clone trusts: %w", err)
		}
	}()
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(s.path, file), data)
}

// pin returns what parsePin reads.
func (set *Settings) pin() ([]byte, error) {
	card, signed := set.Values()
	return json.Marshal(pin{Version: 1, Vault: set.Card.Fingerprint(), Card: card, Layout: signed})
}

// replaceFile replaces a file as a whole and sees it to the disk; it is for
// this user's eyes only.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
