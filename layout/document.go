package layout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"
)

const (
	// maxDocument holds MaxText even where JSON writes more bytes for a character.
	maxDocument = 8 << 20
	maxEpoch    = 1 << 30
	maxPrevious = 512
)

var (
	idPattern   = regexp.MustCompile(`^[a-z2-7]{13}$`)
	hashPattern = regexp.MustCompile(`^[!-~]{1,128}$`)
)

// Document is what is signed and travels: the user's own YAML text, with what
// applying it added.
type Document struct {
	Epoch       int               `json:"epoch"`                  // 1, and one more than the highest predecessor's
	Previous    []string          `json:"previous,omitempty"`     // hashes of all predecessors, the direct ones first
	Nonce       string            `json:"nonce,omitempty"`        // random: no two documents are the same
	IDs         map[string]string `json:"ids"`                    // backend name -> backend id
	Types       map[string]string `json:"types,omitempty"`        // section of rclone.conf -> type of storage, for advice alone
	LeastData   int               `json:"least_data,omitempty"`   // see Layout; where they differ from the YAML's
	LeastParity int               `json:"least_parity,omitempty"` //
	YAML        string            `json:"yaml"`                   // as the user wrote it
}

// NewDocument makes the first document of a vault: epoch 1, no predecessors.
func NewDocument(yaml string, ids map[string]string) *Document {
	return &Document{Epoch: 1, IDs: maps.Clone(ids), YAML: yaml}
}

// Marshal writes the document as JSON, the same bytes for the same document.
// It refuses what ParseDocument would not read.
func (d *Document) Marshal() ([]byte, error) {
	if _, err := d.layout(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // the YAML should stay readable
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("layout document: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// ParseDocument reads what Marshal wrote, and the layout in it, whose backends
// carry their ids. The caller has checked the signature over data.
func ParseDocument(data []byte) (*Document, *Layout, error) {
	if len(data) > maxDocument {
		return nil, nil, fmt.Errorf("layout document: larger than %d MiB: apply a smaller layout", maxDocument>>20)
	}
	if !utf8.Valid(data) { // the JSON decoder would put U+FFFD there
		return nil, nil, errors.New("layout document: not UTF-8: fetch it again")
	}
	if err := checkKeys(data); err != nil {
		return nil, nil, fmt.Errorf("layout document: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	d := new(Document)
	if err := decoder.Decode(d); err != nil {
		return nil, nil, fmt.Errorf("layout document: %w: fetch it again or update shardraid", err)
	}
	if len(d.Previous) == 0 {
		d.Previous = nil // one spelling of none
	}
	if len(d.Types) == 0 {
		d.Types = nil
	}
	l, err := d.layout()
	if err != nil {
		return nil, nil, err
	}
	l.Hash = Hash(data)
	return d, l, nil
}

// Hash names a document: SHA-256 of its bytes, in hex.
func Hash(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}

// checkKeys refuses what encoding/json lets pass: a field in other case, a key
// written twice, data behind the document.
func checkKeys(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	fields, err := uniqueKeys(decoder)
	if err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("data behind it: fetch it again")
	}
	for field := range fields {
		if !slices.Contains([]string{"epoch", "previous", "nonce", "ids", "types", "least_data", "least_parity", "yaml"}, field) {
			return fmt.Errorf("unknown field %.64q: update shardraid", field)
		}
	}
	for _, name := range []string{"ids", "types"} {
		if object := fields[name]; object != nil && err == nil {
			_, err = uniqueKeys(json.NewDecoder(bytes.NewReader(object)))
		}
	}
	return err
}

// uniqueKeys reads one JSON object.
func uniqueKeys(decoder *json.Decoder) (map[string]json.RawMessage, error) {
	token, err := decoder.Token()
	if err != nil || token != json.Delim('{') {
		return nil, errors.New("not a JSON object: fetch it again")
	}
	fields := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object: fetch it again")
		}
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("%.64q is there twice: fetch it again", key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: fetch it again", err)
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("%w: fetch it again", err)
	}
	return fields, nil
}

// layout checks the document and parses its YAML.
func (d *Document) layout() (*Layout, error) {
	if d.Epoch < 1 || d.Epoch > maxEpoch {
		return nil, fmt.Errorf("layout document: epoch %d is out of range: apply the layout again", d.Epoch)
	}
	if d.Nonce != "" && !idPattern.MatchString(d.Nonce) {
		return nil, fmt.Errorf("layout document: nonce %.64q is not 13 characters a-z2-7: apply the layout again", d.Nonce)
	}
	if err := d.checkPrevious(); err != nil {
		return nil, fmt.Errorf("layout document: %w", err)
	}
	l, err := Parse("layout", []byte(d.YAML))
	if err != nil {
		return nil, err
	}
	if err := d.assignIDs(l); err != nil {
		return nil, fmt.Errorf("layout document: %w: apply the layout again", err)
	}
	if err := d.least(l); err != nil {
		return nil, fmt.Errorf("layout document: %w: apply the layout again", err)
	}
	l.Epoch = d.Epoch
	return l, nil
}

// least takes over what earlier layouts promised less than this one.
func (d *Document) least(l *Layout) error {
	for _, f := range []struct {
		name  string
		value int
		to    *int
	}{{"data", d.LeastData, &l.LeastData}, {"parity", d.LeastParity, &l.LeastParity}} {
		if f.value < 0 || f.value >= *f.to {
			return fmt.Errorf("least %s %d is not below that of the layout", f.name, f.value)
		}
		if f.value > 0 {
			*f.to = f.value
		}
	}
	off := 0
	for _, b := range l.Backends {
		if b.State == Off {
			off++
		}
	}
	if off > l.LeastParity {
		return fmt.Errorf("%d backends are off, and objects of an earlier layout allow %d to be silent", off, l.LeastParity)
	}
	return nil
}

func (d *Document) checkPrevious() error {
	if (d.Epoch == 1) != (len(d.Previous) == 0) {
		return fmt.Errorf("epoch %d with %d predecessors: only the first has none: apply the layout again", d.Epoch, len(d.Previous))
	}
	if len(d.Previous) > maxPrevious {
		return fmt.Errorf("%d predecessors: at most %d are read: join fewer at once", len(d.Previous), maxPrevious)
	}
	for i, hash := range d.Previous {
		if !hashPattern.MatchString(hash) || slices.Contains(d.Previous[:i], hash) {
			return fmt.Errorf("predecessor %.64q is no hash or named twice: apply the layout again", hash)
		}
	}
	return nil
}

// assignIDs gives each backend its id: one for each, each for one.
func (d *Document) assignIDs(l *Layout) error {
	owner := map[string]string{}
	for i := range l.Backends {
		b := &l.Backends[i]
		id, found := d.IDs[b.Name]
		if !found {
			return fmt.Errorf("backend %q has no id", b.Name)
		}
		if !idPattern.MatchString(id) {
			return fmt.Errorf("backend %q: id %.64q is not 13 characters a-z2-7", b.Name, id)
		}
		if other, taken := owner[id]; taken {
			return fmt.Errorf("backends %q and %q have the same id %s", other, b.Name, id)
		}
		owner[id], b.ID = b.Name, id
	}
	if extra := len(d.IDs) - len(l.Backends); extra > 0 {
		return fmt.Errorf("ids for %d backends that the layout does not have", extra)
	}
	return nil
}
