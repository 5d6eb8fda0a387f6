package clone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

var ctx = context.Background()

// vaults are made once: making keys is slow.
var vaults = sync.OnceValue(func() (two [2]*vault.Vault) {
	for i := range two {
		v, err := vault.Create(time.Now(), nil)
		if err != nil {
			panic(err)
		}
		two[i] = v
	}
	return two
})

// signed returns settings of a vault: a local card with a serial, and a layout
// that follows others.
func signed(t *testing.T, v *vault.Vault, serial int, yaml string, heads ...layout.Head) *Settings {
	t.Helper()
	card, err := v.Card(vault.Access{Serial: serial, Mode: vault.Local})
	if err != nil {
		t.Fatal(err)
	}
	d, err := layout.Successor(yaml, heads, manifest.NewBackendID)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Sign(v, card, d)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func yaml(dir string, n int) string {
	text := "shardraid: 1\ndata: 2\nparity: 1\ninline: 1KiB\nbackends:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: b%d, remote: %q}\n", i, filepath.Join(dir, fmt.Sprint("b", i)))
	}
	return text
}

func TestTrust(t *testing.T) {
	v, stranger := vaults()[0], vaults()[1]
	one := signed(t, v, 1, yaml("/x", 3))
	two := signed(t, v, 1, yaml("/x", 4), one.Head())
	three := signed(t, v, 1, yaml("/x", 5), two.Head())
	fork := signed(t, v, 1, yaml("/x", 4)+"#\n", one.Head())
	rewrapped := signed(t, v, 2, yaml("/x", 3))
	rewrapped.Document, rewrapped.Layout, rewrapped.Signed = one.Document, one.Layout, one.Signed
	rivalCard, err := v.Card(vault.Access{Serial: 2, Mode: vault.Passphrase, Wrapped: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	rival := &Settings{Card: rivalCard, Document: one.Document, Layout: one.Layout, Signed: one.Signed}
	joined := signed(t, v, 1, yaml("/x", 5), layout.Head{Document: fork.Document, Layout: fork.Layout})
	theirs := signed(t, stranger, 1, yaml("/x", 3))
	for _, c := range []struct {
		name      string
		known     *Settings
		git       *Settings
		want      error
		says      string
		pinnedNow *Settings
	}{
		{"the same", one, one, nil, "", one},
		{"the next layout", one, two, nil, "", two},
		{"the one after the next", one, three, nil, "", three},
		{"a new card", one, rewrapped, nil, "", rewrapped},
		{"another vault", one, theirs, ErrVault, "shardraid key trust " + stranger.Fingerprint(), one},
		{"an older layout", two, one, ErrOlder, "epoch 1", two},
		{"much older", three, one, ErrOlder, "shardraid layout apply", three},
		{"another card of the same serial", rewrapped, rival, ErrCards, "serial 2", rewrapped},
		{"an older card", rewrapped, one, ErrOlder, "serial 1", rewrapped},
		{"a fork of the same epoch", two, fork, ErrFork, "--join", two},
		{"a fork with a higher epoch", two, joined, ErrFork, "--join", two},
		{"a fork with a lower epoch", three, fork, ErrFork, "--join", three},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := NewDir(t.TempDir(), "uuid")
			if said, err := dir.Trust(ctx, c.known); err != nil || said != "" {
				t.Fatalf("before the first use: %q, %v", said, err)
			}
			if known, err := dir.Pinned(); known != nil || err != nil {
				t.Fatalf("pinned before a key has proved it: %v", err)
			}
			if err := dir.Proved(c.known); err != nil {
				t.Fatal(err)
			}
			_, err := dir.Trust(ctx, c.git)
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.says)
			}
			now, err := dir.Pinned()
			if err != nil || now.Layout.Hash != c.pinnedNow.Layout.Hash || now.Card.Serial != c.pinnedNow.Card.Serial {
				t.Errorf("pinned epoch %d, serial %d: %v", now.Layout.Epoch, now.Card.Serial, err)
			}
		})
	}
}

// A vault in mode recipients that nobody vouches for is not pinned.
func TestFirstUseNeedsACreator(t *testing.T) {
	v := vaults()[0]
	card, err := v.Card(vault.Access{Serial: 1, Mode: vault.Recipients, Recipients: []string{strings.Repeat("A", 40)}, Wrapped: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	set := signed(t, v, 1, yaml("/x", 3))
	set.Card = card
	dir := NewDir(t.TempDir(), "uuid")
	if _, err := dir.Trust(ctx, set); !errors.Is(err, ErrVault) || !strings.Contains(err.Error(), "shardraid key trust "+v.Fingerprint()) {
		t.Errorf("got %v", err)
	}
	if known, err := dir.Pinned(); known != nil || err != nil {
		t.Errorf("pinned %v, %v", known, err)
	}
}

// The newer card and the newer layout are two matters: neither change undoes
// the other.
func TestNewest(t *testing.T) {
	v := vaults()[0]
	one := signed(t, v, 1, yaml("/x", 3))
	two := signed(t, v, 1, yaml("/x", 4), one.Head())
	fork := signed(t, v, 1, yaml("/x", 4)+"#\n", one.Head())
	card := signed(t, v, 2, yaml("/x", 3)).Card
	with := func(card *vault.Card, s *Settings) *Settings {
		return &Settings{Card: card, Document: s.Document, Layout: s.Layout, Signed: s.Signed}
	}
	for name, c := range map[string]struct {
		known, git    *Settings
		join          bool
		serial, epoch int
		heads         int
		want          error
	}{
		"git has both newer":         {one, with(card, two), false, 2, 2, 1, nil},
		"git was put back":           {with(card, two), one, false, 2, 2, 1, nil},
		"git has a newer layout":     {with(card, one), two, false, 2, 2, 1, nil},
		"git has a newer card":       {two, with(card, one), false, 2, 2, 1, nil},
		"a fork":                     {two, fork, false, 0, 0, 0, ErrFork},
		"a fork to be joined":        {two, fork, true, 1, 2, 2, nil},
		"a fork with a card":         {with(card, two), fork, true, 2, 2, 2, nil},
		"a fork with a card, unsaid": {with(card, two), fork, false, 0, 0, 0, ErrFork},
	} {
		dir := NewDir(t.TempDir(), "uuid")
		if err := dir.Pin(c.known); err != nil {
			t.Fatal(err)
		}
		newest, heads, err := dir.Newest(ctx, c.git, c.join)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err == nil && (newest.Card.Serial != c.serial || newest.Layout.Epoch != c.epoch || len(heads) != c.heads) {
			t.Errorf("%s: serial %d, epoch %d, %d heads", name, newest.Card.Serial, newest.Layout.Epoch, len(heads))
		}
	}
}

// A pin that is damaged or does not belong together stops everything: it must
// not count as none.
func TestDamagedPin(t *testing.T) {
	v, stranger := vaults()[0], vaults()[1]
	one := signed(t, v, 1, yaml("/x", 3))
	for name, spoil := range map[string]func(text string) string{
		"cut":       func(text string) string { return text[:len(text)/2] },
		"empty":     func(string) string { return "" },
		"version":   func(text string) string { return strings.Replace(text, `"version":1`, `"version":2`, 1) },
		"two":       func(text string) string { return strings.Replace(text, v.Fingerprint(), stranger.Fingerprint(), 1) },
		"signature": func(text string) string { return strings.Replace(text, `"layout":"`, `"layout":"AAAA`, 1) },
	} {
		dir := NewDir(t.TempDir(), "uuid")
		if err := dir.Pin(one); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir.path, pinFile)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		spoilt := spoil(string(text))
		if spoilt == string(text) {
			t.Fatalf("%s: nothing was spoilt", name)
		}
		if err := os.WriteFile(path, []byte(spoilt), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := dir.Trust(ctx, one); err == nil {
			t.Errorf("%s: trusted", name)
		}
	}
}

func TestParseSettingsRefuses(t *testing.T) {
	one, theirs := signed(t, vaults()[0], 1, yaml("/x", 3)), signed(t, vaults()[1], 1, yaml("/x", 3))
	card, layout := one.Values()
	otherCard, otherLayout := theirs.Values()
	for name, c := range map[string][2]string{
		"nothing":            {"", ""},
		"no layout":          {card, ""},
		"another's layout":   {card, otherLayout},
		"another's card":     {otherCard, layout},
		"garbage":            {card, "!"},
		"garbage card":       {"!", layout},
		"the card as layout": {card, card},
	} {
		if _, err := ParseSettings(c[0], c[1]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseSettings(card, layout); err != nil {
		t.Error(err)
	}
}

func TestCreds(t *testing.T) {
	v := vaults()[0]
	path := CredsPath(t.TempDir(), "uuid")
	if err := WriteCreds(path, v); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	card, err := v.Card(vault.Access{Serial: 1, Mode: vault.Local})
	if err != nil {
		t.Fatal(err)
	}
	if w, err := OpenVault(ctx, card, path, nil); err != nil || w.Fingerprint() != v.Fingerprint() {
		t.Error(err)
	}
	other, err := vaults()[1].Card(vault.Access{Serial: 1, Mode: vault.Local})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVault(ctx, other, path, nil); err == nil {
		t.Error("the key of another vault was taken")
	}
	if _, err := OpenVault(ctx, card, path+"x", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
}
