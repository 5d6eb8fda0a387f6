package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// ObjectID stands for a git-annex key wherever others may look.
type ObjectID [32]byte

// Incarnation is one attempt to store an object: 128 random bits.
type Incarnation [16]byte

func (id ObjectID) String() string     { return hex.EncodeToString(id[:]) }
func (inc Incarnation) String() string { return hex.EncodeToString(inc[:]) }
func (inc Incarnation) IsZero() bool   { return inc == Incarnation{} }
func (inc Incarnation) Less(o Incarnation) bool {
	return bytes.Compare(inc[:], o[:]) < 0
}

// MarshalText and UnmarshalText write and read ids as lower-case hex.
func (id ObjectID) MarshalText() ([]byte, error)     { return []byte(id.String()), nil }
func (id *ObjectID) UnmarshalText(text []byte) error { return decodeHex(id[:], text) }

// MarshalText and UnmarshalText write and read ids as lower-case hex.
func (inc Incarnation) MarshalText() ([]byte, error)     { return []byte(inc.String()), nil }
func (inc *Incarnation) UnmarshalText(text []byte) error { return decodeHex(inc[:], text) }

func decodeHex(dst, text []byte) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("id of %d characters, not %d", len(text), hex.EncodedLen(len(dst)))
	}
	if bytes.ContainsAny(text, "ABCDEF") {
		return errors.New("id in capitals")
	}
	_, err := hex.Decode(dst, text)
	return err
}

// Vault is the keys of one special remote. It is safe for concurrent use.
type Vault struct {
	created time.Time
	master  []byte          // opens content; owners only
	names   []byte          // names on the backends
	custody *openpgp.Entity // records are encrypted to it and signed by it
	owner   *openpgp.Entity // signs the vault, the layout and the markers
	rand    io.Reader

	envelope Envelope // of a simulation; nil for OpenPGP

	mu sync.Mutex // OpenPGP keys remember what was verified: one use at a time
}

// document is the secret form of a Vault (docs/format.md, section 9).
type document struct {
	Created int64  `json:"created"` // seconds of the Unix clock; orders nothing
	Master  []byte `json:"master"`
	Names   []byte `json:"names"`
	Custody []byte `json:"custody"`
	Owner   []byte `json:"owner"`
}

const documentKind = "shardraid-vault-v1"

// Create makes a new vault from the random source (nil for the system's). Its
// keys are dated two days before now, for stock gpg refuses what is dated in
// its future.
func Create(now time.Time, random io.Reader) (*Vault, error) {
	v := &Vault{created: now.Add(-48 * time.Hour).Truncate(time.Second), master: make([]byte, 32), names: make([]byte, 32), rand: random}
	if v.rand == nil {
		v.rand = rand.Reader
	}
	for _, secret := range [][]byte{v.master, v.names} {
		if _, err := io.ReadFull(v.rand, secret); err != nil {
			return nil, fmt.Errorf("create vault: %w", err)
		}
	}
	var err error
	if v.custody, err = openpgp.NewEntity("shardraid custody", "", "", v.config()); err != nil {
		return nil, fmt.Errorf("create custody key: %w", err)
	}
	if v.owner, err = openpgp.NewEntity("shardraid owner", "", "", v.config()); err != nil {
		return nil, fmt.Errorf("create owner key: %w", err)
	}
	return v, nil
}

// Marshal returns the vault in the clear, signed by its owner key: whoever
// reads it has everything.
func (v *Vault) Marshal() ([]byte, error) {
	doc := document{Created: v.created.Unix(), Master: v.master, Names: v.names}
	for key, to := range map[*openpgp.Entity]*[]byte{v.custody: &doc.Custody, v.owner: &doc.Owner} {
		var buf bytes.Buffer
		v.mu.Lock()
		err := key.SerializePrivateWithoutSigning(&buf, v.config())
		v.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("write vault: %w", err)
		}
		*to = buf.Bytes()
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write vault: %w", err)
	}
	return v.Sign(documentKind, body)
}

// Parse reads what Marshal wrote. It must be the vault of this card.
func Parse(signed []byte, card *Card) (*Vault, error) {
	body, err := card.Verify(documentKind, signed)
	if err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	var doc document
	if err := StrictJSON(body, &doc); err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	if len(doc.Master) != 32 || len(doc.Names) != 32 {
		return nil, errors.New("read vault: secrets of a wrong size")
	}
	v := &Vault{created: time.Unix(doc.Created, 0), master: doc.Master, names: doc.Names, rand: rand.Reader}
	if v.custody, err = readPrivateKey(doc.Custody); err != nil {
		return nil, fmt.Errorf("read custody key: %w", err)
	}
	if v.owner, err = readPrivateKey(doc.Owner); err != nil {
		return nil, fmt.Errorf("read owner key: %w", err)
	}
	if v.Fingerprint() != card.Fingerprint() {
		return nil, fmt.Errorf("read vault: it is vault %s, not %s", v.Fingerprint(), card.Fingerprint())
	}
	return v, nil
}

// ParseAlone reads what Marshal wrote where there is no card: it proves that
// the document is whole, not whose vault it is. The card it returns is made
// for it, in mode local.
func ParseAlone(signed []byte) (*Vault, *Card, error) {
	md, err := openpgp.ReadMessage(bytes.NewReader(signed), openpgp.EntityList{}, nil, pgpConfig(symmetricTime))
	if err != nil {
		return nil, nil, fmt.Errorf("read vault: %w: %v", ErrRecord, err)
	}
	all, err := io.ReadAll(io.LimitReader(md.UnverifiedBody, MaxRecord))
	if err != nil {
		return nil, nil, fmt.Errorf("read vault: %w: %v", ErrRecord, err)
	}
	body, _ := bytes.CutPrefix(all, []byte(documentKind+"\n"))
	var doc document
	if err := StrictJSON(body, &doc); err != nil {
		return nil, nil, fmt.Errorf("read vault: %w", err)
	}
	owner, err := readPrivateKey(doc.Owner)
	if err != nil {
		return nil, nil, fmt.Errorf("read owner key: %w", err)
	}
	v, err := Parse(signed, &Card{owner: owner})
	if err != nil {
		return nil, nil, err
	}
	card, err := v.Card(Access{Serial: 1, Mode: Local})
	return v, card, err
}

// Fingerprint names the vault: the OpenPGP fingerprint of its owner key.
func (v *Vault) Fingerprint() string { return fingerprint(v.owner) }

// ObjectID returns the id of a git-annex key (docs/format.md, section 4).
func (v *Vault) ObjectID(key string) ObjectID {
	mac := hmac.New(sha256.New, v.derive(v.master, nil, "object id"))
	mac.Write([]byte(key))
	return ObjectID(mac.Sum(nil))
}

// ContentKey returns the key that an incarnation's segments are sealed with.
func (v *Vault) ContentKey(inc Incarnation) [32]byte {
	return [32]byte(v.derive(v.master, inc[:], "content"))
}

// SealedKey returns the key of the sealed part of an incarnation's manifest.
func (v *Vault) SealedKey(inc Incarnation) [32]byte {
	return [32]byte(v.derive(v.master, inc[:], "sealed"))
}

// TagKey returns the key of the tags of a segment's shards.
func (v *Vault) TagKey(inc Incarnation, nonce [12]byte) [32]byte {
	return [32]byte(v.derive(v.master, append(inc[:len(inc):len(inc)], nonce[:]...), "tag"))
}

func (v *Vault) derive(secret, salt []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, secret, salt, "shardraid/1 "+purpose, 32)
	if err != nil {
		panic("vault: internal error: " + err.Error()) // only for absurd lengths
	}
	return key
}

// config returns the OpenPGP settings that stock gpg 2.2 and 2.4 read. Its
// clock stands still: no wall clock takes part in validity.
func (v *Vault) config() *packet.Config {
	c := pgpConfig(v.created.Add(24 * time.Hour))
	c.Rand = v.rand
	return c
}
