package vault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// gpg must try its keys where the recipient is hidden, and may fail with some.
func TestCopyOpensWithAnyOfTheKeys(t *testing.T) {
	newHome(t)
	a := newGPGKey(t, "a <a@example.com>")
	b := newGPGKey(t, "b <b@example.com>")
	v, _ := newVault(t)
	for _, keys := range [][]string{{a}, {b}, {a, b}, {b, a}} {
		card := wrapCard(t, v, keys...)
		message, err := SealCopy(context.Background(), v, card, "")
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := OpenCopy(context.Background(), message, "")
		if err != nil {
			t.Errorf("%v: %v", keys, err)
			continue
		}
		checkSameVault(t, got, v)
	}
	// Each of the recipients at home, where the other's key is not known.
	card := wrapCard(t, v, a, b)
	message, err := SealCopy(context.Background(), v, card, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{gpg(t, nil, "--export-secret-keys", a), gpg(t, nil, "--export-secret-keys", b)} {
		t.Run("alone", func(t *testing.T) {
			newHome(t)
			gpg(t, secret, "--import")
			got, _, err := OpenCopy(context.Background(), message, "")
			if err != nil {
				t.Fatal(err)
			}
			checkSameVault(t, got, v)
		})
	}
}

// A short message that blows up to a hundred megabytes is cut off.
func TestOutputOfGPGIsBounded(t *testing.T) {
	key := newGPG(t)
	bomb := gpg(t, make([]byte, 100<<20), "--encrypt", "--trust-model", "always", "--recipient", key)
	if _, _, err := OpenCopy(context.Background(), bomb, ""); err == nil || !strings.Contains(err.Error(), "more output than a vault has") {
		t.Errorf("%d bytes that hold 100 MiB: %v", len(bomb), err)
	}
}

func TestLimitedBuffer(t *testing.T) {
	b := &limitedBuffer{limit: 10}
	for _, text := range []string{"12345", "1234567", "67890", "x"} {
		if n, err := b.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	if b.String() != "1234567890" || !b.over {
		t.Errorf("kept %q", b.String())
	}
	if _, ok := any(b).(io.ReaderFrom); ok {
		t.Error("ReadFrom goes round the limit")
	}
}

// A forged message must not choose how much memory its passphrase costs.
func TestUnlockRefusesArgon2(t *testing.T) {
	out := bytes.NewBuffer(append(bytes.Repeat([]byte("s"), saltSize), cheapN))
	key, err := stretch(testPass, out.Bytes()[:saltSize], cheapN)
	if err != nil {
		t.Fatal(err)
	}
	config := pgpConfig(symmetricTime)
	config.S2KConfig = &s2k.Config{S2KMode: s2k.Argon2S2K, Argon2Config: &s2k.Argon2Config{NumberOfPasses: 1, DegreeOfParallelism: 1, Memory: 64}}
	w, err := openpgp.SymmetricallyEncrypt(out, key, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeBody(w, "a-v1", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := unlock(out.Bytes(), testPass); !errors.Is(err, ErrRecord) || NeedsPassphrase(out.Bytes()) {
		t.Errorf("opens to %q, %v", got, err)
	}
}

// What the user's gpg.conf adds to his letters does not go into a vault.
func TestEncryptToOfGPGConf(t *testing.T) {
	home := newHome(t)
	key := newGPGKey(t, "key <k@example.com>")
	other := newGPGKey(t, "other <o@example.com>")
	if err := os.WriteFile(filepath.Join(home, "gpg.conf"), []byte("encrypt-to "+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !containsAny(gpg(t, []byte("x"), "--encrypt", "--trust-model", "always", "--recipient", key), keyIDs(t, other)) {
		t.Fatal("gpg.conf is not read")
	}
	v, _ := newVault(t)
	card := wrapCard(t, v, key)
	message, err := SealCopy(context.Background(), v, card, "")
	if err != nil {
		t.Fatal(err)
	}
	if containsAny(message, keyIDs(t, other)) || containsAny(card.Wrapped, keyIDs(t, other)) {
		t.Error("the key of encrypt-to is named in a copy or in the card")
	}
}

func TestCardWithEmptyRecipient(t *testing.T) {
	v, _ := newVault(t)
	for name, a := range map[string]Access{
		"empty recipient":       {Serial: 1, Mode: Recipients, Recipients: []string{""}, Wrapped: []byte("x")},
		"local with creator":    {Serial: 1, Mode: Local, Creator: Creator{Key: keyA, Signature: []byte("x")}},
		"signature without key": {Serial: 1, Mode: Recipients, Recipients: []string{keyA}, Wrapped: []byte("x"), Creator: Creator{Signature: []byte("x")}},
	} {
		if _, err := v.Card(a); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// Bytes of a message to a key may look like a session key for a passphrase.
func TestNeedsPassphraseLooksInside(t *testing.T) {
	key := newGPG(t)
	message := gpg(t, []byte("x"), "--encrypt", "--trust-model", "always", "--recipient", key)
	r := packet.NewOpaqueReader(bytes.NewReader(message))
	p, err := r.Next()
	if err != nil || message[0] != 0x84 || p.Tag != tagSessionKey {
		t.Fatalf("tag %d, %v", p.Tag, err)
	}
	message[saltSize+1], message[saltSize+2] = 0xc3, byte(2+int(message[1])-saltSize-3)
	if NeedsPassphrase(message) {
		t.Error("asks for a passphrase")
	}
}

// A vault and a card that were just read are used by all backends at once.
func TestFirstUseIsSafeForConcurrentUse(t *testing.T) {
	made, madeCard := newVault(t)
	card, err := ParseCard(madeCard.String())
	if err != nil {
		t.Fatal(err)
	}
	v, err := Parse(marshal(t, made), card)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := v.bundle(card); err != nil {
				t.Error(err)
			}
			if _, err := v.Card(card.Access); err != nil {
				t.Error(err)
			}
			if _, err := v.SealRecord("a-v1", nil); err != nil {
				t.Error(err)
			}
			if _, err := card.VerifyCreator(context.Background()); !errors.Is(err, ErrNoCreator) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
