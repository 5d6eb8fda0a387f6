package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"shardraid/annex"
	"shardraid/clone"
	"shardraid/vault"
)

// enable checks the settings that came with the clone, and puts those into git
// that the command line has staged.
func (r *Remote) enable(ctx context.Context, s *annex.Session) error {
	p, err := placeOf(s)
	if err != nil {
		return err
	}
	staged, err := p.dir.Staged()
	if err != nil {
		return err
	}
	if staged != nil {
		return publish(s, p.dir, staged)
	}
	set, err := readSettings(s)
	if err != nil {
		return err
	}
	said, err := p.dir.Trust(ctx, set)
	if err != nil {
		return err
	}
	if err := unchanged(s, set); err != nil {
		return err
	}
	if said == "" {
		said = "vault " + set.Card.Fingerprint()
		if set.Card.Creator.Key != "" {
			said += ", made by GPG key " + set.Card.Creator.Key
		}
	}
	s.Info(said)
	for _, line := range clone.Missing(set) {
		s.Info(line)
	}
	return getSecret(ctx, s, p, set)
}

// publish writes what the command line has staged into git-annex's
// configuration.
func publish(s *annex.Session, dir *clone.Dir, staged *clone.Settings) error {
	known, err := dir.Pinned()
	if err != nil {
		return err
	}
	if err := known.Precedes(staged); err != nil {
		dir.Unstage()
		return fmt.Errorf("what was staged is dropped, for this clone has seen newer settings or trusts another vault; try again (%w)", err)
	}
	if err := dir.Pin(staged); err != nil {
		return err
	}
	if err := s.SetConfig(setRecipients, strings.Join(staged.Card.Recipients, ",")); err != nil {
		return err
	}
	byPassphrase := ""
	if staged.Card.Mode == vault.Passphrase {
		byPassphrase = "yes"
	}
	if err := s.SetConfig(setPassphrase, byPassphrase); err != nil {
		return err
	}
	if err := writeSettings(s, staged); err != nil {
		return err
	}
	dir.Unstage()
	return nil
}

// getSecret makes sure that transfers can open the vault without asking.
func getSecret(ctx context.Context, s *annex.Session, p place, set *clone.Settings) error {
	if set.Card.Mode == vault.Recipients {
		return nil // gpg's agent asks
	}
	v, err := clone.OpenVault(ctx, set.Card, p.creds, clone.AskPassphrase)
	if errors.Is(err, clone.ErrNoKey) || errors.Is(err, clone.ErrNobody) {
		s.Info(noSecret(set.Card, p.creds))
		return nil
	}
	if err != nil {
		return err
	}
	if err := clone.WriteCreds(p.creds, v); err != nil {
		return err
	}
	return p.dir.Proved(set)
}

// unchanged refuses settings that enabling cannot change.
func unchanged(s *annex.Session, set *clone.Settings) error {
	file, err := s.Config(setLayout)
	if err != nil {
		return err
	}
	if file != "" {
		_, text, err := clone.ReadLayout(file)
		if err != nil {
			return err
		}
		if text != set.Document.YAML {
			return fmt.Errorf("enableremote does not change the layout: leave layout= out, and run: shardraid layout apply %s", file)
		}
		if err := s.SetConfig(setLayout, ""); err != nil {
			return err
		}
	}
	list, err := s.Config(setRecipients)
	if err != nil {
		return err
	}
	recipients := set.Card.Recipients
	if list != "" { // a URL for git clone leaves it out
		if recipients, err = vault.ParseRecipients(list); err != nil {
			return err
		}
	}
	if !slices.Equal(recipients, set.Card.Recipients) {
		return errors.New("enableremote does not change who may open the remote: leave recipients= out, and see: shardraid key add-recipient")
	}
	byPassphrase, err := s.Config(setPassphrase)
	if err != nil {
		return err
	}
	if (byPassphrase == "yes") != (set.Card.Mode == vault.Passphrase) && byPassphrase != "" {
		return errors.New("enableremote does not change the passphrase: leave passphrase= out, and see: shardraid key change-passphrase")
	}
	return nil
}
