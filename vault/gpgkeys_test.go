package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wrapCard wraps the vault to the keys, and lets the first of them vouch.
func wrapCard(t *testing.T, v *Vault, keys ...string) *Card {
	t.Helper()
	wrapped, err := Wrap(context.Background(), v, keys)
	if err != nil {
		t.Fatal(err)
	}
	creator, err := Vouch(context.Background(), v, keys)
	if err != nil {
		t.Fatal(err)
	}
	return newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: keys, Wrapped: wrapped, Creator: creator})
}

func newCardOf(t *testing.T, v *Vault, a Access) *Card {
	t.Helper()
	card, err := v.Card(a)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// checkSameVault compares what a vault is for.
func checkSameVault(t *testing.T, got, want *Vault) {
	t.Helper()
	if got.Fingerprint() != want.Fingerprint() || !bytes.Equal(got.master, want.master) || !bytes.Equal(got.names, want.names) {
		t.Error("opened another vault")
	}
	message, err := want.SealRecord("a-v1", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := got.OpenRecord("a-v1", message); err != nil || string(body) != "body" {
		t.Errorf("the opened vault reads %q, %v", body, err)
	}
}

// Whatever kind of key a user has: it wraps, opens and vouches, and copies do
// not tell whose they are.
func TestKindsOfUserKeys(t *testing.T) {
	v, _ := newVault(t)
	for algo, sub := range map[string]string{
		"rsa3072": "rsa3072", "nistp256": "nistp256", "nistp384": "nistp384",
		"brainpoolP256r1": "brainpoolP256r1", "ed25519": "cv25519",
	} {
		t.Run(algo, func(t *testing.T) {
			newHome(t)
			gpg(t, nil, "--passphrase", "", "--quick-generate-key", "u <u@example.com>", algo, "cert,sign", "never")
			key := fingerprints(t, "u@example.com")[0]
			gpg(t, nil, "--passphrase", "", "--quick-add-key", key, sub, "encr", "never")
			card := wrapCard(t, v, key)
			if card.Creator.Key != key {
				t.Errorf("%s vouches, not %s", card.Creator.Key, key)
			}
			got, err := Unwrap(context.Background(), card)
			if err != nil {
				t.Fatal(err)
			}
			checkSameVault(t, got, v)
			if note, err := card.VerifyCreator(context.Background()); note != "" || err != nil {
				t.Errorf("creator: %q, %v", note, err)
			}
			checkCopy(t, v, card)
		})
	}
}

func checkCopy(t *testing.T, v *Vault, card *Card) {
	t.Helper()
	message, err := SealCopy(context.Background(), v, card, "")
	if err != nil {
		t.Fatal(err)
	}
	ids := keyIDs(t, card.Recipients[0])
	if !containsAny(card.Wrapped, ids) {
		t.Error("a message whose recipient is named shows no key id: this test does not see them")
	}
	if containsAny(message, ids) || NeedsPassphrase(message) {
		t.Error("a copy tells whose it is, or asks for a passphrase")
	}
	got, gotCard, err := OpenCopy(context.Background(), message, "")
	if err != nil {
		t.Fatal(err)
	}
	checkSameVault(t, got, v)
	if gotCard.String() != card.String() {
		t.Error("a copy holds another card")
	}
}

// keyIDs returns the ids of a key and its subkeys in all spellings.
func keyIDs(t *testing.T, key string) (ids [][]byte) {
	t.Helper()
	for _, fpr := range fingerprints(t, key) {
		for _, id := range []string{fpr, fpr[24:], fpr[32:]} {
			raw := unhex(t, id)
			ids = append(ids, raw, []byte(id), []byte(hex.EncodeToString(raw)))
		}
	}
	return ids
}

func containsAny(data []byte, words [][]byte) bool {
	return slices.ContainsFunc(words, func(word []byte) bool { return bytes.Contains(data, word) })
}

// Not one recipient more or less than was asked for.
func TestWrapRefusesUnusableKeys(t *testing.T) {
	home := newHome(t)
	good := newGPGKey(t, "good <good@example.com>")
	gpg(t, nil, "--faked-system-time", "20200101T000000", "--passphrase", "",
		"--quick-generate-key", "old <old@example.com>", "future-default", "default", "1d")
	revoked := newGPGKey(t, "revoked <revoked@example.com>")
	revoke(t, home, revoked)
	v, _ := newVault(t)
	ctx := context.Background()
	if _, err := Wrap(ctx, v, []string{good}); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"expired": fingerprints(t, "old@example.com")[0],
		"revoked": revoked,
		"unknown": strings.Repeat("A", 40),
	} {
		for _, keys := range [][]string{{bad}, {good, bad}, {bad, good}} {
			if wrapped, err := Wrap(ctx, v, keys); err == nil || wrapped != nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: %v", name, err)
			}
			card := newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: keys, Wrapped: []byte("x")})
			if message, err := SealCopy(ctx, v, card, ""); err == nil || message != nil {
				t.Errorf("copy, %s: %v", name, err)
			}
		}
	}
}

// A full fingerprint is enough: nobody need have certified the key.
func TestWrapToAnUncertifiedKey(t *testing.T) {
	key := newGPG(t)
	public := gpg(t, nil, "--export", key)
	newHome(t)
	gpg(t, public, "--import")
	v, _ := newVault(t)
	wrapped, err := Wrap(context.Background(), v, []string{key})
	if err != nil || !containsAny(wrapped, keyIDs(t, key)) {
		t.Error(err)
	}
	card := newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: []string{key}, Wrapped: wrapped})
	if _, err := SealCopy(context.Background(), v, card, ""); err != nil {
		t.Error(err)
	}
}

// revoke imports the revocation that gpg prepared.
func revoke(t *testing.T, home, key string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, "openpgp-revocs.d", key+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	gpg(t, bytes.Replace(text, []byte("\n:---"), []byte("\n---"), 1), "--import")
	if !strings.Contains(string(gpg(t, nil, "--with-colons", "--list-keys", key)), "pub:r:") {
		t.Fatal("the key is not revoked")
	}
}

// Whatever gpg writes with the custody key we read, if it is dated as the
// format has it; and nothing that another key of the keyring has signed.
func TestWeOpenWhatGPGWrites(t *testing.T) {
	newHome(t)
	stranger := newGPGKey(t, "stranger <s@example.com>", "--faked-system-time", "20200101T000000")
	v, _ := newVault(t)
	importCustody(t, v)
	custody := fingerprint(v.custody)
	write := func(args ...string) []byte {
		return gpg(t, []byte("a-v1\nbody"), append(args, "--trust-model", "always", "--encrypt", "--recipient", custody)...)
	}
	clock := []string{"--faked-system-time", v.created.Add(24*time.Hour).UTC().Format("20060102T150405") + "!"}
	signed := append(clock, "--sign", "--local-user", custody)
	for name, message := range map[string][]byte{
		"compressed": write(signed...),
		"plain":      write(append(signed, "-z0")...),
		"hidden":     write(append(signed, "--throw-keyids")...),
		"sha256":     write(append(signed, "--digest-algo", "SHA256")...),
	} {
		if body, err := v.OpenRecord("a-v1", message); err != nil || string(body) != "body" {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
	for name, message := range map[string][]byte{
		"stranger":        write(append(clock, "--sign", "--local-user", stranger)...),
		"stranger, plain": write(append(clock, "--sign", "--local-user", stranger, "-z0")...),
		"unsigned":        write(clock...),
		"unsigned, plain": write(append(clock, "-z0")...),
		"two recipients":  write(append(signed, "--recipient", stranger)...),
		"armored":         write(append(signed, "--armor")...),
	} {
		if body, err := v.OpenRecord("a-v1", message); !errors.Is(err, ErrRecord) || body != nil {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
}

// watchGPG puts a gpg into PATH that notes how it is called.
func watchGPG(t *testing.T) (log string) {
	t.Helper()
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\n{ echo CALL; printf '%%s\\n' \"$@\"; env; } >>%s\nexec %s \"$@\"\n", log, gpg)
	if err := os.WriteFile(filepath.Join(dir, "gpg"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return log
}

// The vault is opened by one call of gpg, so one question for a passphrase;
// and no call shows a secret to who lists processes.
func TestCallsOfGPG(t *testing.T) {
	key := newGPG(t)
	v, _ := newVault(t)
	log := watchGPG(t)
	card := wrapCard(t, v, key)
	before, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Unwrap(context.Background(), card); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(after[len(before):], []byte("CALL\n")); n != 1 {
		t.Errorf("opening the vault took %d calls of gpg", n)
	}
	checkCopy(t, v, card)
	if _, err := card.VerifyCreator(context.Background()); err != nil {
		t.Fatal(err)
	}
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--encrypt", "--decrypt", "--detach-sign", "--verify", "--hidden-recipient", key} {
		if !bytes.Contains(calls, []byte(want+"\n")) {
			t.Errorf("no call with %s was noted", want)
		}
	}
	if containsAny(calls, secrets(t, v)) {
		t.Errorf("a secret stands in the arguments or the environment:\n%s", calls)
	}
}

// secrets returns those of the vault in all spellings that could be used.
func secrets(t *testing.T, v *Vault) (all [][]byte) {
	t.Helper()
	doc, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{v.master, v.names, doc[40:100]} {
		all = append(all, secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret))),
			[]byte(base64.StdEncoding.EncodeToString(secret)), []byte(base64.URLEncoding.EncodeToString(secret)))
	}
	return all
}
