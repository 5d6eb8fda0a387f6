package vault

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// newHome makes a GNUPGHOME of its own and uses it until the test ends, or
// until another one is made or set.
func newHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("/tmp", "gpg") // short: the agent's socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	return home
}

// newGPG is newHome with a key in it, whose fingerprint it returns.
func newGPG(t *testing.T) string {
	t.Helper()
	newHome(t)
	return newGPGKey(t, "test <test@example.com>")
}

// newGPGKey makes a key of the kind that is made fastest.
func newGPGKey(t *testing.T, uid string, options ...string) string {
	t.Helper()
	gpg(t, nil, append(options, "--passphrase", "", "--quick-generate-key", uid, "future-default", "default", "never")...)
	return fingerprints(t, uid)[0]
}

// fingerprints returns those of a key and its subkeys.
func fingerprints(t *testing.T, key string) (all []string) {
	t.Helper()
	for line := range strings.Lines(string(gpg(t, nil, "--list-keys", "--with-colons", key))) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			all = append(all, fields[9])
		}
	}
	if len(all) == 0 {
		t.Fatal("no key made")
	}
	return all
}

func gpg(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("gpg", append([]string{"--batch", "--no-tty", "--quiet"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gpg %v: %v\n%s", args, err, errs.Bytes())
	}
	return out
}

func TestWrapUnwrap(t *testing.T) {
	fpr := newGPG(t)
	v, _ := newVault(t)
	wrapped, err := Wrap(context.Background(), v, []string{fpr})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(wrapped, v.master) {
		t.Error("wrapped vault shows the master secret")
	}
	card, err := v.Card(Access{Serial: 1, Mode: Recipients, Recipients: []string{fpr}, Wrapped: wrapped})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Unwrap(context.Background(), card)
	if err != nil {
		t.Fatal(err)
	}
	if w.Fingerprint() != v.Fingerprint() {
		t.Error("unwrapped another vault")
	}

	// Somebody else's vault, wrapped to the same key, under this card.
	stranger, _ := newVault(t)
	substitute, err := Wrap(context.Background(), stranger, []string{fpr})
	if err != nil {
		t.Fatal(err)
	}
	if card, err = v.Card(Access{Serial: 1, Mode: Recipients, Recipients: []string{fpr}, Wrapped: substitute}); err != nil {
		t.Fatal(err)
	}
	if _, err := Unwrap(context.Background(), card); err == nil {
		t.Error("a substituted vault was accepted")
	}

	// Without the key.
	gpg(t, nil, "--yes", "--delete-secret-and-public-key", fpr)
	if card, err = v.Card(Access{Serial: 1, Mode: Recipients, Recipients: []string{fpr}, Wrapped: wrapped}); err != nil {
		t.Fatal(err)
	}
	if _, err := Unwrap(context.Background(), card); err == nil || !strings.Contains(err.Error(), fpr) {
		t.Errorf("without the key: %v", err)
	}
	if _, err := Wrap(context.Background(), v, []string{fpr}); err == nil || !strings.Contains(err.Error(), "keyring") {
		t.Errorf("unknown recipient: %v", err)
	}
}

// importCustody puts the secret custody key into the keyring.
func importCustody(t *testing.T, v *Vault) {
	t.Helper()
	var key bytes.Buffer
	if err := v.custody.SerializePrivateWithoutSigning(&key, v.config()); err != nil {
		t.Fatal(err)
	}
	gpg(t, key.Bytes(), "--import")
}

// Stock gpg opens records and checks their signature.
func TestStockGPGReadsRecords(t *testing.T) {
	newHome(t)
	v, _ := newVault(t)
	importCustody(t, v)
	message, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if got := gpg(t, message, "--decrypt"); string(got) != "a-v1\nbody" {
		t.Errorf("gpg reads %q", got)
	}
	status := gpg(t, message, "--status-fd", "1", "--output", os.DevNull, "--yes", "--decrypt")
	want := "VALIDSIG " + strings.ToUpper(hex.EncodeToString(v.custody.PrimaryKey.Fingerprint))
	if !strings.Contains(string(status), want) {
		t.Errorf("gpg does not accept the signature:\n%s", status)
	}
}

func TestParseRecipients(t *testing.T) {
	fpr := strings.Repeat("0123456789abcdef", 3)[:40]
	got, err := ParseRecipients(fpr + ", " + strings.ToUpper(fpr))
	if err != nil || len(got) != 2 || got[0] != strings.ToUpper(fpr) || got[1] != got[0] {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "me@example.com", "DEADBEEF", fpr + ",", fpr[:39] + "g", "--" + fpr[2:]} {
		if _, err := ParseRecipients(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
