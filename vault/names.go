package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
)

// Encoding is the alphabet of all names: it survives stores that fold case.
var Encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Names makes the names that one backend sees. Two backends share none of
// them (docs/format.md, section 4).
type Names struct {
	dirKey    []byte
	block     cipher.Block
	markerKey []byte
}

// Names returns the names of the backend with this id.
func (v *Vault) Names(backendID string) *Names {
	block, err := aes.NewCipher(v.derive(v.names, []byte(backendID), "incarnation"))
	if err != nil {
		panic("vault: internal error: " + err.Error()) // the key has 32 bytes
	}
	return &Names{
		dirKey:    v.derive(v.names, []byte(backendID), "directory"),
		block:     block,
		markerKey: v.derive(v.names, []byte(backendID), "marker"),
	}
}

// Dir returns the directory of an object: two levels, "ab/cdef…".
func (n *Names) Dir(id ObjectID) string {
	name := keyedName(n.dirKey, id[:])
	return name[:2] + "/" + name[2:]
}

// Incarnation returns the 26 characters that stand for an incarnation.
func (n *Names) Incarnation(inc Incarnation) string {
	var out Incarnation
	n.block.Encrypt(out[:], inc[:])
	return Encoding.EncodeToString(out[:])
}

// ParseIncarnation reads what Incarnation wrote.
func (n *Names) ParseIncarnation(name string) (Incarnation, bool) {
	var inc Incarnation
	raw, err := Encoding.DecodeString(name)
	if err != nil || len(raw) != len(inc) || Encoding.EncodeToString(raw) != name {
		return inc, false
	}
	n.block.Decrypt(inc[:], raw)
	return inc, true
}

// Marker returns the name of the backend's marker file under the layout with
// this hash, without its ending.
func (n *Names) Marker(layoutHash string) string { return keyedName(n.markerKey, []byte(layoutHash)) }

// keyedName returns 32 characters.
func keyedName(key, of []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(of)
	return Encoding.EncodeToString(mac.Sum(nil)[:20])
}
