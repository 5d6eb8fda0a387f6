package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	if err := claim(ctx, v, set, who.passphrase); err != nil {
		return err
	}
	if err := p.dir.Pin(set); err != nil {
		return err
	}
	announce(s, card, p.creds)
	return writeSettings(s, set)
}

func claim(ctx context.Context, v *vault.Vault, set *clone.Settings, passphrase string) error {
	pool, err := clone.Connect(v, set.Layout, "")
	if err != nil {
		return err
	}
	defer pool.Close()
	document, err := set.Document.Marshal()
	if err != nil {
		return err
	}
	return pool.Claim(ctx, object.Claim{
		Document: document,
		Copy:     func(ctx context.Context) ([]byte, error) { return vault.SealCopy(ctx, v, set.Card, passphrase) },
	})
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
