package torrent

import (
	"fmt"
	"regexp"
	"strconv"
)

const maxRate = 1 << 40 // a tebibyte per second

var (
	ratePattern = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,9})?)((?:[KMG]i?)?)B?(?:/s)?$`)
	rateUnits   = map[string]float64{"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
)

// parseRate reads bytes per second: 500KiB/s, 1.5MB, 2G, 100000. KiB, MiB and
// GiB are powers of 1024, K, M and G, with or without B, of 1000; B and /s may
// be left out. "" and 0 are 0: no limit.
func parseRate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	m := ratePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("read rate %.32q: not a number and a unit: write bytes per second, such as 500KiB/s or 2MiB/s (K, KiB, M, MiB, G, GiB), or 0 for no limit", text)
	}
	number, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("read rate %.32q: %w", text, err)
	}
	switch rate := number * rateUnits[m[2]]; {
	case rate > maxRate:
		return 0, fmt.Errorf("read rate %.32q: too large: write at most 1024GiB/s, or 0 for no limit", text)
	case rate > 0 && rate < 1: // 0 would be the opposite
		return 0, fmt.Errorf("read rate %.32q: less than a byte per second: write at least 1, or 0 for no limit", text)
	default:
		return int64(rate), nil
	}
}
