package remote

import (
	"context"
	"errors"
	"strings"
	"time"

	"shardraid/annex"
	"shardraid/clone"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/object"
	"shardraid/vault"
)

// Init makes the remote in the first clone and enables it in further ones.
// Enabling asks no backend, so that it works with some of them down.
func (r *Remote) Init(ctx context.Context, s *annex.Session) error {
	card, err := s.Config(clone.SetVault)
	if err != nil {
		return err
	}
	if card == "" {
		return r.create(ctx, s)
	}
	return r.enable(ctx, s)
}

// create makes vault and layout and claims the backends. The vault's secret is
// kept before anything is written to a backend, and what goes to git-annex's
// configuration comes last: where it fails, the next try begins anew.
func (r *Remote) create(ctx context.Context, s *annex.Session) error {
	yaml, l, err := readLayout(s)
	if err != nil {
		return err
	}
	types, err := clone.Types(l)
	if err != nil {
		return err
	}
	p, err := placeOf(s)
	if err != nil {
		return err
	}
	who, err := readAccess(ctx, s) // last: it may ask for a passphrase
	if err != nil {
		return err
	}
	v, err := vault.Create(time.Now(), nil)
	if err != nil {
		return err
	}
	access, err := who.wrap(ctx, v)
	if err != nil {
		return err
	}
	card, err := v.Card(access)
	if err != nil {
		return err
	}
	doc, err := layout.Successor(yaml, nil, manifest.NewBackendID)
	if err != nil {
		return err
	}
	doc.Types = types
	set, err := clone.Sign(v, card, doc)
	if err != nil {
		return err
	}
	if card.Mode != vault.Recipients {
		if err := clone.WriteCreds(p.creds, v); err != nil {
			return err
		}
	}
	if err := p.dir.Claim(ctx, v, set, who.passphrase, object.Claim{}); err != nil {
		return err
	}
	if err := p.dir.Pin(set); err != nil {
		return err
	}
	announce(s, card, p.creds)
	return writeSettings(s, set)
}

// announce says what the person must know about the key.
func announce(s *annex.Session, card *vault.Card, creds string) {
	switch card.Mode {
	case vault.Local:
		s.Info("IMPORTANT: the only key to this remote is the file " + creds + ". Without it nobody can read what is stored. Make a recovery file now: shardraid key export FILE. (With recipients=FINGERPRINT your GPG key would open the remote, with passphrase=yes a passphrase.)")
	case vault.Passphrase:
		s.Info("vault " + card.Fingerprint() + " opens with the passphrase: without it, and without a clone that has the key, nobody can read what is stored")
	case vault.Recipients:
		s.Info("vault " + card.Fingerprint() + ", made by GPG key " + card.Creator.Key + ", opens with the GPG keys " + strings.Join(card.Recipients, ", "))
	}
}

// who says who may open a new vault.
type who struct {
	recipients []string
	passphrase string
}

func readAccess(ctx context.Context, s *annex.Session) (w who, err error) {
	list, err := s.Config(setRecipients)
	if err != nil {
		return w, err
	}
	byPassphrase, err := s.Config(setPassphrase)
	if err != nil {
		return w, err
	}
	if byPassphrase != "" && byPassphrase != "yes" && byPassphrase != "no" {
		return w, errors.New("passphrase= takes yes or no: a passphrase in it would be kept in git. Leave it to be asked for")
	}
	if list != "" {
		if byPassphrase == "yes" {
			return w, errors.New("recipients= and passphrase=yes: choose one of them")
		}
		w.recipients, err = vault.ParseRecipients(list)
		return w, err
	}
	embed, err := s.Config("embedcreds")
	if err != nil {
		return w, err
	}
	if embed == "yes" {
		return w, errors.New("embedcreds=yes would put the remote's key into git: leave it out, or give recipients=FINGERPRINT")
	}
	if byPassphrase == "yes" {
		w.passphrase, err = clone.NewPassphrase(ctx, "the remote")
	}
	return w, err
}

// wrap encrypts the vault for them.
func (w who) wrap(ctx context.Context, v *vault.Vault) (a vault.Access, err error) {
	a = vault.Access{Serial: 1, Mode: vault.Local}
	switch {
	case w.recipients != nil:
		a.Mode, a.Recipients = vault.Recipients, w.recipients
		if a.Wrapped, err = vault.Wrap(ctx, v, w.recipients); err == nil {
			a.Creator, err = vault.Vouch(ctx, v, w.recipients)
		}
	case w.passphrase != "":
		a.Mode = vault.Passphrase
		a.Wrapped, err = vault.WrapPassphrase(v, w.passphrase)
	}
	return a, err
}

func readLayout(s *annex.Session) (string, *layout.Layout, error) {
	file, err := s.Config(setLayout)
	if err != nil {
		return "", nil, err
	}
	if file == "" {
		return "", nil, errors.New("which layout? add layout=FILE; README.md has a sample")
	}
	l, text, err := clone.ReadLayout(file)
	return text, l, err
}
