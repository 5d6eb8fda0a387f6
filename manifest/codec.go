package manifest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"shardraid/erasure"
	"shardraid/vault"
)

const manifestKind = "shardraid-manifest-v1"

// openPart is what helpers read: a line of JSON. sealedHead begins the sealed
// part, which only owners open: a line of JSON, the inlined content, zeros.
type openPart struct {
	Object      vault.ObjectID      `json:"object"`
	Incarnation vault.Incarnation   `json:"incarnation"`
	Features    []string            `json:"features"` // a reader must know all of them
	Data        int                 `json:"data"`
	Parity      int                 `json:"parity"`
	Segments    []wireSegment       `json:"segments"`
	Supersedes  []vault.Incarnation `json:"supersedes"`
}

type wireSegment struct {
	Length int         `json:"length"`
	Nonce  []byte      `json:"nonce"`
	TagKey []byte      `json:"tag_key"`
	Shards []wireShard `json:"shards"`
}

type wireShard struct {
	Backend string `json:"backend,omitempty"`
	Copy    CopyID `json:"copy,omitzero"`
	Tag     []byte `json:"tag"`
	Hash    string `json:"hash,omitempty"`
}

type sealedHead struct {
	Key  []byte `json:"key"` // need not be UTF-8
	Size int64  `json:"size"`
}

// Seal returns the bytes of one copy of the manifest; no two copies are
// alike.
func (m *Manifest) Seal(v *vault.Vault) ([]byte, error) {
	body, err := m.marshal(v.SealedKey(m.Incarnation), rand.Reader)
	if err != nil {
		return nil, err
	}
	return v.SealRecord(manifestKind, body)
}

// Open reads one copy of a manifest. It must belong to the object and the
// incarnation under whose name it was found. The error wraps ErrNewer, or the
// copy counts as lost.
func Open(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation, message []byte) (*Manifest, error) {
	m, err := openAny(v, inc, message)
	if err != nil {
		return nil, err
	}
	if m.Object != id {
		return nil, fmt.Errorf("%w: it belongs to another object", ErrInvalid)
	}
	return m, nil
}

func openAny(v *vault.Vault, inc vault.Incarnation, message []byte) (*Manifest, error) {
	body, err := v.OpenRecord(manifestKind, message)
	if err != nil {
		return nil, err
	}
	m, err := unmarshal(body, v.SealedKey(inc))
	if err != nil {
		return nil, err
	}
	if m.Incarnation != inc || v.ObjectID(m.Key) != m.Object {
		return nil, fmt.Errorf("%w: it belongs to another object", ErrInvalid)
	}
	return m, nil
}

// marshal returns the record's body: the open part's line, then nonce and
// ciphertext of the sealed part, bound to the open part by its hash.
func (m *Manifest) marshal(sealedKey [32]byte, random io.Reader) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	open, err := json.Marshal(m.wire())
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	head, err := json.Marshal(sealedHead{[]byte(m.Key), m.Size})
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	plain := append(append(head, '\n'), m.Content...)
	plain = append(plain, make([]byte, erasure.Padded(len(plain))-len(plain))...)
	aead, err := newGCM(sealedKey)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	var nonce [12]byte
	if _, err := io.ReadFull(random, nonce[:]); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	hash := sha256.Sum256(open)
	body := append(append(open, '\n'), nonce[:]...)
	body = aead.Seal(body, nonce[:], plain, hash[:])
	if len(body) > MaxBody {
		return nil, fmt.Errorf("write manifest: %d bytes are more than %d", len(body), MaxBody)
	}
	return body, nil
}

func unmarshal(body []byte, sealedKey [32]byte) (*Manifest, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: too large", ErrInvalid)
	}
	open, sealed, ok := bytes.Cut(body, []byte("\n"))
	if !ok || len(sealed) < 12 {
		return nil, fmt.Errorf("%w: no sealed part", ErrInvalid)
	}
	var features struct {
		Features []string `json:"features"`
	}
	if err := json.Unmarshal(open, &features); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if len(features.Features) > 0 {
		return nil, fmt.Errorf("%w: it needs %q", ErrNewer, features.Features)
	}
	var part openPart
	if err := strictJSON(open, &part); err != nil {
		return nil, err
	}
	m, err := part.manifest()
	if err != nil {
		return nil, err
	}
	aead, err := newGCM(sealedKey)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(open)
	plain, err := aead.Open(nil, sealed[:12], sealed[12:], hash[:])
	if err != nil {
		return nil, fmt.Errorf("%w: sealed part does not open", ErrInvalid)
	}
	if err := m.readSealed(plain); err != nil {
		return nil, err
	}
	return m, m.validate()
}

func (m *Manifest) readSealed(plain []byte) error {
	line, content, ok := bytes.Cut(plain, []byte("\n"))
	if !ok {
		return fmt.Errorf("%w: sealed part has no head", ErrInvalid)
	}
	var head sealedHead
	if err := strictJSON(line, &head); err != nil {
		return err
	}
	m.Key, m.Size = string(head.Key), head.Size
	if m.Inlined() {
		if m.Size < 0 || m.Size > int64(len(content)) {
			return fmt.Errorf("%w: inlined content is cut off", ErrInvalid)
		}
		m.Content = content[:m.Size]
	}
	filler := content[len(m.Content):]
	if len(plain) != erasure.Padded(len(plain)-len(filler)) || len(bytes.Trim(filler, "\x00")) > 0 {
		return fmt.Errorf("%w: sealed part is not padded with zeros", ErrInvalid)
	}
	return nil
}

func (m *Manifest) wire() openPart {
	part := openPart{
		Object: m.Object, Incarnation: m.Incarnation, Features: []string{},
		Data: m.Data, Parity: m.Parity,
		Segments: make([]wireSegment, len(m.Segments)), Supersedes: m.Supersedes,
	}
	if part.Supersedes == nil {
		part.Supersedes = []vault.Incarnation{}
	}
	for i := range m.Segments {
		seg := &m.Segments[i]
		shards := make([]wireShard, len(seg.Shards))
		for j := range seg.Shards {
			sh := &seg.Shards[j]
			shards[j] = wireShard{sh.Backend, sh.Copy, sh.Tag[:], sh.Hash}
		}
		part.Segments[i] = wireSegment{seg.Length, seg.Nonce[:], seg.TagKey[:], shards}
	}
	return part
}

func (part *openPart) manifest() (*Manifest, error) {
	if part.Features == nil || part.Segments == nil || part.Supersedes == nil {
		return nil, fmt.Errorf("%w: a field is missing", ErrInvalid)
	}
	m := &Manifest{
		Object: part.Object, Incarnation: part.Incarnation, Data: part.Data, Parity: part.Parity,
		Segments: make([]Segment, len(part.Segments)), Supersedes: part.Supersedes,
	}
	for i, w := range part.Segments {
		if len(w.Nonce) != 12 || len(w.TagKey) != 32 {
			return nil, fmt.Errorf("%w: segment %d has a nonce or key of a wrong size", ErrInvalid, i)
		}
		seg := Segment{Length: w.Length, Nonce: [12]byte(w.Nonce), TagKey: [32]byte(w.TagKey), Shards: make([]Shard, len(w.Shards))}
		for j, sh := range w.Shards {
			if len(sh.Tag) != len(erasure.Tag{}) {
				return nil, fmt.Errorf("%w: segment %d has a tag of a wrong size", ErrInvalid, i)
			}
			seg.Shards[j] = Shard{sh.Backend, sh.Copy, erasure.Tag(sh.Tag), sh.Hash}
		}
		m.Segments[i] = seg
	}
	return m, nil
}

// strictJSON is vault.StrictJSON, with our error.
func strictJSON(data []byte, to any) error {
	if err := vault.StrictJSON(data, to); err != nil {
		return fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return nil
}

func newGCM(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
