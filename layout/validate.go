package layout

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	namePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	// sectionPattern leaves out whatever rclone reads as options: "," "=" ":".
	sectionPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+@ -]*$`)
)

func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%.64q is not a name: write 1 to %d characters a-z, 0-9 and -", name, maxName)
	}
	return nil
}

func checkDomain(domain string) error {
	if strings.ContainsFunc(domain, unprintable) || strings.TrimSpace(domain) != domain || utf8.RuneCountInString(domain) > maxDomain {
		return fmt.Errorf("%.64q is not a domain: write a word of at most %d characters", domain, maxDomain)
	}
	return nil
}

func checkState(state string) error {
	if !slices.Contains([]State{Active, Drain, Off}, State(state)) {
		return fmt.Errorf("%.64q is unknown: write active, drain or off", state)
	}
	return nil
}

// checkRemote lets pass only what names a folder in a section of the user's own
// rclone.conf, or a local one: some options of rclone run programs.
func checkRemote(remote string) error {
	section, folder, named := strings.Cut(remote, ":")
	local := strings.HasPrefix(remote, "/")
	if local {
		folder = remote
	}
	switch {
	case strings.ContainsFunc(remote, unprintable):
		return fmt.Errorf("%.64q contains a control character: remove it", remote)
	case local:
	case strings.HasPrefix(remote, ":"):
		return fmt.Errorf("%.64q is a connection string: name a section of your rclone.conf, such as gdrive:annex", remote)
	case strings.ContainsAny(section, ",=") && named:
		return fmt.Errorf("%.64q sets options: set them in the section of your rclone.conf and write section:path", remote)
	case !named || strings.HasPrefix(section, "~") || strings.Contains(section, "/"):
		return fmt.Errorf("%.64q is a relative path: write the absolute path, or section:path of your rclone.conf", remote)
	case !sectionPattern.MatchString(section):
		return fmt.Errorf("%.64q: %.64q is not the name of a section: rename it in your rclone.conf with letters, digits and _ . + @ -", remote, section)
	}
	switch {
	case slices.Contains(strings.Split(folder, "/"), ".."):
		return fmt.Errorf("%.64q contains \"..\": write the path without", remote)
	case path.Clean("/"+folder) == "/" && local:
		return fmt.Errorf("%.64q is the root of the file system: name a folder, such as /srv/annex", remote)
	case path.Clean("/"+folder) == "/":
		return fmt.Errorf("%.64q has no path: name a folder, such as %.64s:annex", remote, section)
	}
	return nil
}

// unprintable finds controls, line breaks, and what reorders or hides text.
func unprintable(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// validate checks the fields against each other and their ranges.
func (w *walker) validate(l *Layout) {
	w.checkNumbers(l)
	w.checkNames(l.Backends)
	w.checkRemotes(l.Backends)
	w.checkFileSizes(l)
	w.checkFit(l)
}

func (w *walker) checkNumbers(l *Layout) {
	shards := l.Data + l.Parity
	leastQuorum := l.Data + max(1, (l.Parity+1)/2)
	switch {
	case l.Data < 1:
		w.fail(lineOf(w.fields["data"]), "data %d is out of range: write at least 1", l.Data)
	case l.Parity < 1:
		w.fail(lineOf(w.fields["parity"]), "parity %d is out of range: write at least 1, or no backend may be lost", l.Parity)
	case shards > maxShards:
		w.fail(lineOf(w.fields["data"]), "data + parity = %d is out of range: write at most %d together", shards, maxShards)
	case l.ShardSize < minShardSize || l.ShardSize > maxShardSize:
		w.fail(lineOf(w.fields["shard_size"]), "shard_size is out of range: write 64KiB to 32MiB")
	case l.WriteQuorum < leastQuorum || l.WriteQuorum > shards:
		w.fail(lineOf(w.fields["write_quorum"]), "write_quorum %d is out of range: write %d to %d", l.WriteQuorum, leastQuorum, shards)
	case l.Inline > maxInline:
		w.fail(lineOf(w.fields["inline"]), "inline is out of range: write at most 1MiB")
	}
}

func (w *walker) checkNames(backends []Backend) {
	seen := map[string]bool{}
	for i, b := range backends {
		if seen[b.Name] {
			w.fail(w.backendAt[i].name, "backend %q: the name is taken: write another", b.Name)
		}
		seen[b.Name] = true
	}
}

// checkRemotes refuses two backends in one place: they would die together and
// take each other's files for strays.
func (w *walker) checkRemotes(backends []Backend) {
	type place struct {
		key   string // ends in "/", so that only whole components match
		index int
	}
	places := make([]place, len(backends))
	for i, b := range backends {
		places[i] = place{key: placeKey(b), index: i}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.index, b.index))
	})
	// Sorted, whatever begins with a key follows it, so neighbours are enough.
	for i := 1; i < len(places); i++ {
		outer, inner := places[i-1], places[i]
		if !strings.HasPrefix(inner.key, outer.key) {
			continue
		}
		later, earlier := max(outer.index, inner.index), min(outer.index, inner.index)
		w.fail(w.backendAt[later].remote, "backend %q: the remote is the same as that of backend %q, or one is inside the other: give each its own folder",
			backends[later].Name, backends[earlier].Name)
	}
}

// placeKey takes gdrive:annex and gdrive:/annex/ for the same: on most remotes they are.
func placeKey(b Backend) string {
	if b.Local() {
		return path.Clean(b.Remote) + "/"
	}
	section, folder, _ := strings.Cut(b.Remote, ":")
	return section + ":" + path.Clean("/"+folder) + "/"
}

func (w *walker) checkFileSizes(l *Layout) {
	for i, b := range l.Backends {
		// The others get no new shards.
		if b.State == Active && b.Limits.FileSize != 0 && b.Limits.FileSize < l.ShardSize+shardOverhead {
			w.fail(w.backendAt[i].fileSize, "backend %q: file_size %d is too small for a shard of %d bytes: lower shard_size to %d or less",
				b.Name, b.Limits.FileSize, l.ShardSize+shardOverhead, max(b.Limits.FileSize-shardOverhead, 0))
		}
	}
}

// checkFit checks that a segment's shards fit on the active backends with at
// most Parity in a domain. Each backend gets at most one shard of a segment, so
// losing any Parity backends is then survived by construction, and so is
// losing any one domain. A domain takes min(Parity, its backends) whatever the
// others take, so the sum is the most that fits. A backend that is off is never
// asked, so it counts among the Parity that may be silent.
func (w *walker) checkFit(l *Layout) {
	shards, active, off, room := l.Data+l.Parity, 0, 0, 0
	members := map[string]int{}
	largest := "" // the first of the largest domains
	for _, b := range l.Backends {
		if b.State == Active {
			active++
			members[b.Domain]++
		}
		if b.State == Off {
			off++
		}
	}
	for _, b := range l.Backends {
		if members[b.Domain] > members[largest] {
			largest = b.Domain
		}
	}
	for _, n := range members {
		room += min(n, l.Parity)
	}
	line := lineOf(w.fields["backends"])
	if active < shards {
		w.fail(line, "%d active backends are too few for data + parity = %d shards: add backends or lower data", active, shards)
	}
	if off > l.Parity {
		w.fail(line, "%d backends are off, and no more than parity=%d may be silent when the others are asked: make some of them active, or raise parity", off, l.Parity)
	}
	if room < shards {
		w.fail(line, "the %d shards do not fit: at most parity=%d may share a domain, yet %d of %d backends have the domain %q: add backends of other domains or raise parity",
			shards, l.Parity, members[largest], active, largest)
	}
}
