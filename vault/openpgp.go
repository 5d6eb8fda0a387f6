package vault

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// MaxRecord is the largest record, in bytes as stored.
const MaxRecord = 8<<20 + 64<<10

// ErrRecord is returned for a record that is damaged, forged, of another
// vault or of another kind. Such a copy counts as lost.
var ErrRecord = errors.New("not a valid record")

// SealRecord encrypts a record to the custody key, its key id hidden, and
// signs it by the custody key. No two calls return the same bytes.
func (v *Vault) SealRecord(kind string, body []byte) ([]byte, error) {
	return v.seal(kind, body, v.custody)
}

// OpenRecord returns the body that SealRecord was given, or ErrRecord.
func (v *Vault) OpenRecord(kind string, message []byte) ([]byte, error) {
	return v.open(kind, message, v.custody)
}

// SealOwned is SealRecord, signed by the owner key.
func (v *Vault) SealOwned(kind string, body []byte) ([]byte, error) {
	return v.seal(kind, body, v.owner)
}

// OpenOwned is OpenRecord, for what SealOwned wrote.
func (v *Vault) OpenOwned(kind string, message []byte) ([]byte, error) {
	return v.open(kind, message, v.owner)
}

func (v *Vault) seal(kind string, body []byte, signer *openpgp.Entity) ([]byte, error) {
	if v.envelope != nil {
		return v.envelope.Seal(kind, body)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var out bytes.Buffer
	w, err := openpgp.Encrypt(&out, nil, []*openpgp.Entity{v.custody}, []*openpgp.Entity{signer}, nil, v.config())
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", kind, err)
	}
	if err := writeBody(w, kind, body); err != nil {
		return nil, fmt.Errorf("seal %s: %w", kind, err)
	}
	return out.Bytes(), nil
}

func (v *Vault) open(kind string, message []byte, signer *openpgp.Entity) ([]byte, error) {
	if v.envelope != nil {
		return v.envelope.Open(kind, message)
	}
	if err := checkShape(message, tagSessionKey, tagEncrypted); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	keyring := openpgp.EntityList{v.custody}
	if signer != v.custody {
		keyring = append(keyring, signer)
	}
	md, err := openpgp.ReadMessage(bytes.NewReader(message), keyring, nil, v.config())
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRecord, err)
	}
	if !md.IsEncrypted || md.IsSymmetricallyEncrypted {
		return nil, fmt.Errorf("%w: not encrypted to the vault", ErrRecord)
	}
	return readBody(md, kind, fingerprint(signer))
}

// Sign returns the body signed by the owner key, readable by anyone.
func (v *Vault) Sign(kind string, body []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out bytes.Buffer
	w, err := openpgp.Sign(&out, []*openpgp.Entity{v.owner}, nil, v.config())
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", kind, err)
	}
	if err := writeBody(w, kind, body); err != nil {
		return nil, fmt.Errorf("sign %s: %w", kind, err)
	}
	return out.Bytes(), nil
}

// verify is the reading side of Sign.
func verify(kind string, message []byte, owner *openpgp.Entity) ([]byte, error) {
	if len(message) > MaxRecord {
		return nil, fmt.Errorf("%w: too large", ErrRecord)
	}
	config := pgpConfig(owner.PrimaryKey.CreationTime.Add(24 * time.Hour))
	md, err := openpgp.ReadMessage(bytes.NewReader(message), openpgp.EntityList{owner}, nil, config)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRecord, err)
	}
	return readBody(md, kind, fingerprint(owner))
}

// writeBody begins every body with its kind: a signature carries no context,
// and a layout must never pass as a manifest.
func writeBody(w io.WriteCloser, kind string, body []byte) error {
	if _, err := io.WriteString(w, kind+"\n"); err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

// readBody is the only way in: to the end, where signature and integrity are
// checked, signed by the one expected key, of the expected kind.
func readBody(md *openpgp.MessageDetails, kind, signer string) ([]byte, error) {
	all, err := io.ReadAll(io.LimitReader(md.UnverifiedBody, MaxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRecord, err)
	}
	if len(all) > MaxRecord {
		return nil, fmt.Errorf("%w: too large", ErrRecord)
	}
	if !md.IsSigned || !md.IsVerified || md.SignatureError != nil || md.Signature == nil || md.SignedBy == nil {
		return nil, fmt.Errorf("%w: signature missing or bad", ErrRecord)
	}
	if got := fingerprint(md.SignedBy.Entity); got != signer || len(md.SignatureCandidates) != 1 {
		return nil, fmt.Errorf("%w: signed by %s", ErrRecord, got)
	}
	body, ok := bytes.CutPrefix(all, []byte(kind+"\n"))
	if !ok {
		return nil, fmt.Errorf("%w: not a %s", ErrRecord, kind)
	}
	return body, nil
}

const (
	tagSessionKey = 1  // public-key encrypted session key packet
	tagPassphrase = 3  // symmetric-key encrypted session key packet
	tagEncrypted  = 18 // symmetrically encrypted, integrity protected data packet
)

// symmetricTime is the clock of what is encrypted to a passphrase: it has no
// signature, so no time counts.
var symmetricTime = time.Unix(0, 0)

// checkShape lets only the shape through that we write: one session key, then
// the encrypted data, version 1. Thousands of session keys cost seconds each.
func checkShape(message []byte, tags ...uint8) error {
	if len(message) > MaxRecord {
		return fmt.Errorf("%w: too large", ErrRecord)
	}
	r := packet.NewOpaqueReader(bytes.NewReader(message))
	for _, want := range tags {
		p, err := r.Next()
		if err != nil || p.Tag != want || want == tagEncrypted && !bytes.HasPrefix(p.Contents, []byte{1}) {
			return fmt.Errorf("%w: not an encrypted message", ErrRecord)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		return fmt.Errorf("%w: data after its end", ErrRecord)
	}
	return nil
}

func pgpConfig(now time.Time) *packet.Config {
	limit := int64(MaxRecord)
	return &packet.Config{
		Algorithm:                  packet.PubKeyAlgoEdDSA, // not Ed25519: stock gpg reads only the older ids
		Curve:                      packet.Curve25519,
		DefaultHash:                crypto.SHA512,
		DefaultCipher:              packet.CipherAES256,
		DefaultCompressionAlgo:     packet.CompressionNone,
		S2KConfig:                  &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: 65011712},
		MaxDecompressedMessageSize: &limit,
		Time:                       func() time.Time { return now },
	}
}

func fingerprint(e *openpgp.Entity) string {
	return strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))
}

func readPrivateKey(data []byte) (*openpgp.Entity, error) {
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(data)))
	if err != nil {
		return nil, err
	}
	if e.PrivateKey == nil || e.PrivateKey.Encrypted {
		return nil, errors.New("no private key")
	}
	return e, nil
}
