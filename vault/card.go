package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Mode says who can open a vault, and how.
type Mode string

const (
	Local      Mode = "local"      // the secret stays in this clone's credential store
	Recipients Mode = "recipients" // wrapped to GPG keys
)

// Card is the public side of a vault. It travels in the remote's git-annex
// configuration and shows no secret (docs/format.md, section 9).
type Card struct {
	mode       Mode
	recipients []string
	wrapped    []byte
	owner      *openpgp.Entity // public key

	mu sync.Mutex // see Vault.mu
}

type cardDocument struct {
	Mode       Mode     `json:"mode"`
	Recipients []string `json:"recipients,omitempty"`
	Wrapped    []byte   `json:"wrapped,omitempty"`
	Owner      []byte   `json:"owner"`
}

// Card returns the vault's card. wrapped is the vault encrypted to the
// recipients' GPG keys, or nil for a local vault.
func (v *Vault) Card(recipients []string, wrapped []byte) (*Card, error) {
	var buf bytes.Buffer
	if err := v.owner.Serialize(&buf); err != nil {
		return nil, fmt.Errorf("write vault card: %w", err)
	}
	doc := cardDocument{Mode: Local, Owner: buf.Bytes()}
	if len(recipients) > 0 {
		doc.Mode, doc.Recipients, doc.Wrapped = Recipients, recipients, wrapped
	}
	return newCard(doc)
}

// ParseCard reads what String wrote.
func ParseCard(text string) (*Card, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	var doc cardDocument
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	return newCard(doc)
}

func newCard(doc cardDocument) (*Card, error) {
	if doc.Mode != Local && doc.Mode != Recipients {
		return nil, fmt.Errorf("read vault card: mode %q is not known: a newer shardraid may have written it", doc.Mode)
	}
	owner, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(doc.Owner)))
	if err != nil {
		return nil, fmt.Errorf("read vault card: owner key: %w", err)
	}
	if owner.PrivateKey != nil {
		return nil, errors.New("read vault card: it holds a private key")
	}
	return &Card{mode: doc.Mode, recipients: doc.Recipients, wrapped: doc.Wrapped, owner: owner}, nil
}

// String returns the card as one line of base64.
func (c *Card) String() string {
	var buf bytes.Buffer
	if err := c.owner.Serialize(&buf); err != nil {
		panic("vault: internal error: " + err.Error()) // it was parsed from bytes
	}
	data, err := json.Marshal(cardDocument{c.mode, c.recipients, c.wrapped, buf.Bytes()})
	if err != nil {
		panic("vault: internal error: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(data)
}

// Fingerprint names the vault.
func (c *Card) Fingerprint() string { return fingerprint(c.owner) }

// Mode says who can open the vault.
func (c *Card) Mode() Mode { return c.mode }

// Recipients returns the fingerprints of the GPG keys that open the vault.
func (c *Card) Recipients() []string { return c.recipients }

// Wrapped returns the vault as wrapped for the recipients.
func (c *Card) Wrapped() []byte { return c.wrapped }

// Verify returns the body that the vault's owner key signed, or ErrRecord.
func (c *Card) Verify(kind string, signed []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return verify(kind, signed, c.owner)
}
