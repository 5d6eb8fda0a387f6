package remote

import (
	"shardraid/annex"
	"shardraid/clone"
	"shardraid/vault"
)

// The remote's settings in git-annex's configuration. The last two are ours:
// the set-up writes them, and they hold no secret.
const (
	setLayout     = "layout"
	setRecipients = "recipients"
	setPassphrase = "passphrase"
)

// Configs lists the settings for git-annex initremote --whatelse.
func (r *Remote) Configs() []annex.Config {
	return []annex.Config{
		{Name: setLayout, Description: "YAML file that says how many shards, and which backends hold them (required by initremote)"},
		{Name: setRecipients, Description: "full fingerprints of the GPG keys that may open the remote, separated by commas"},
		{Name: setPassphrase, Description: "yes: a passphrase opens the remote; without this and recipients its key stays in this clone"},
		{Name: clone.SetVault, Description: "written by shardraid: the public side of the remote's keys"},
		{Name: clone.SetSigned, Description: "written by shardraid: the layout as signed"},
	}
}

// readSettings reads and verifies what initremote has written.
func readSettings(s *annex.Session) (*clone.Settings, error) {
	card, err := s.Config(clone.SetVault)
	if err != nil {
		return nil, err
	}
	signed, err := s.Config(clone.SetSigned)
	if err != nil {
		return nil, err
	}
	return clone.ParseSettings(card, signed)
}

func writeSettings(s *annex.Session, set *clone.Settings) error {
	card, signed := set.Values()
	for _, c := range [][2]string{
		{clone.SetVault, card},
		{clone.SetSigned, signed},
		{setLayout, ""}, // the path means nothing in another clone
	} {
		if err := s.SetConfig(c[0], c[1]); err != nil {
			return err
		}
	}
	return nil
}

// noSecret says what to do in a clone that has no key.
func noSecret(card *vault.Card, creds string) string {
	if card.Mode == vault.Passphrase {
		return clone.ErrNoKey.Error() + ": run git annex enableremote on a terminal, or with " + clone.PassphraseFile + " set, to give the passphrase once"
	}
	return clone.ErrNoKey.Error() + ": run shardraid key export FILE in the clone where git annex initremote was run and shardraid key import FILE here, or copy its " + creds + " to the same place in this one"
}

// place is where this clone keeps things of the remote.
type place struct {
	dir   *clone.Dir
	creds string // the file with the key, where there is one
}

func placeOf(s *annex.Session) (p place, err error) {
	uuid, err := s.UUID()
	if err != nil {
		return p, err
	}
	gitDir, err := s.GitDir()
	if err != nil {
		return p, err
	}
	return place{clone.NewDir(gitDir, uuid), clone.CredsPath(gitDir, uuid)}, nil
}
