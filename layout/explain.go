package layout

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// LossOdds are the account death rates that Explain shows.
var LossOdds = [...]float64{0.02, 0.05, 0.10, 0.20}

// Explain says in lines for a person what the layout survives and costs.
func (l *Layout) Explain() []string {
	shards, members := l.Data+l.Parity, l.activeDomains()
	lines := []string{
		fmt.Sprintf("%d data + %d parity shards over %s in %s: %.2f bytes stored per byte",
			l.Data, l.Parity, plural(sum(members), "active backend"), plural(len(members), "domain"), float64(shards)/float64(l.Data)),
		fmt.Sprintf("any %s may be lost: yes (a backend holds one shard of a segment at most)", plural(l.Parity, "backend")),
		fmt.Sprintf("any one domain may be lost: yes (the largest, %s, has %s and gets %s of a segment at most)",
			largest(members), plural(members[largest(members)], "backend"), plural(min(members[largest(members)], l.Parity), "shard")),
		fmt.Sprintf("a store succeeds with %d of %d shards; until the rest is filled in, such a file survives the loss of %s",
			l.WriteQuorum, shards, plural(l.WriteQuorum-l.Data, "backend")),
		fmt.Sprintf("files up to %s are kept whole, in %d places", sizeText(l.Inline), l.Parity+1),
		"odds to lose a given file before anything is replaced:",
		"  each account dies with probability      " + oddsRow(func(p float64) string { return fmt.Sprintf("%.0f %%", p*100) }),
		"  accounts die independently              " + oddsRow(func(p float64) string { return fmt.Sprintf("%.1e", l.LossByAccount(p)) }),
	}
	if len(members) < sum(members) {
		lines = append(lines, "  whole domains die, at the worst places  "+oddsRow(func(p float64) string { return fmt.Sprintf("%.1e", l.LossByDomain(p)) }))
	}
	if quorum := l.WriteQuorum; quorum < shards {
		lines = append(lines, fmt.Sprintf("  stored with %3d shards only             ", quorum)+
			oddsRow(func(p float64) string { return fmt.Sprintf("%.1e", Loss(ones(quorum), quorum-l.Data, p)) }))
	}
	if spare := l.room() - shards; spare > 0 {
		lines = append(lines, fmt.Sprintf("%s to spare: so many may be down while files are stored whole", plural(spare, "backend")))
	} else {
		lines = append(lines, "no spare backend: "+noSpare(shards-l.WriteQuorum))
	}
	for _, b := range l.Backends {
		if b.State != Active {
			lines = append(lines, fmt.Sprintf("backend %s is %s: it gets no new shards", b.Name, b.State))
		}
	}
	return lines
}

func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func noSpare(missing int) string {
	if missing == 0 {
		return "nothing is stored while one backend is down (write_quorum, or more backends, would help)"
	}
	return fmt.Sprintf("at most %d may be down while files are stored", missing)
}

// LossByAccount returns the odds to lose a wholly stored object if each
// account dies independently with probability p.
func (l *Layout) LossByAccount(p float64) float64 {
	return Loss(ones(l.Data+l.Parity), l.Parity, p)
}

// LossByDomain returns the same if whole domains die, for an object that lies
// as unluckily as the layout allows.
func (l *Layout) LossByDomain(p float64) float64 {
	sizes := slices.SortedFunc(maps.Values(l.activeDomains()), func(a, b int) int { return cmp.Compare(b, a) })
	// Full domains are not the worst: a full one and many small ones may be. So
	// all ways are tried to put the larger counts into the larger domains, the
	// fullest first, as far as there is time.
	worst, tries := 0.0, maxTries
	var place func(counts []int, most, left int)
	place = func(counts []int, most, left int) {
		if left == 0 {
			worst, tries = max(worst, Loss(counts, l.Parity, p)), tries-1
			return
		}
		rest := sizes[len(counts):]
		if len(rest) == 0 {
			return
		}
		for n := min(most, rest[0], left); n > 0 && tries > 0; n-- {
			room := 0
			for _, size := range rest {
				room += min(size, n)
			}
			if room < left {
				return
			}
			place(append(counts, n), n, left-n)
		}
	}
	place(nil, l.Parity, l.Data+l.Parity)
	return worst
}

// maxTries keeps layouts of hundreds of shards from taking for ever.
const maxTries = 4000

// room is how many shards of a segment the active backends can take.
func (l *Layout) room() (n int) {
	for _, members := range l.activeDomains() {
		n += min(members, l.Parity)
	}
	return n
}

// Loss returns the odds that more than spare shards are lost where group i of
// counts[i] shards is lost with probability p.
func Loss(counts []int, spare int, p float64) float64 {
	odds := []float64{1} // by lost shards
	for _, n := range counts {
		next := make([]float64, len(odds)+n)
		for lost, o := range odds {
			next[lost] += o * (1 - p)
			next[lost+n] += o * p
		}
		odds = next
	}
	loss := 0.0
	for lost := len(odds) - 1; lost > spare; lost-- { // small ones first
		loss += odds[lost]
	}
	return math.Min(loss, 1)
}

// Diff says in lines for a person what changes from one layout to another.
func Diff(from, to *Layout) []string {
	var lines []string
	change := func(what string, a, b any) {
		if a != b {
			lines = append(lines, fmt.Sprintf("%s: %v -> %v", what, a, b))
		}
	}
	change("data", from.Data, to.Data)
	change("parity", from.Parity, to.Parity)
	change("shard_size", sizeText(from.ShardSize), sizeText(to.ShardSize))
	change("write_quorum", from.WriteQuorum, to.WriteQuorum)
	change("inline", sizeText(from.Inline), sizeText(to.Inline))
	if from.Data != to.Data || from.Parity != to.Parity {
		lines = append(lines, "  what is stored already keeps its own data and parity")
	}
	named := func(l *Layout, name string) *Backend {
		for i := range l.Backends {
			if l.Backends[i].Name == name {
				return &l.Backends[i]
			}
		}
		return nil
	}
	for _, b := range from.Backends {
		now := named(to, b.Name)
		if now == nil {
			now = renamed(to, b)
		}
		if now == nil {
			lines = append(lines, fmt.Sprintf("backend %s: gone (%s)", b.Name, b.Remote))
			continue
		}
		change("backend "+b.Name+": name", b.Name, now.Name)
		change("backend "+b.Name+": remote", b.Remote, now.Remote)
		change("backend "+b.Name+": domain", b.Domain, now.Domain)
		change("backend "+b.Name+": state", b.State, now.State)
		change("backend "+b.Name+": limits", b.Limits, now.Limits)
	}
	for _, b := range to.Backends {
		if named(from, b.Name) == nil && renamed(from, b) == nil {
			lines = append(lines, fmt.Sprintf("backend %s: new (%s, domain %s)", b.Name, b.Remote, b.Domain))
		}
	}
	return lines
}

// renamed returns the backend that has b's place under another name.
func renamed(l *Layout, b Backend) *Backend {
	for i := range l.Backends {
		if placeKey(l.Backends[i]) == placeKey(b) {
			return &l.Backends[i]
		}
	}
	return nil
}

func (l *Layout) activeDomains() map[string]int {
	members := map[string]int{}
	for _, b := range l.Backends {
		if b.State == Active {
			members[b.Domain]++
		}
	}
	return members
}

func largest(members map[string]int) string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(members)), func(a, b string) int { return cmp.Compare(members[a], members[b]) })
}

func sum(members map[string]int) (n int) {
	for _, m := range members {
		n += m
	}
	return n
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }

func oddsRow(cell func(p float64) string) string {
	var cells []string
	for _, p := range LossOdds {
		cells = append(cells, fmt.Sprintf("%8s", cell(p)))
	}
	return strings.Join(cells, "  ")
}

// sizeText writes a size as the YAML has it.
func sizeText(n int64) string {
	for _, u := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := unit(u); n >= size && n%size == 0 {
			return fmt.Sprintf("%d%s", n/size, u)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// String writes limits as the YAML has them.
func (m Limits) String() string {
	var fields []string
	add := func(name string, set bool, value string) {
		if set {
			fields = append(fields, name+": "+value)
		}
	}
	add("storage", m.Storage > 0, sizeText(m.Storage))
	add("upload", m.Upload > 0, sizeText(m.Upload)+"/s")
	add("download", m.Download > 0, sizeText(m.Download)+"/s")
	add("requests", m.Requests > 0, strconv.FormatFloat(m.Requests, 'f', -1, 64)+"/s")
	add("file_size", m.FileSize > 0, sizeText(m.FileSize))
	return "{" + strings.Join(fields, ", ") + "}"
}
