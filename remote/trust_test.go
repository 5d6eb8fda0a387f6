package remote

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shardraid/clone"
)

const uuid = "11111111-2222-3333-4444-555555555555" // of gitAnnex

// A clone that has used the remote refuses another vault, whole as it is.
func TestTrustStays(t *testing.T) {
	g, _ := initialised(t, 3)
	other, _ := initialised(t, 3)
	mine := maps.Clone(g.config)
	for _, name := range []string{clone.SetVault, clone.SetSigned} {
		g.config[name] = other.config[name]
	}
	for _, request := range []string{"INITREMOTE", "PREPARE"} {
		g.start()
		got := g.ask("%s", request)
		if !strings.HasPrefix(got, request+"-FAILURE ") || !strings.Contains(got, "another vault") || !strings.Contains(got, "shardraid key trust ") {
			t.Errorf("%s with another vault: %q", request, got)
		}
	}
	if g.config[clone.SetVault] != other.config[clone.SetVault] {
		t.Error("git was changed")
	}
	g.config = mine
	g.start()
	g.want("INITREMOTE-SUCCESS", "INITREMOTE")
	g.want("PREPARE-SUCCESS", "PREPARE")
}

// What the command line stages goes into git with the next enableremote, once,
// and only if it is of the vault that this clone trusts.
func TestStaged(t *testing.T) {
	g, _ := initialised(t, 3)
	other, _ := initialised(t, 3)
	dir := clone.NewDir(g.dir, uuid)
	mine := maps.Clone(g.config)
	theirs, err := clone.ParseSettings(other.config[clone.SetVault], other.config[clone.SetSigned])
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Stage(theirs); err != nil {
		t.Fatal(err)
	}
	g.start()
	if got := g.ask("INITREMOTE"); !strings.Contains(got, "what was staged is dropped") {
		t.Errorf("another vault was staged: %q", got)
	}
	if !maps.Equal(g.config, mine) {
		t.Error("git was changed")
	}
	g.want("INITREMOTE-SUCCESS", "INITREMOTE") // it was dropped

	own, err := dir.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Stage(own); err != nil {
		t.Fatal(err)
	}
	g.config[clone.SetSigned] = "put back to something else"
	g.want("INITREMOTE-SUCCESS", "INITREMOTE")
	mine[setRecipients], mine[setPassphrase] = "", ""
	if !maps.Equal(g.config, mine) {
		t.Errorf("git has %v, want %v", g.config, mine)
	}
	if staged, err := dir.Staged(); staged != nil || err != nil {
		t.Errorf("still staged: %v, %v", staged, err)
	}
}

// In mode passphrase the key comes into the clone at INITREMOTE, never later.
func TestPassphrase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("correct horse battery\n")
	t.Setenv(clone.PassphraseFile, file)
	g, _ := initialised(t, 3, "passphrase", "yes")
	second := newClone(t, maps.Clone(g.config))
	for text, want := range map[string]string{"": "no passphrase in its first line", "another passphrase": "the passphrase does not open it"} {
		write(text)
		second.start()
		if got := second.ask("INITREMOTE"); !strings.HasPrefix(got, "INITREMOTE-FAILURE ") || !strings.Contains(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
	if _, err := os.Stat(second.creds()); err == nil {
		t.Error("a key was kept")
	}
	if known, err := clone.NewDir(second.dir, uuid).Pinned(); known != nil || err != nil {
		t.Errorf("pinned without proof: %v", err)
	}
	write(" correct  horse battery")
	second.want("INITREMOTE-SUCCESS", "INITREMOTE")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	second.start() // from here on nobody is asked
	second.want("PREPARE-SUCCESS", "PREPARE")
	second.want("CHECKPRESENT-FAILURE K", "CHECKPRESENT K")
	second.want("INITREMOTE-SUCCESS", "INITREMOTE")
	if err := os.Remove(second.creds()); err != nil {
		t.Fatal(err)
	}
	second.start()
	second.want("PREPARE-SUCCESS", "PREPARE")
	if got := second.ask("CHECKPRESENT K"); !strings.Contains(got, "git annex enableremote on a terminal, or with "+clone.PassphraseFile) {
		t.Errorf("without the key: %q", got)
	}
}

// Whoever can push to git can put a vault of his own there, in a mode that asks
// for no creator, together with its key: git-annex would hand it out.
func TestKeyFromGitIsNotUsed(t *testing.T) {
	attacker, _ := initialised(t, 3)
	key, err := os.ReadFile(attacker.creds())
	if err != nil {
		t.Fatal(err)
	}
	victim := newClone(t, maps.Clone(attacker.config))
	victim.config[clone.CredsName] = string(key)
	victim.start()
	victim.want("INITREMOTE-SUCCESS", "INITREMOTE")
	victim.want("PREPARE-SUCCESS", "PREPARE")
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("private"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := victim.ask("TRANSFER STORE K %s", file); !strings.HasPrefix(got, "TRANSFER-FAILURE STORE K this clone does not have the remote's key") {
		t.Errorf("stored: %q", got)
	}
	if known, err := clone.NewDir(victim.dir, uuid).Pinned(); known != nil || err != nil {
		t.Errorf("pinned: %v", err)
	}
}
