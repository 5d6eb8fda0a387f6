package layout

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

const (
	minRequests = 0.001
	maxRequests = 1e6
)

var (
	sizePattern   = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,9})?)(B|[KMGT]i?B)$`)
	numberPattern = regexp.MustCompile(`^[0-9]{1,9}(?:\.[0-9]{1,9})?$`)
)

// parseSize reads 8MiB, 1.5GB or 0; parts of a byte are dropped.
func parseSize(text string) (int64, error) {
	if text == "0" {
		return 0, nil
	}
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%.64q is not a size: write a number and a unit, such as 8MiB (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)", text)
	}
	exact, _ := new(big.Rat).SetString(m[1]) // the pattern saw to it
	exact.Mul(exact, new(big.Rat).SetInt64(unit(m[2])))
	whole := new(big.Int).Quo(exact.Num(), exact.Denom())
	if !whole.IsInt64() {
		return 0, fmt.Errorf("%.64q is too large: write less than 8388608TiB", text)
	}
	// 0 means "none", which is the opposite of a tiny limit.
	if whole.Sign() == 0 && exact.Sign() != 0 {
		return 0, fmt.Errorf("%.64q is less than a byte: write at least 1B, or 0B for none", text)
	}
	return whole.Int64(), nil
}

// unit gives the bytes of B, KiB ... TiB (powers of 1024), KB ... TB (of 1000).
func unit(name string) int64 {
	base := int64(1000)
	if strings.Contains(name, "i") {
		base = 1024
	}
	bytes := int64(1)
	for range 1 + strings.IndexByte("KMGT", name[0]) { // none for B
		bytes *= base
	}
	return bytes
}

// ParseRate reads a size per second, such as 1MiB/s.
func ParseRate(text string) (int64, error) {
	size, found := strings.CutSuffix(text, "/s")
	if !found && text != "0" {
		return 0, fmt.Errorf("%.64q is not a rate: write a size per second, such as 1MiB/s", text)
	}
	return parseSize(size)
}

// parseRequests reads a number per second, such as 0.5/s.
func parseRequests(text string) (float64, error) {
	number, found := strings.CutSuffix(text, "/s")
	if !(found && numberPattern.MatchString(number)) && text != "0" {
		return 0, fmt.Errorf("%.64q is not a number of requests: write a number per second, such as 2/s", text)
	}
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || rate != 0 && (rate < minRequests || rate > maxRequests) {
		return 0, fmt.Errorf("%.64q is out of range: write %v/s to %.0f/s, or 0/s for none", text, minRequests, maxRequests)
	}
	return rate, nil
}
