package integration

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// What is asked while nobody works, and what it must have been answered.

// verify looks at everything from a fresh clone, while nobody else works.
func (tr *trial) verify() {
	tr.do("fresh", nil, "fsck", "--fast", "-J2", "--from", "raid", tr.epoch)
	tr.compare()
	there, _ := tr.expected()
	for key := range tr.names {
		// git-annex drops the last copy only where the remote has lied.
		if !there[key] && tr.sum("one", key) == "" && tr.sum("two", key) == "" {
			tr.violated(key, "no clone has it, and the remote need not")
		}
	}
	tr.retrieve(there)
}

// believed looks at what git-annex has concluded from the answers.
func (tr *trial) believed() {
	there, gone := tr.expected()
	seen := tr.find("fresh")
	for key := range there {
		if !seen[key] {
			tr.violated(key, "must be there, and fsck does not find it")
		}
	}
	for key := range gone {
		if seen[key] {
			tr.violated(key, "was removed, and fsck finds it")
		}
	}
	for _, dir := range workers {
		for key := range tr.find(dir) {
			if !there[key] && !tr.removed(key) {
				tr.violated(key, dir+" believes that it is there")
			}
		}
	}
	if key, ok := tr.pick(gone); ok {
		cmd := tr.command("fresh", "git-annex", "checkpresentkey", key, "raid")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			tr.violated(key, fmt.Sprintf("was removed, and checkpresentkey says %d: %s", code, out))
		}
	}
}

// retrieve brings back what must be there, without any m of the backends.
func (tr *trial) retrieve(there map[string]bool) {
	back := tr.unplug(parityHere)
	defer back()
	if tr.rand.IntN(2) == 0 {
		tr.do("fresh", nil, "fsck", "-J2", "--from", "raid", tr.epoch)
	} else {
		tr.do("fresh", nil, "get", "-J2", "--from", "raid", tr.epoch)
		for key := range there {
			if sum := tr.sum("fresh", key); !strings.Contains(key, "--"+sum) {
				tr.violated(key, "must be there, and what comes back is "+sum)
			}
		}
		tr.run("fresh", "git", "annex", "drop", "-q", "--force", tr.epoch)
	}
	tr.compare()
}

// compare looks for answers that cannot both be true.
func (tr *trial) compare() {
	now := time.Now()
	for key := range tr.names {
		lost, vain := tr.ledger.contradictions(key, tr.checked)
		for _, text := range lost {
			tr.violated(key, text)
		}
		for _, text := range vain {
			tr.vain = append(tr.vain, key+": "+text)
		}
	}
	tr.checked = now
}

// expected returns which keys must be there, and which must not.
func (tr *trial) expected() (there, gone map[string]bool) {
	there, gone = map[string]bool{}, map[string]bool{}
	for key := range tr.names {
		in, out := tr.ledger.stored(key)
		if in {
			there[key] = true
		}
		if out {
			gone[key] = true
		}
	}
	return there, gone
}

// removed reports whether anybody has tried to remove a key.
func (tr *trial) removed(key string) bool {
	tr.ledger.mu.Lock()
	defer tr.ledger.mu.Unlock()
	return slices.ContainsFunc(tr.ledger.keys[key], func(r *request) bool { return r.verb == "REMOVE" })
}

// find returns what a clone believes to be in the remote.
func (tr *trial) find(dir string) map[string]bool {
	keys := map[string]bool{}
	for _, key := range strings.Fields(tr.run(dir, "git", "annex", "find", "--in", "raid", "--format=${key}\\n", tr.epoch)) {
		keys[key] = true
	}
	return keys
}

// sum returns the hash of what a clone has of a key, "" if it has nothing.
func (tr *trial) sum(dir, key string) string {
	data, err := os.ReadFile(tr.path(dir, tr.names[key])) // a link into the annex
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func (tr *trial) pick(keys map[string]bool) (string, bool) {
	if len(keys) == 0 {
		return "", false
	}
	list := slices.Sorted(maps.Keys(keys))
	return list[tr.rand.IntN(len(list))], true
}

func (tr *trial) violated(key, text string) {
	tr.t.Errorf("%s %s: %s\nall that was asked:\n%s", tr.names[key], key, text, tr.ledger.history(key))
}
