package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Mode says who can open a vault, and how.
type Mode string

const (
	Local      Mode = "local"      // the secret stays in this clone's credential store
	Recipients Mode = "recipients" // wrapped to GPG keys
	Passphrase Mode = "passphrase" // wrapped to a stretched passphrase
)

const (
	cardKind = "shardraid-card-v1"
	maxCard  = 1 << 20 // bytes of text
)

// Card is the public side of a vault, signed by its owner key. It travels in
// the remote's git-annex configuration and shows no secret (docs/format.md,
// section 9).
type Card struct {
	Access
	owner  *openpgp.Entity // public key
	signed []byte

	mu sync.Mutex // see Vault.mu
}

// Access is how a vault can be opened.
type Access struct {
	// Serial begins at 1 and grows with each change: the newest card counts.
	Serial int `json:"serial"`
	// Mode says which of the fields below are there.
	Mode Mode `json:"mode"`
	// Recipients are full fingerprints of GPG keys.
	Recipients []string `json:"recipients,omitempty"`
	// Wrapped is the vault document as Wrap or WrapPassphrase returned it.
	Wrapped []byte `json:"wrapped,omitempty"`
	// Creator is the GPG key that vouches for the vault.
	Creator Creator `json:"creator,omitzero"`
}

// envelope lets a reader find the key with which to check the card.
type envelope struct {
	Owner []byte `json:"owner"`
	Card  []byte `json:"card"`
}

// Card signs a card for the vault.
func (v *Vault) Card(a Access) (*Card, error) {
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("write vault card: %w", err)
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("write vault card: %w", err)
	}
	signed, err := v.Sign(cardKind, body)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	owner, err := publicKey(v.owner)
	v.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("write vault card: %w", err)
	}
	c, err := newCard(envelope{owner, signed})
	if err == nil && len(c.String()) > maxCard {
		return nil, errors.New("write vault card: it is too large: name fewer recipients")
	}
	return c, err
}

// ParseCard reads what String wrote and checks its signature. It is a card of
// some vault: whose, the caller must know.
func ParseCard(text string) (*Card, error) {
	if len(text) > maxCard {
		return nil, errors.New("read vault card: it is too large")
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	var e envelope
	if err := StrictJSON(data, &e); err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	return newCard(e)
}

func newCard(e envelope) (*Card, error) {
	owner, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(e.Owner)))
	if err != nil {
		return nil, fmt.Errorf("read vault card: owner key: %w", err)
	}
	if owner.PrivateKey != nil {
		return nil, errors.New("read vault card: it holds a private key")
	}
	body, err := verify(cardKind, e.Card, owner)
	if err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	c := &Card{owner: owner, signed: e.Card}
	if err := StrictJSON(body, &c.Access); err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("read vault card: %w", err)
	}
	return c, nil
}

func (a *Access) validate() error {
	valid := a.Serial >= 1
	switch a.Mode {
	case Local:
		valid = valid && a.Recipients == nil && a.Wrapped == nil && a.Creator.Key == ""
	case Passphrase:
		valid = valid && a.Recipients == nil && len(a.Wrapped) > 0 && a.Creator.Key == ""
	case Recipients:
		valid = valid && len(a.Recipients) > 0 && len(a.Wrapped) > 0
	default:
		return fmt.Errorf("mode %q is not known: a newer shardraid may have written it", a.Mode)
	}
	keys := a.Recipients
	if a.Mode == Recipients && a.Creator.Key != "" {
		keys = append(slices.Clone(keys), a.Creator.Key)
	} else {
		valid = valid && a.Creator.Key == "" && a.Creator.Signature == nil
	}
	for _, fpr := range keys {
		valid = valid && fullFingerprint.MatchString(fpr)
	}
	if !valid {
		return fmt.Errorf("its fields do not go together (mode %s, serial %d)", a.Mode, a.Serial)
	}
	return nil
}

// String returns the card as one line of base64.
func (c *Card) String() string {
	owner, err := c.ownerKey()
	if err != nil {
		panic("vault: internal error: " + err.Error()) // it was parsed from bytes
	}
	data, err := json.Marshal(envelope{owner, c.signed})
	if err != nil {
		panic("vault: internal error: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(data)
}

// Fingerprint names the vault.
func (c *Card) Fingerprint() string { return fingerprint(c.owner) }

// Verify returns the body that the vault's owner key signed, or ErrRecord.
func (c *Card) Verify(kind string, signed []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return verify(kind, signed, c.owner)
}

// ownerKey returns the public owner key. Writing a key changes it at the first
// time.
func (c *Card) ownerKey() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return publicKey(c.owner)
}

func publicKey(e *openpgp.Entity) ([]byte, error) {
	var buf bytes.Buffer
	err := e.Serialize(&buf)
	return buf.Bytes(), err
}

// StrictJSON reads exactly one value with no unknown fields. It also refuses
// what encoding/json lets pass: a field in other case, or twice. All fields of
// ours are [a-z_].
func StrictJSON(data []byte, to any) error {
	if err := checkFields(json.NewDecoder(bytes.NewReader(data)), 0); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("data after its end")
	}
	return nil
}

// maxDepth is more than any of our documents is nested.
const maxDepth = 8

func checkFields(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	begin, err := dec.Token()
	if begin != json.Delim('{') && begin != json.Delim('[') {
		return err
	}
	seen := map[string]bool{}
	for dec.More() {
		if begin == json.Delim('{') {
			token, err := dec.Token()
			field, ok := token.(string)
			if err != nil || !ok {
				return fmt.Errorf("no field: %v", err)
			}
			if seen[field] || strings.Trim(field, "abcdefghijklmnopqrstuvwxyz_") != "" {
				return fmt.Errorf("field %.64q is unknown or there twice", field)
			}
			seen[field] = true
		}
		if err := checkFields(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}
