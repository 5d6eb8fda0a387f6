package manifest

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"

	"shardraid/vault"
)

// CopyID tells the copies of one record or shard apart: no name is ever
// written twice.
type CopyID [8]byte

// NewCopyID draws a copy id.
func NewCopyID() (id CopyID) {
	rand.Read(id[:])
	return id
}

func (id CopyID) String() string { return vault.Encoding.EncodeToString(id[:]) }

// MarshalText writes the 13 characters of a copy id.
func (id CopyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *CopyID) UnmarshalText(text []byte) error { return decodeName(id[:], string(text)) }

// NewIncarnation draws an incarnation.
func NewIncarnation() (inc vault.Incarnation) {
	rand.Read(inc[:])
	return inc
}

// NewBackendID draws the id that a layout gives to a backend: 13 characters.
func NewBackendID() string { return NewCopyID().String() }

// Kind is what a file in an object's directory is.
type Kind byte

const (
	KindManifest  Kind = 'm'
	KindMove      Kind = 'v'
	KindTombstone Kind = 't'
	KindDoom      Kind = 'd'
	KindShard     Kind = 's'
)

// Name is the name of a file in an object's directory (docs/format.md,
// section 4).
type Name struct {
	Incarnation vault.Incarnation
	Kind        Kind
	Segment     uint32 // of a shard
	Shard       uint8  // of a shard
	Copy        CopyID
}

// Format returns the name as the backend of these names sees it, without the
// directory.
func (n Name) Format(names *vault.Names) string {
	out := names.Incarnation(n.Incarnation) + "." + string(rune(n.Kind))
	if n.Kind == KindShard {
		var at [5]byte
		binary.BigEndian.PutUint32(at[:], n.Segment)
		at[4] = n.Shard
		out += "." + vault.Encoding.EncodeToString(at[:])
	}
	return out + "." + n.Copy.String()
}

// ParseName reads what Format wrote. A name that Format would not write is
// not a name.
func ParseName(names *vault.Names, text string) (n Name, ok bool) {
	fields := strings.Split(text, ".")
	if len(fields) < 3 || len(fields[1]) != 1 {
		return n, false
	}
	if n.Incarnation, ok = names.ParseIncarnation(fields[0]); !ok {
		return n, false
	}
	n.Kind = Kind(fields[1][0])
	switch n.Kind {
	case KindManifest, KindMove, KindTombstone, KindDoom:
		return n, len(fields) == 3 && decodeName(n.Copy[:], fields[2]) == nil
	case KindShard:
		if len(fields) != 4 {
			return n, false
		}
		var at [5]byte
		if decodeName(at[:], fields[2]) != nil {
			return n, false
		}
		n.Segment, n.Shard = binary.BigEndian.Uint32(at[:]), at[4]
		return n, decodeName(n.Copy[:], fields[3]) == nil
	}
	return n, false
}

// decodeName reads exactly len(dst) bytes in their one spelling.
func decodeName(dst []byte, text string) error {
	raw, err := vault.Encoding.DecodeString(text)
	if err != nil || len(raw) != len(dst) || vault.Encoding.EncodeToString(raw) != text {
		return fmt.Errorf("name part %q is not valid", text)
	}
	copy(dst, raw)
	return nil
}

// RootKind is what a file in a backend's root is: the ending of its name.
type RootKind string

const (
	RootMarker RootKind = ".marker"
	RootLayout RootKind = ".layout" // a copy of the layout document
	RootVault  RootKind = ".vault"  // a wrapped copy of the vault
)

// MarkerName returns the name of a backend's marker file under the layout
// with this hash.
func MarkerName(names *vault.Names, layoutHash string) string {
	return names.Marker(layoutHash) + string(RootMarker)
}

// NewRootName draws the name of a copy in a backend's root.
func NewRootName(kind RootKind) string {
	var id [20]byte
	rand.Read(id[:])
	return vault.Encoding.EncodeToString(id[:]) + string(kind)
}

// ParseRootName returns what a file in a backend's root looks like, be it of
// some other vault.
func ParseRootName(text string) (RootKind, bool) {
	for _, kind := range []RootKind{RootMarker, RootLayout, RootVault} {
		if stem, ok := strings.CutSuffix(text, string(kind)); ok {
			return kind, decodeName(make([]byte, 20), stem) == nil
		}
	}
	return "", false
}
