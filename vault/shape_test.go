package vault

import (
	"errors"
	"strings"
	"testing"
)

// checkShape itself lets nothing through that we do not write, whatever the
// OpenPGP library would make of it.
func TestRecordShape(t *testing.T) {
	v, _ := newVault(t)
	good, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkShape(good, tagSessionKey, tagEncrypted); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{
		"a byte behind":   append(good[:len(good):len(good)], 0),
		"twice":           append(good[:len(good):len(good)], good...),
		"cut":             good[:len(good)-1],
		"nothing":         nil,
		"too large":       make([]byte, MaxRecord+1),
		"a marker packet": append([]byte{0xca, 3, 'P', 'G', 'P'}, good...),
	} {
		if err := checkShape(message, tagSessionKey, tagEncrypted); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkShape(good, tagPassphrase, tagEncrypted); !errors.Is(err, ErrRecord) {
		t.Errorf("as a locked message: %v", err)
	}
}

// Brackets by the million end in an error, not in the end of the process.
func TestStrictJSONIsFlat(t *testing.T) {
	for _, open := range []string{"[", `{"a":`, `{"a":[`} {
		var to any
		if err := StrictJSON([]byte(strings.Repeat(open, 8<<20/len(open))), &to); err == nil {
			t.Errorf("%s: accepted", open)
		}
	}
	var card struct {
		A int `json:"a"`
	}
	for _, text := range []string{`{"a":1,"a":2}`, `{"A":1}`, `{"a":1} {}`, `{"a":1,"b":2}`, `{"a":[]}`, ``} {
		if err := StrictJSON([]byte(text), &card); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
	if err := StrictJSON([]byte(` {"a": 1} `), &card); err != nil || card.A != 1 {
		t.Error(err)
	}
}
