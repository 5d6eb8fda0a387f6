package layout

import (
	"fmt"
	"strings"
)

// Propose completes a layout that has nothing but backends: it chooses data and
// parity shards for so many, at least 3, within their domains. One in four may
// be lost, at least two from four on, and from seven on one is to spare, so that
// files are stored whole while it is down.
func Propose(backends []Backend) (*Layout, error) {
	if len(backends) < 3 {
		return nil, fmt.Errorf("propose layout: %d backends are too few, 3 are the least that survive a loss at less than twice the space", len(backends))
	}
	spare := 0
	if len(backends) >= 7 {
		spare = 1
	}
	parity := max(1, len(backends)/4)
	if len(backends) >= 4 {
		parity = max(2, parity)
	}
	var last error
	for ; parity < len(backends); parity++ {
		for data := len(backends) - spare - parity; data >= 1; data-- {
			l, err := Parse("proposal", []byte(Text(data, parity, backends)))
			if err == nil {
				return l, nil
			}
			last = err
		}
	}
	return nil, fmt.Errorf("propose layout: %w", last)
}

// Text writes a layout as a person would.
func Text(data, parity int, backends []Backend) string {
	var b strings.Builder
	fmt.Fprintf(&b, "shardraid: 1\ndata: %d      # any %d of %d pieces bring a file back\nparity: %d    # any %d backends may be lost\nbackends:\n", data, data, data+parity, parity, parity)
	for _, be := range backends {
		fmt.Fprintf(&b, "  - {name: %q, remote: %q", be.Name, be.Remote)
		if be.Domain != "" && be.Domain != be.Name {
			fmt.Fprintf(&b, ", domain: %q", be.Domain)
		}
		if be.Limits != (Limits{}) {
			fmt.Fprintf(&b, ", limits: %v", be.Limits)
		}
		b.WriteString("}\n")
	}
	return b.String()
}
