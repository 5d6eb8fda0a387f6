package torrent

import "testing"

func TestRate(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "0": 0, "0/s": 0, "0KiB/s": 0, "0.0M": 0, "1": 1, "100000": 100000, "100B": 100, "100B/s": 100, "100/s": 100,
		"1K": 1000, "1KB": 1000, "1KB/s": 1000, "1K/s": 1000, "1Ki": 1024, "1KiB": 1024, "500KiB/s": 500 << 10,
		"2MiB": 2 << 20, "2M": 2e6, "1.5MiB/s": 3 << 19, "0.001K": 1, "3GB/s": 3e9, "1024GiB/s": 1 << 40,
	} {
		if got, err := parseRate(text); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestRateRefuses(t *testing.T) {
	for text, why := range map[string]string{
		" ": "not a number", "x": "not a number", "-1": "not a number", "+1": "not a number", "1e3": "not a number", "1 K": "not a number",
		"K": "not a number", ".5K": "not a number", "1.K": "not a number", "1k": "not a number", "1iB": "not a number", "1TiB": "not a number",
		"1/S": "not a number", "1/s/s": "not a number", "1\n": "not a number", "NaN": "not a number", long("1", 1000): "not a number",
		"0.5": "less than a byte", "0.000000001G": "", "1025GiB/s": "too large", "999999999999999G": "too large",
	} {
		_, err := parseRate(text)
		if why != "" {
			wantError(t, err, why)
		} else if err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
