package object

import (
	"errors"
	"testing"
)

// Some backends hold nothing any more and up to m others are silent: what the
// silent ones may hold is not absent.
func TestEmptyAndSilent(t *testing.T) {
	whole := newRig(t, 4, 2, 6)
	data := bytesOf(1, 5000)
	whole.mustPut(testKey, data)
	for _, mode := range []string{"down", "hidden", "garbage"} {
		for empty := range 4 {
			for silent := range 3 {
				r := whole.fork(t)
				for i := range empty + silent {
					if i < empty {
						losses["empty"](r, i)
					} else {
						losses[mode](r, i)
					}
				}
				here, checkErr, getErr := r.mustBeSound(testKey, data)
				enough := empty+silent <= 2
				if here != enough || (getErr == nil) != enough {
					t.Errorf("%d empty, %d %s: check %v, %v; get %v", empty, silent, mode, here, checkErr, getErr)
				}
				if !here && empty <= 2 && (checkErr == nil || errors.Is(getErr, ErrAbsent)) {
					t.Errorf("%d empty, %d %s: called absent", empty, silent, mode)
				}
			}
		}
	}
}
