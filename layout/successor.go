package layout

import (
	"fmt"
	"slices"
)

// Head is a document that another one follows.
type Head struct {
	Document *Document
	Layout   *Layout
}

// Successor makes the document that follows the heads: one, or several where
// a fork is joined. Backends keep their ids by name, or by remote where only
// the name is new; others get one from newID. It refuses to drop a backend
// that is not off.
func Successor(yaml string, heads []Head, newID func() string) (*Document, error) {
	l, err := Parse("layout", []byte(yaml))
	if err != nil {
		return nil, err
	}
	d := &Document{YAML: yaml, LeastData: l.Data, LeastParity: l.Parity}
	for _, h := range heads {
		d.Epoch = max(d.Epoch, h.Layout.Epoch)
		d.Previous = append(d.Previous, h.Layout.Hash)
		d.LeastData = min(d.LeastData, h.Layout.LeastData)
		d.LeastParity = min(d.LeastParity, h.Layout.LeastParity)
	}
	d.Epoch++
	for _, h := range heads {
		for _, hash := range h.Document.Previous {
			if !slices.Contains(d.Previous, hash) {
				d.Previous = append(d.Previous, hash)
			}
		}
	}
	d.Previous = d.Previous[:min(len(d.Previous), maxPrevious)]
	if d.LeastData == l.Data {
		d.LeastData = 0
	}
	if d.LeastParity == l.Parity {
		d.LeastParity = 0
	}
	if d.IDs, err = inherit(l, heads, newID); err != nil {
		return nil, err
	}
	d.Nonce = newID()
	return d, nil
}

// Leaving returns the backends of the heads that a layout has no more. All were
// off; that nothing relies on them is for the caller to find out.
func Leaving(l *Layout, heads []Head) (names []string) {
	stays := map[string]bool{}
	for _, b := range l.Backends {
		stays[b.ID] = true
	}
	for _, h := range heads {
		for _, old := range h.Layout.Backends {
			if !stays[old.ID] && !slices.Contains(names, old.Name) {
				names = append(names, old.Name)
			}
		}
	}
	return names
}

// inherit gives each backend its id and refuses to lose one that may be needed.
func inherit(l *Layout, heads []Head, newID func() string) (map[string]string, error) {
	ids := map[string]string{}
	taken := map[string]string{} // id -> its name now
	take := func(b Backend, id string) error {
		if had := ids[b.Name]; had != "" && had != id {
			return fmt.Errorf("backend %q was added twice, with the ids %s and %s: give both another name each, and keep both", b.Name, had, id)
		}
		if now := taken[id]; now != "" && now != b.Name {
			return fmt.Errorf("backends %q and %q are one, with the id %s, which was renamed: keep one of them", now, b.Name, id)
		}
		ids[b.Name], taken[id] = id, b.Name
		return nil
	}
	for _, same := range []func(a, b Backend) bool{
		func(a, b Backend) bool { return a.Name == b.Name },
		func(a, b Backend) bool { return placeKey(a) == placeKey(b) && ids[b.Name] == "" && taken[a.ID] == "" },
	} {
		for _, h := range heads {
			for _, old := range h.Layout.Backends {
				for _, b := range l.Backends {
					if same(old, b) {
						if err := take(b, old.ID); err != nil {
							return nil, err
						}
					}
				}
			}
		}
	}
	for _, h := range heads {
		for _, old := range h.Layout.Backends {
			if taken[old.ID] == "" && old.State != Off {
				return nil, fmt.Errorf("backend %q would leave the layout, yet objects may lie on it alone: keep it, with state: drain until shardraid rebalance has emptied it, then with state: off; from there it may leave", old.Name)
			}
		}
	}
	for _, b := range l.Backends {
		if ids[b.Name] != "" {
			continue
		}
		if b.State == Off {
			return nil, fmt.Errorf("backend %q is new and off, so nothing can be put there: leave it out, or make it active", b.Name)
		}
		ids[b.Name] = newID()
	}
	return ids, leavesNoQuorum(l, heads, taken)
}

// leavesNoQuorum refuses to switch so many backends off at once that a clone
// with an earlier layout could still work with them alone: what is off is not
// touched, so nothing there tells it of the new one.
func leavesNoQuorum(l *Layout, heads []Head, taken map[string]string) error {
	off := map[string]bool{}
	for _, b := range l.Backends {
		off[b.Name] = b.State == Off
	}
	for _, h := range heads {
		untouched := 0
		for _, old := range h.Layout.Backends {
			if old.State != Off && off[taken[old.ID]] {
				untouched++
			}
		}
		if most := len(h.Layout.Backends) - h.Layout.LeastParity - 1; untouched > most {
			return fmt.Errorf("%s would be switched off at once, and clones with the earlier layout could go on with that alone: switch off %d at most, then others in a second apply", plural(untouched, "backend"), most)
		}
	}
	return nil
}

// Follows reports whether the document descends from the one with this hash.
func (d *Document) Follows(hash string) bool { return slices.Contains(d.Previous, hash) }
