package manifest

import (
	"encoding/json"
	"fmt"

	"shardraid/vault"
)

const (
	moveKind      = "shardraid-move-v1"
	tombstoneKind = "shardraid-tombstone-v1"
	doomKind      = "shardraid-doom-v1"
	markerKind    = "shardraid-marker-v1"
	layoutKind    = "shardraid-layout-v1"
)

// Move adds a place where a shard is; readers try every known one.
type Move struct {
	Object      vault.ObjectID    `json:"object"`
	Incarnation vault.Incarnation `json:"incarnation"`
	Segment     uint32            `json:"segment"`
	Shard       uint8             `json:"shard"`
	Backend     string            `json:"backend"` // id
	Copy        CopyID            `json:"copy"`
	Hash        string            `json:"hash,omitempty"`
}

// maxMoves bounds the places of one record.
const maxMoves = 4096

// moves is the body of a record of moves: the first, and all others of the
// same incarnation that were made together with it.
type moves struct {
	Move
	Also []moved `json:"also,omitempty"`
}

type moved struct {
	Segment uint32 `json:"segment"`
	Shard   uint8  `json:"shard"`
	Backend string `json:"backend"`
	Copy    CopyID `json:"copy"`
	Hash    string `json:"hash,omitempty"`
}

// SealMoves returns the bytes of one copy of a record of moves, which are all
// of one incarnation.
func SealMoves(v *vault.Vault, list []Move) ([]byte, error) {
	if len(list) == 0 || len(list) > maxMoves {
		return nil, fmt.Errorf("write %s: %d moves, 1 to %d fit", moveKind, len(list), maxMoves)
	}
	body := moves{Move: list[0]}
	for _, m := range list[1:] {
		body.Also = append(body.Also, moved{m.Segment, m.Shard, m.Backend, m.Copy, m.Hash})
	}
	return sealJSON(v, moveKind, body)
}

// OpenMoves reads one copy of a record of moves of this incarnation.
func OpenMoves(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation, message []byte) ([]Move, error) {
	var body moves
	if err := openJSON(v, moveKind, message, &body); err != nil {
		return nil, err
	}
	if body.Object != id || body.Incarnation != inc {
		return nil, fmt.Errorf("%w: it belongs to another object", ErrInvalid)
	}
	list := []Move{body.Move}
	for _, m := range body.Also {
		list = append(list, Move{id, inc, m.Segment, m.Shard, m.Backend, m.Copy, m.Hash})
	}
	for _, m := range list {
		if !validBackendID(m.Backend) || len(m.Hash) > 200 || len(list) > maxMoves {
			return nil, fmt.Errorf("%w: a move to nowhere", ErrInvalid)
		}
	}
	return list, nil
}

// verdict is the body of tombstones and doom markers.
type verdict struct {
	Object      vault.ObjectID    `json:"object"`
	Incarnation vault.Incarnation `json:"incarnation"`
}

// SealTombstone returns a record that says: this incarnation was removed.
func SealTombstone(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation) ([]byte, error) {
	return sealJSON(v, tombstoneKind, verdict{id, inc})
}

// OpenTombstone returns nil if the message is this incarnation's tombstone.
func OpenTombstone(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation, message []byte) error {
	return openVerdict(v, tombstoneKind, id, inc, message)
}

// SealDoom returns a record that says: this incarnation is being collected,
// its writer must not complete it.
func SealDoom(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation) ([]byte, error) {
	return sealJSON(v, doomKind, verdict{id, inc})
}

// OpenDoom returns nil if the message is this incarnation's doom marker.
func OpenDoom(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation, message []byte) error {
	return openVerdict(v, doomKind, id, inc, message)
}

func openVerdict(v *vault.Vault, kind string, id vault.ObjectID, inc vault.Incarnation, message []byte) error {
	var got verdict
	if err := openJSON(v, kind, message, &got); err != nil {
		return err
	}
	if got != (verdict{id, inc}) {
		return fmt.Errorf("%w: it belongs to another object", ErrInvalid)
	}
	return nil
}

// ObjectOf returns to which object one copy of a record belongs, where only its
// place and its name are known.
func ObjectOf(v *vault.Vault, n Name, message []byte) (id vault.ObjectID, err error) {
	if n.Kind == KindManifest {
		m, err := openAny(v, n.Incarnation, message)
		if err != nil {
			return id, err
		}
		return m.Object, nil
	}
	line := map[Kind]string{KindMove: moveKind, KindTombstone: tombstoneKind, KindDoom: doomKind}[n.Kind]
	body, err := v.OpenRecord(line, message)
	if err != nil {
		return id, err
	}
	var got struct {
		Object vault.ObjectID `json:"object"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return id, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return got.Object, nil
}

type marker struct {
	Vault   string `json:"vault"`
	Backend string `json:"backend"`          // id
	Layout  string `json:"layout,omitempty"` // hash of its document
}

// SealMarker returns the marker file of a backend: the proof that this is the
// place which the layout with this hash means.
func SealMarker(v *vault.Vault, backendID, layoutHash string) ([]byte, error) {
	body, err := json.Marshal(marker{v.Fingerprint(), backendID, layoutHash})
	if err != nil {
		return nil, fmt.Errorf("write marker: %w", err)
	}
	return v.SealOwned(markerKind, body)
}

// OpenMarker returns of which layout the message is the marker; it must be
// this backend's.
func OpenMarker(v *vault.Vault, backendID string, message []byte) (layoutHash string, err error) {
	got, layoutHash, err := ReadMarker(v, message)
	if err == nil && got != backendID {
		return "", fmt.Errorf("%w: marker of another backend", ErrInvalid)
	}
	return layoutHash, err
}

// ReadMarker returns of which backend and layout of this vault the message is
// the marker.
func ReadMarker(v *vault.Vault, message []byte) (backendID, layoutHash string, err error) {
	body, err := v.OpenOwned(markerKind, message)
	if err != nil {
		return "", "", err
	}
	var got marker
	if err := strictJSON(body, &got); err != nil {
		return "", "", err
	}
	if got.Vault != v.Fingerprint() {
		return "", "", fmt.Errorf("%w: marker of another vault", ErrInvalid)
	}
	return got.Backend, got.Layout, nil
}

// SignLayout returns a layout document as it travels in git: signed by the
// owner key, readable by anyone.
func SignLayout(v *vault.Vault, document []byte) ([]byte, error) {
	return v.Sign(layoutKind, document)
}

// VerifyLayout returns the document that SignLayout was given.
func VerifyLayout(card *vault.Card, signed []byte) ([]byte, error) {
	return card.Verify(layoutKind, signed)
}

// SealLayout returns one copy of a layout document for a backend: signed, and
// readable only with the vault.
func SealLayout(v *vault.Vault, document []byte) ([]byte, error) {
	return v.SealOwned(layoutKind, document)
}

// OpenLayout returns the document that SealLayout was given.
func OpenLayout(v *vault.Vault, message []byte) ([]byte, error) {
	return v.OpenOwned(layoutKind, message)
}

func sealJSON(v *vault.Vault, kind string, record any) ([]byte, error) {
	body, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", kind, err)
	}
	return v.SealRecord(kind, body)
}

func openJSON(v *vault.Vault, kind string, message []byte, to any) error {
	body, err := v.OpenRecord(kind, message)
	if err != nil {
		return err
	}
	return strictJSON(body, to)
}
