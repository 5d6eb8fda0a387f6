package erasure

import "math/bits"

// minPadded keeps the smallest contents alike.
const minPadded = 1 << 10

// Padded returns the length in bytes to which the last segment or an inlined
// content of length bytes is filled up with zeros before it is sealed: at
// least 1 KiB and else Padmé (Nikitin et al., "Reducing Metadata Leakage from
// Encrypted Files and Communication with PURBs", 2019), at most 12 % more.
func Padded(length int) int {
	if length <= minPadded {
		return minPadded
	}
	mask := padMask(length)
	return (length + mask) &^ mask
}

// PaddedFloor returns the largest length that needs no padding and is not
// above this one, which is at least 1 KiB.
func PaddedFloor(length int) int { return length &^ padMask(length) }

func padMask(length int) int {
	e := bits.Len(uint(length)) - 1
	s := bits.Len(uint(e))
	return 1<<(e-s) - 1
}
