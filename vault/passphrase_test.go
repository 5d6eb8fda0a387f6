package vault

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/tyler-smith/go-bip39/wordlists"
)

const (
	testPass = "abandon ability able about above absent absorb abstract"
	cheapN   = 1 // 2^1 rounds: lock itself takes 2^17, some seconds under the race detector
)

// cheapLock is lock with next to no stretching.
func cheapLock(t testing.TB, plain []byte, passphrase string) []byte {
	t.Helper()
	out := bytes.NewBuffer(append(bytes.Repeat([]byte("s"), saltSize), cheapN))
	key, err := stretch(passphrase, out.Bytes()[:saltSize], cheapN)
	if err != nil {
		t.Fatal(err)
	}
	config := pgpConfig(symmetricTime)
	config.S2KConfig = &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: config.S2KConfig.Hash, S2KCount: 1024}
	w, err := openpgp.SymmetricallyEncrypt(out, key, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnlockRefusesOtherPassphrases(t *testing.T) {
	locked := cheapLock(t, []byte("secret"), testPass)
	for _, right := range []string{testPass, "\n" + testPass + "  "} {
		if got, err := unlock(locked, right); err != nil || string(got) != "secret" {
			t.Errorf("%q: %q, %v", right, got, err)
		}
	}
	for _, wrong := range []string{"", " ", testPass[1:], strings.ToUpper(testPass), strings.ReplaceAll(testPass, " ", ""), testPass + " x"} {
		if got, err := unlock(locked, wrong); !errors.Is(err, ErrPassphrase) || got != nil {
			t.Errorf("%q: %q, %v", wrong, got, err)
		}
	}
}

// No changed byte and no cut opens to anything else.
func TestDamagedLocks(t *testing.T) {
	good := cheapLock(t, bytes.Repeat([]byte("secret. "), 8), testPass)
	want, err := unlock(good, testPass)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		// n is for TestUnlockBoundsItsWork; 4 as kind of S2K means Argon2,
		// which may take all memory there is, so no bit makes 4 of the 3.
		for _, flip := range []byte{0x01, 0x10, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if bad[saltSize] != cheapN {
				continue
			}
			got, err := unlock(bad, testPass)
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("byte %d: opens to %q", i, got)
			}
			if err != nil && !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrRecord) {
				t.Fatalf("byte %d: %v", i, err)
			}
			if err == nil {
				t.Errorf("byte %d does not count", i)
			}
		}
		if _, err := unlock(good[:i], testPass); err == nil {
			t.Fatalf("cut to %d: opens", i)
		}
	}
	for name, bad := range map[string][]byte{
		"trailing": append(bytes.Clone(good), 0),
		"doubled":  append(bytes.Clone(good), good[saltSize+1:]...),
		"large":    append(bytes.Clone(good), make([]byte, MaxRecord)...),
	} {
		if _, err := unlock(bad, testPass); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What asks for more work than we give is refused before any.
func TestUnlockBoundsItsWork(t *testing.T) {
	good := cheapLock(t, []byte("secret"), testPass)
	start := time.Now()
	for _, n := range []byte{0, 21, 30, 64, 255} {
		bad := bytes.Clone(good)
		bad[saltSize] = n
		if _, err := unlock(bad, testPass); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), fmt.Sprintf("2^%d", n)) {
			t.Errorf("n %d: %v", n, err)
		}
	}
	// What cannot be a locked message costs nothing either.
	unlocked := bytes.Clone(good[:saltSize+1])
	unlocked[saltSize] = maxLogN
	for _, message := range []string{"", "x", string(unsignedMessage(t))} {
		if _, err := unlock(append(bytes.Clone(unlocked), message...), testPass); !errors.Is(err, ErrRecord) {
			t.Errorf("%.20q: %v", message, err)
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// unsignedMessage is encrypted to a key and to no passphrase.
func unsignedMessage(t *testing.T) []byte {
	t.Helper()
	v, _ := newVault(t)
	message, err := v.SealRecord("a-v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestWords(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		words, err := Words()
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Split(words, " ")
		if len(list) != 8 || seen[words] || CheckPassphrase(words) != nil {
			t.Fatalf("drew %q", words)
		}
		for _, word := range list {
			if !slices.Contains(wordlists.English, word) {
				t.Errorf("%q is not in the list", word)
			}
		}
		seen[words] = true
	}
	if n := len(wordlists.English); n != 2048 {
		t.Errorf("a list of %d words does not give 88 bits", n)
	}
}

func TestCheckPassphrase(t *testing.T) {
	for passphrase, good := range map[string]bool{
		"": false, "123456789": false, "1234 6789 ": false, "1" + strings.Repeat(" ", 20) + "2": false,
		"1234567890": true, " 12345  7890 ": true, testPass: true,
	} {
		if err := CheckPassphrase(passphrase); (err == nil) != good {
			t.Errorf("%q: %v", passphrase, err)
		}
	}
}
