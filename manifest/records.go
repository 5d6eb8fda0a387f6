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

// Seal returns the bytes of one copy of the record.
func (m Move) Seal(v *vault.Vault) ([]byte, error) { return sealJSON(v, moveKind, m) }

// OpenMove reads one copy of a move of this incarnation.
func OpenMove(v *vault.Vault, id vault.ObjectID, inc vault.Incarnation, message []byte) (Move, error) {
	var m Move
	if err := openJSON(v, moveKind, message, &m); err != nil {
		return m, err
	}
	if m.Object != id || m.Incarnation != inc || !validBackendID(m.Backend) || len(m.Hash) > 200 {
		return m, fmt.Errorf("%w: it belongs to another object", ErrInvalid)
	}
	return m, nil
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

type marker struct {
	Vault   string `json:"vault"`
	Backend string `json:"backend"` // id
}

// SealMarker returns the marker file of a backend: the proof that this is the
// place which the layout means.
func SealMarker(v *vault.Vault, backendID string) ([]byte, error) {
	body, err := json.Marshal(marker{v.Fingerprint(), backendID})
	if err != nil {
		return nil, fmt.Errorf("write marker: %w", err)
	}
	return v.SealMarker(markerKind, body)
}

// OpenMarker returns nil if the message is the marker of this backend.
func OpenMarker(v *vault.Vault, backendID string, message []byte) error {
	body, err := v.OpenMarker(markerKind, message)
	if err != nil {
		return err
	}
	var got marker
	if err := strictJSON(body, &got); err != nil {
		return err
	}
	if got != (marker{v.Fingerprint(), backendID}) {
		return fmt.Errorf("%w: marker of another backend", ErrInvalid)
	}
	return nil
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
