package object

import (
	"errors"
	"testing"
)

func TestQuorumErrorText(t *testing.T) {
	err := &QuorumError{Have: 1, Need: 3, What: "backends answer", Causes: []Cause{
		{"b1", errors.New("b1: list x: refused\nmore")}, {"b2", errors.New("too slow")}, {"b1", errors.New("b1: get y: refused")}}}
	if got, want := err.Error(), "1 of at least 3 backends answer: b1: list x: refused; b2: too slow"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
