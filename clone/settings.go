package clone

import (
	"encoding/base64"
	"errors"
	"fmt"

	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// Settings is what the remote's git-annex configuration says: signed, but
// whether by the right vault and whether the newest is for Dir.Trust to say.
type Settings struct {
	Card     *vault.Card
	Document *layout.Document
	Layout   *layout.Layout
	Signed   []byte // the layout document as VerifyLayout takes it
}

// ParseSettings verifies and reads the two values that hold a remote's
// settings. The layout is parsed from the bytes that were verified.
func ParseSettings(card, signed string) (*Settings, error) {
	if card == "" {
		return nil, errors.New("this remote was never set up: run git annex initremote with layout=FILE")
	}
	c, err := vault.ParseCard(card)
	if err != nil {
		return nil, err
	}
	message, err := base64.StdEncoding.DecodeString(signed)
	if err != nil {
		return nil, fmt.Errorf("read signed layout: %w", err)
	}
	body, err := manifest.VerifyLayout(c, message)
	if err != nil {
		return nil, fmt.Errorf("read signed layout: vault %s has not signed it: %w", c.Fingerprint(), err)
	}
	doc, l, err := layout.ParseDocument(body)
	if err != nil {
		return nil, fmt.Errorf("read signed layout: %w", err)
	}
	return &Settings{Card: c, Document: doc, Layout: l, Signed: message}, nil
}

// Values returns what ParseSettings takes.
func (s *Settings) Values() (card, signed string) {
	return s.Card.String(), base64.StdEncoding.EncodeToString(s.Signed)
}

// Head returns the layout as a predecessor.
func (s *Settings) Head() layout.Head { return layout.Head{Document: s.Document, Layout: s.Layout} }

// Sign makes settings of a new layout document.
func Sign(v *vault.Vault, card *vault.Card, d *layout.Document) (*Settings, error) {
	body, err := d.Marshal()
	if err != nil {
		return nil, err
	}
	signed, err := manifest.SignLayout(v, body)
	if err != nil {
		return nil, err
	}
	return ParseSettings(card.String(), base64.StdEncoding.EncodeToString(signed))
}
