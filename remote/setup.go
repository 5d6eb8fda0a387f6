package remote

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"shardraid/annex"
	"shardraid/backends"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// Init makes the remote in the first clone and enables it in further ones.
// Enabling asks no backend, so that it works with some of them down.
func (r *Remote) Init(ctx context.Context, s *annex.Session) error {
	card, err := s.Config(setVault)
	if err != nil {
		return err
	}
	if card == "" {
		return r.create(ctx, s)
	}
	return r.enable(s)
}

// create makes vault and layout and claims the backends. The vault's secret is
// kept before anything is written to a backend, and what goes to git-annex's
// configuration comes last: where it fails, the next try begins anew.
func (r *Remote) create(ctx context.Context, s *annex.Session) error {
	recipients, err := readRecipients(s)
	if err != nil {
		return err
	}
	yaml, l, err := readLayout(s)
	if err != nil {
		return err
	}
	if err := checkSections(l); err != nil {
		return err
	}
	v, err := vault.Create(time.Now(), nil)
	if err != nil {
		return err
	}
	var wrapped []byte
	if recipients != nil {
		if wrapped, err = vault.Wrap(ctx, v, recipients); err != nil {
			return err
		}
	}
	card, err := v.Card(recipients, wrapped)
	if err != nil {
		return err
	}
	signed, l, err := signLayout(v, yaml, l)
	if err != nil {
		return err
	}
	store, err := r.newStore(v, l, "")
	if err != nil {
		return err
	}
	if recipients == nil {
		if err := keepSecret(s, v); err != nil {
			return err
		}
	}
	if err := store.Claim(ctx); err != nil {
		return err
	}
	if recipients == nil {
		s.Info("IMPORTANT: the only key to this remote is the file " + credsFile(s) + " of this repository. Without it nobody can read what is stored. Copy it to a safe place now. (With recipients=FINGERPRINT your GPG key would open the remote.)")
	}
	return writeSettings(s, card, signed)
}

// readRecipients returns nil for a local vault.
func readRecipients(s *annex.Session) ([]string, error) {
	list, err := s.Config(setRecipients)
	if err != nil {
		return nil, err
	}
	if list != "" {
		return vault.ParseRecipients(list)
	}
	embed, err := s.Config("embedcreds")
	if err != nil {
		return nil, err
	}
	encryption, err := s.Config("encryption")
	if err != nil {
		return nil, err
	}
	if embed == "yes" {
		return nil, errors.New("embedcreds=yes would put the remote's key into git: leave it out, or give recipients=FINGERPRINT")
	}
	if (encryption == "hybrid" || encryption == "pubkey") && embed != "no" {
		return nil, fmt.Errorf("with encryption=%s git-annex would put the remote's key into git: use encryption=none (shardraid encrypts itself), or add embedcreds=no or recipients=FINGERPRINT", encryption)
	}
	return nil, nil
}

func readLayout(s *annex.Session) (string, *layout.Layout, error) {
	file, err := s.Config(setLayout)
	if err != nil {
		return "", nil, err
	}
	if file == "" {
		return "", nil, errors.New("which layout? add layout=FILE; README.md has a sample")
	}
	text, err := readFile(file)
	if err != nil {
		return "", nil, err
	}
	l, err := layout.Parse(file, text)
	return string(text), l, err
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 2<<20)) // Parse refuses far less
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	return text, nil
}

// checkSections looks rclone.conf up where the layout needs it.
func checkSections(l *layout.Layout) error {
	var sections []string
	for _, b := range l.Backends {
		if section := b.Section(); section != "" && b.State != layout.Off && !slices.Contains(sections, section) {
			sections = append(sections, section)
		}
	}
	if err := backends.Setup(); err != nil {
		return err
	}
	if len(sections) == 0 {
		return nil
	}
	return backends.CheckSections(sections)
}

// signLayout gives every backend an id and signs the first epoch.
func signLayout(v *vault.Vault, yaml string, l *layout.Layout) ([]byte, *layout.Layout, error) {
	ids := map[string]string{}
	for _, b := range l.Backends {
		ids[b.Name] = manifest.NewBackendID()
	}
	body, err := layout.NewDocument(yaml, ids).Marshal()
	if err != nil {
		return nil, nil, err
	}
	if _, l, err = layout.ParseDocument(body); err != nil {
		return nil, nil, err
	}
	signed, err := v.Sign(layoutKind, body)
	return signed, l, err
}

// keepSecret puts the vault into git-annex's credential store.
func keepSecret(s *annex.Session, v *vault.Vault) error {
	secret, err := v.Marshal()
	if err != nil {
		return err
	}
	return s.SetCreds(credsVault, v.Fingerprint(), base64.StdEncoding.EncodeToString(secret))
}

func writeSettings(s *annex.Session, card *vault.Card, signed []byte) error {
	for _, set := range [][2]string{
		{setVault, card.String()},
		{setSigned, base64.StdEncoding.EncodeToString(signed)},
		{setLayout, ""}, // the path means nothing in another clone
	} {
		if err := s.SetConfig(set[0], set[1]); err != nil {
			return err
		}
	}
	return nil
}

// enable checks the settings that came with the clone.
func (r *Remote) enable(s *annex.Session) error {
	set, err := readSettings(s)
	if err != nil {
		return err
	}
	if err := unchanged(s, set); err != nil {
		return err
	}
	if set.card.Mode() == vault.Local {
		if secret, err := localSecret(s); err == nil && secret == nil {
			s.Info(noSecret(s))
		}
	}
	return nil
}

// unchanged refuses settings that enabling cannot change.
func unchanged(s *annex.Session, set *settings) error {
	file, err := s.Config(setLayout)
	if err != nil {
		return err
	}
	if file != "" {
		text, err := readFile(file)
		if err != nil {
			return err
		}
		if string(text) != set.doc.YAML {
			return errors.New("the remote has a layout already, and another one cannot be given to enableremote: leave layout= out")
		}
		if err := s.SetConfig(setLayout, ""); err != nil {
			return err
		}
	}
	list, err := s.Config(setRecipients)
	if err != nil {
		return err
	}
	var recipients []string
	if list != "" {
		if recipients, err = vault.ParseRecipients(list); err != nil {
			return err
		}
	}
	if !slices.Equal(recipients, set.card.Recipients()) {
		return errors.New("the remote's recipients cannot be changed by enableremote: leave recipients= as it was")
	}
	return nil
}
