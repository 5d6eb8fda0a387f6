package vault

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// passphraseCard returns a card in mode passphrase, which opens fast.
func passphraseCard(t *testing.T, v *Vault) *Card {
	t.Helper()
	doc, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return newCardOf(t, v, Access{Serial: 1, Mode: Passphrase, Wrapped: cheapLock(t, doc, testPass)})
}

// What a passphrase locks it opens, with stock tools too; two locks of the
// same have nothing in common.
func TestPassphraseRoundTrip(t *testing.T) {
	v, _ := newVault(t)
	card := passphraseCard(t, v)
	file, err := v.Export(card, testPass)
	if err != nil {
		t.Fatal(err)
	}
	message, err := SealCopy(context.Background(), v, card, "  "+strings.ReplaceAll(testPass, " ", " \t\r\n ")+"\n")
	if err != nil {
		t.Fatal(err)
	}
	got, gotCard, err := Import(file, strings.ReplaceAll(testPass, " ", "  "))
	if err != nil {
		t.Fatal(err)
	}
	checkSameVault(t, got, v)
	if gotCard.String() != card.String() {
		t.Error("the recovery file holds another card")
	}
	if plain := openWithStockTools(t, message, testPass); !strings.HasPrefix(plain, bundleKind+"\n"+card.String()+"\n") {
		t.Errorf("stock tools read %.100q", plain)
	}
	block, _ := pem.Decode(file)
	if block == nil || block.Type != "SHARDRAID RECOVERY" || block.Headers["Vault"] != v.Fingerprint() {
		t.Fatalf("the recovery file is %.200s", file)
	}
	checkNothingShared(t, block.Bytes, message)
	if block.Bytes[saltSize] != 17 || message[saltSize] != 17 {
		t.Errorf("n is %d and %d", block.Bytes[saltSize], message[saltSize])
	}
	if !NeedsPassphrase(message) || !NeedsPassphrase(block.Bytes) || !NeedsPassphrase(card.Wrapped) {
		t.Error("what is locked to a passphrase does not ask for it")
	}
}

func checkNothingShared(t *testing.T, a, b []byte) {
	t.Helper()
	if len(a) < 1000 || len(b) < 1000 {
		t.Fatalf("%d and %d bytes hold no vault", len(a), len(b))
	}
	seen := map[string]bool{}
	for i := range len(a) - 15 {
		seen[string(a[i:i+16])] = true
	}
	for i := range len(b) - 15 {
		if seen[string(b[i:i+16])] {
			t.Fatalf("two copies share the 16 bytes at %d: %x", i, b[i:i+16])
		}
	}
}

// openWithStockTools follows docs/format.md, section 9.
func openWithStockTools(t *testing.T, locked []byte, passphrase string) string {
	t.Helper()
	newHome(t)
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, locked[17:], 0o600); err != nil {
		t.Fatal(err)
	}
	salt, n := fmt.Sprintf("%x", locked[:16]), fmt.Sprint(int64(1)<<locked[16])
	cmd := exec.Command("python3", "-c", `import hashlib, sys
print(hashlib.scrypt(sys.argv[1].encode(), salt=bytes.fromhex(sys.argv[2]), n=int(sys.argv[3]), r=8, p=1, dklen=32, maxmem=1 << 30).hex())`,
		passphrase, salt, n)
	if _, err := exec.LookPath("python3"); err != nil { // writes AA:BB:...
		cmd = exec.Command("openssl", "kdf", "-keylen", "32", "-kdfopt", "pass:"+passphrase, "-kdfopt", "hexsalt:"+salt,
			"-kdfopt", "n:"+n, "-kdfopt", "r:8", "-kdfopt", "p:1", "-kdfopt", "maxmem_bytes:1073741824", "SCRYPT")
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("needs python3 or openssl 3: %v", err)
	}
	key := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(string(out)), ":", ""))
	return string(gpg(t, []byte(key), "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", message))
}

func TestUnwrapPassphrase(t *testing.T) {
	v, _ := newVault(t)
	card := passphraseCard(t, v)
	got, err := UnwrapPassphrase(card, testPass+" ")
	if err != nil {
		t.Fatal(err)
	}
	checkSameVault(t, got, v)
	if _, err := UnwrapPassphrase(card, "another passphrase"); !errors.Is(err, ErrPassphrase) || !strings.Contains(err.Error(), v.Fingerprint()) {
		t.Errorf("another passphrase: %v", err)
	}
	// Somebody else's vault under this card, or something that is no vault.
	stranger, strangerCard := newVault(t)
	for _, plain := range [][]byte{marshal(t, stranger), []byte("no vault"), {}} {
		a := card.Access
		a.Wrapped = cheapLock(t, plain, testPass)
		if _, err := UnwrapPassphrase(newCardOf(t, v, a), testPass); !errors.Is(err, ErrRecord) {
			t.Errorf("%.20q: %v", plain, err)
		}
	}
	if message, err := SealCopy(context.Background(), stranger, strangerCard, testPass); message != nil || err != nil {
		t.Errorf("a copy in mode local: %d bytes, %v", len(message), err)
	}
}

func marshal(t *testing.T, v *Vault) []byte {
	t.Helper()
	doc, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// recoveryFile is Export with next to no stretching.
func recoveryFile(t *testing.T, kind string, plain []byte) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: map[string]string{"Vault": "any"}, Bytes: cheapLock(t, plain, testPass)})
}

func bundleOf(t *testing.T, v *Vault, card *Card) []byte {
	t.Helper()
	plain, err := v.bundle(card)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestImport(t *testing.T) {
	v, card := newVault(t)
	good := recoveryFile(t, recoveryType, bundleOf(t, v, card))
	for name, file := range map[string]string{
		"alone":       string(good),
		"in a letter": "Keep this.\r\n\n" + string(good) + "\nThank you.\n",
		"crlf":        strings.ReplaceAll(string(good), "\n", "\r\n"),
		"twice":       string(good) + string(good),
	} {
		got, gotCard, err := Import([]byte(file), testPass)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSameVault(t, got, v)
		if gotCard.String() != card.String() {
			t.Errorf("%s: another card", name)
		}
	}
	if _, _, err := Import(good, "another passphrase"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	for name, file := range map[string][]byte{
		"empty":      nil,
		"text":       []byte("SHARDRAID RECOVERY"),
		"wrong type": recoveryFile(t, "PGP MESSAGE", bundleOf(t, v, card)),
		"cut":        good[:len(good)/2],
		"no base64":  bytes.Replace(good, []byte("\n\n"), []byte("\n\n!"), 1),
	} {
		if _, _, err := Import(file, testPass); err == nil || !strings.Contains(err.Error(), "shardraid key export") {
			t.Errorf("%s: %v", name, err)
		}
	}
	block, _ := pem.Decode(good)
	block.Bytes[len(block.Bytes)/2] ^= 1
	if _, _, err := Import(pem.EncodeToMemory(block), testPass); !errors.Is(err, ErrPassphrase) {
		t.Errorf("damaged: %v", err)
	}
}

// Inside the lock everything must belong together.
func TestBundleRefuses(t *testing.T) {
	v, _ := newVault(t)
	stranger, _ := newVault(t)
	byPassphrase := Access{Serial: 1, Mode: Passphrase, Wrapped: []byte("x")}
	card, strangerCard := newCardOf(t, v, byPassphrase), newCardOf(t, stranger, byPassphrase)
	good := bundleOf(t, v, card)
	lines := bytes.SplitAfter(good, []byte("\n"))
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	open := func(plain []byte) error {
		a, _, err := Import(recoveryFile(t, recoveryType, plain), testPass)
		b, _, copyErr := OpenCopy(context.Background(), cheapLock(t, plain, testPass), testPass)
		if (err == nil) != (copyErr == nil) || (err == nil) != (a != nil) || (err == nil) != (b != nil) {
			t.Errorf("file: %v, copy: %v", err, copyErr)
		}
		return err
	}
	if err := open(good); err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string][]byte{
		"card of another vault": bundleOf(t, v, strangerCard),
		"vault of another card": bundleOf(t, stranger, card),
		"empty":                 nil,
		"the document alone":    marshal(t, v),
		"other kind":            bytes.Replace(good, []byte("bundle-v1"), []byte("bundle-v2"), 1),
		"cut":                   good[:len(good)-1],
		"line behind":           append(bytes.Clone(good), '\n'),
		"text behind":           append(bytes.Clone(good), "x"...),
		"without card":          join(lines[0], lines[2], lines[3]),
		"swapped":               join(lines[0], lines[2], lines[1], lines[3]),
		"no base64":             join(lines[0], lines[1], []byte("!\n")),
		"no document":           join(lines[0], lines[1], []byte("\n")),
	} {
		if err := open(plain); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Messages that gpg has made do not ask for a passphrase, nor does garbage.
func TestNeedsPassphrase(t *testing.T) {
	key := newGPG(t)
	v, card := newVault(t)
	locked := cheapLock(t, bundleOf(t, v, card), testPass)
	if !NeedsPassphrase(locked) {
		t.Error("a locked copy does not ask for its passphrase")
	}
	if NeedsPassphrase(gpg(t, []byte("x"), "--encrypt", "--trust-model", "always", "--recipient", key)) {
		t.Error("a message to a key asks for a passphrase")
	}
	if NeedsPassphrase(gpg(t, []byte("x"), "--encrypt", "--trust-model", "always", "--hidden-recipient", key, "--hidden-recipient", key)) {
		t.Error("a copy asks for a passphrase")
	}
	for _, message := range [][]byte{nil, locked[:saltSize+1], locked[:len(locked)-1], locked[1:], locked[saltSize+1:], marshal(t, v), make([]byte, 5000)} {
		if NeedsPassphrase(message) {
			t.Errorf("%.20q asks for a passphrase", message)
		}
	}
}

// Anybody can encrypt to a GPG key: a copy that gpg opened must have a card of
// a mode with a creator, or a provider could offer a vault of his own.
func TestCopyIsOfItsMode(t *testing.T) {
	fpr := newGPG(t)
	v, _ := newVault(t)
	ctx := context.Background()
	for _, a := range []Access{{Serial: 1, Mode: Local}, {Serial: 1, Mode: Passphrase, Wrapped: []byte("x")}} {
		card, err := v.Card(a)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := v.bundle(card)
		if err != nil {
			t.Fatal(err)
		}
		message, err := encryptTo(ctx, plain, []string{fpr}, "--hidden-recipient")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenCopy(ctx, message, ""); !errors.Is(err, ErrRecord) {
			t.Errorf("mode %s, encrypted to a GPG key: %v", a.Mode, err)
		}
	}
	card, err := v.Card(Access{Serial: 1, Mode: Recipients, Recipients: []string{fpr}, Wrapped: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	message, err := v.Export(card, "a passphrase")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(message)
	if _, _, err := OpenCopy(ctx, block.Bytes, "a passphrase"); !errors.Is(err, ErrRecord) {
		t.Errorf("mode recipients, locked to a passphrase: %v", err)
	}
}
