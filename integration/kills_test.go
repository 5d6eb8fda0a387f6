package integration

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestKills lets two clones work on the same files of one remote at once, and
// kills their special remotes and git-annexes at random moments. Whatever was
// answered must stay true: see ledger, and trial.verify for what is asked in
// between. KILLS says how many (make kills N=1000), KILLS_SEED which.
func TestKills(t *testing.T) {
	want := number(t, "KILLS", 25)
	seed := number(t, "KILLS_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("%d kills, KILLS_SEED=%d", want, seed)
	start := time.Now()
	tr := newTrial(t, uint64(seed), want/killsPerEpoch+1)
	for epoch := 0; tr.killer.kills < want && !t.Failed(); epoch++ {
		tr.begin(epoch)
		for end := min(want, tr.killer.kills+killsPerEpoch); tr.killer.kills < end && !t.Failed(); {
			tr.round(min(end, tr.killer.kills+killsPerRound))
		}
		tr.settle()
		t.Logf("%v: %v", time.Since(start).Round(time.Second), tr.killer)
	}
	if want > killsPerEpoch {
		tr.finish()
	}
	t.Logf("%v: %v; slowest end of a remote %v; %d commands, %d questions; answers of no help: %d",
		time.Since(start).Round(time.Second), tr.killer, tr.killer.slowest.Round(time.Millisecond), tr.commands, tr.ledger.size(), len(tr.vain))
	for _, text := range tr.vain {
		t.Log(text)
	}
}

const (
	killsPerRound = 8  // then both clones rest, and all is looked at
	killsPerEpoch = 40 // then there are new files, lest tombstones pile up
	backendsHere  = 6
	parityHere    = 2
)

// sizes of the files of one epoch: inlined, of one segment, of several.
var sizes = []int{0, 1000, 4000, 60_000, 190_000, 400_000, 700_000, 1_000_000, 1_500_000, 3_000_000}

var workers = []string{"one", "two"}

func number(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	check(t, err)
	return n
}

// trial is one run of the test.
type trial struct {
	*lab
	rand     *rand.Rand
	ledger   ledger
	killer   *killer
	epoch    string
	names    map[string]string // of the epoch's files, by key
	all      map[string]string // of all epochs
	away     int
	checked  time.Time // up to here answers were compared
	vain     []string
	mu       sync.Mutex
	commands int
}

func newTrial(t *testing.T, seed uint64, epochs int) *trial {
	tr := &trial{lab: newLab(t), rand: rand.New(rand.NewPCG(seed, 0)), all: map[string]string{}}
	tr.killer = &killer{rand: rand.New(rand.NewPCG(seed, 1)), how: map[string]int{}, during: map[string]int{}}
	tr.repo("one")
	tr.remote("one", fmt.Sprintf("shardraid: 1\ndata: 3\nparity: %d\nshard_size: 64KiB\ninline: 4KiB\n", parityHere)+tr.local(backendsHere, ", limits: {upload: 4MiB/s}")) // so that a store takes a while, and no CPU
	for e := range epochs {
		for i, size := range sizes {
			tr.file(tr.rand, size, "one", epochDir(e), fmt.Sprint("f", i))
		}
	}
	tr.run("one", "git", "annex", "add", "-q", ".")
	tr.run("one", "git", "commit", "-q", "-m", "files")
	tr.clone("one", "two")
	tr.clone("one", "fresh")
	return tr
}

func epochDir(n int) string { return fmt.Sprintf("e%02d", n) }

// begin goes on with new files.
func (tr *trial) begin(epoch int) {
	tr.epoch, tr.names = epochDir(epoch), map[string]string{}
	for line := range strings.Lines(tr.run("one", "git", "annex", "find", "--anything", "--format=${key} ${file}\\n", tr.epoch)) {
		key, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		tr.names[key] = file
	}
	if len(tr.names) != len(sizes) {
		tr.t.Fatalf("%s has %d files", tr.epoch, len(tr.names))
	}
	maps.Copy(tr.all, tr.names)
	// Something to work with, at once in both.
	tr.do("one", nil, append([]string{"copy", "-J2", "--to", "raid"}, tr.files(0, 2, 5, 7, 9)...)...)
	tr.do("two", nil, "fsck", "--fast", "-J2", "--from", "raid", tr.epoch)
}

// round lets both clones work until the killer has struck often enough, and
// looks at what there is then.
func (tr *trial) round(kills int) {
	back := func() {}
	if tr.rand.IntN(4) == 0 {
		back = tr.unplug(1)
	}
	var g sync.WaitGroup
	for _, dir := range workers {
		r := rand.New(rand.NewPCG(tr.rand.Uint64(), 0))
		g.Go(func() {
			for {
				tr.do(dir, tr.killer, tr.task(r)...)
				tr.killer.mu.Lock()
				enough := tr.killer.kills >= kills
				tr.killer.mu.Unlock()
				if enough || tr.t.Failed() {
					return
				}
			}
		})
	}
	g.Wait()
	back()
	tr.verify()
}

// task draws what a clone does next.
func (tr *trial) task(r *rand.Rand) []string {
	var args []string
	switch n := r.IntN(100); {
	case n < 32:
		args = []string{"copy", "--to", "raid"}
	case n < 47:
		args = []string{"move", "--to", "raid"}
	case n < 70:
		args = []string{"drop", "--from", "raid"}
	case n < 77:
		args = []string{"move", "--from", "raid"}
	case n < 87:
		args = []string{"get", "--from", "raid"}
	case n < 91:
		args = []string{"drop"} // asks the remote first
	case n < 96:
		args = []string{"fsck", "--fast", "--from", "raid"}
	default:
		args = []string{"fsck", "--from", "raid"}
	}
	return append(append(args, "-J2"), tr.files(r.Perm(len(sizes))[:5+r.IntN(5)]...)...)
}

func (tr *trial) files(numbers ...int) (names []string) {
	for _, i := range numbers {
		names = append(names, filepath.Join(tr.epoch, fmt.Sprint("f", i)))
	}
	return names
}

// do runs one command in a clone to its end, and lets a killer at it.
func (tr *trial) do(dir string, k *killer, args ...string) *session {
	tr.mu.Lock()
	tr.commands++
	who := fmt.Sprintf("%s %d", dir, tr.commands)
	tr.mu.Unlock()
	begun := time.Now()
	s, err := tr.start(&tr.ledger, who, dir, tr.away, args...)
	if err != nil {
		tr.t.Error(err)
		return nil
	}
	if k != nil {
		go k.watch(s)
		k.hunt(s)
	}
	<-s.over
	text := strings.Join(s.lines, "\n")
	tr.note(fmt.Sprintf("%s %v %s: git annex %s\n%s\n", begun.Format("15:04:05.000"), time.Since(begun).Round(time.Millisecond), who, strings.Join(args, " "), strings.Join(s.all, "\n")))
	if s.expired {
		tr.t.Errorf("%s: git annex %s did not end in %v", who, strings.Join(args, " "), deadline)
	}
	for _, bad := range []string{"Verification of content failed", "Bad file content", "Bad file size", "panic:", "internal error"} {
		if strings.Contains(text, bad) {
			tr.t.Errorf("%s: git annex %s:\n%s", who, strings.Join(args, " "), text)
		}
	}
	return s
}

// note appends to the history that is kept if the test fails.
func (tr *trial) note(text string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	f, err := os.OpenFile(tr.path("history"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		tr.t.Error(err)
	}
}

// unplug takes backends away, and returns how to bring them back.
func (tr *trial) unplug(n int) (back func()) {
	gone := tr.rand.Perm(backendsHere)[:n]
	move := func(from, to string) {
		for _, i := range gone {
			name := fmt.Sprint("b", i+1)
			check(tr.t, os.MkdirAll(tr.path(to), 0o755))
			check(tr.t, os.Rename(tr.path(from, name), tr.path(to, name)))
		}
	}
	move("b", "away")
	tr.away = n
	return func() {
		move("away", "b")
		tr.away = 0
	}
}

// settle ends an epoch: without kills everything must work at once, once
// removals that were cut off are finished, as the remote asks for.
func (tr *trial) settle() {
	both := func(args ...string) {
		for _, dir := range workers {
			tr.do(dir, nil, args...)
		}
	}
	both("copy", "-J2", "--to", "raid", tr.epoch)
	var half []string
	there, _ := tr.expected()
	for key, file := range tr.names {
		if !there[key] {
			half = append(half, file)
		}
	}
	if len(half) > 0 {
		both(append([]string{"drop", "-J2", "--from", "raid"}, half...)...)
		both(append([]string{"copy", "-J2", "--to", "raid"}, half...)...)
	}
	tr.do("one", nil, "fsck", "--fast", "-J2", "--from", "raid", tr.epoch)
	tr.do("one", nil, "get", "-J2", "--from", "raid", tr.epoch)
	removed := tr.files(1, 4, 7)
	tr.do("one", nil, append([]string{"drop", "-J2", "--from", "raid"}, removed...)...)
	tr.verify()
	tr.believed()
	there, gone := tr.expected()
	for key, file := range tr.names {
		if out := slices.Contains(removed, file); out != gone[key] || out == there[key] {
			tr.violated(key, "undisturbed work has not worked")
		}
	}
}

// finish looks at the files of all epochs once more.
func (tr *trial) finish() {
	tr.epoch, tr.names = ".", tr.all
	tr.verify()
	tr.believed()
}
