package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/tyler-smith/go-bip39/wordlists"
	"golang.org/x/crypto/scrypt"
)

const (
	saltSize = 16
	// logN is the cost of a guess: scrypt with N = 2^17, r = 8, p = 1 takes
	// 128 MiB and about half a second.
	logN = 17
	// maxLogN bounds what a forged file can make us spend: 1 GiB.
	maxLogN = 20

	minPassphrase = 10
	wordCount     = 8
)

// ErrPassphrase is returned where the passphrase does not open.
var ErrPassphrase = errors.New("the passphrase does not open it")

// Words draws a passphrase of eight words: 88 random bits.
func Words() (string, error) {
	words := make([]string, wordCount)
	for i := range words {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(wordlists.English))))
		if err != nil {
			return "", fmt.Errorf("draw passphrase: %w", err)
		}
		words[i] = wordlists.English[n.Int64()]
	}
	return strings.Join(words, " "), nil
}

// CheckPassphrase refuses a passphrase that is guessed in no time.
func CheckPassphrase(passphrase string) error {
	if n := utf8.RuneCountInString(normal(passphrase)); n < minPassphrase {
		return fmt.Errorf("a passphrase of %d characters is too short: take %d or more, or let eight words be made", n, minPassphrase)
	}
	return nil
}

// lock encrypts to a passphrase: salt, log2 N, OpenPGP message (docs/format.md, section 9).
func lock(plain []byte, passphrase string) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, saltSize, len(plain)+256))
	rand.Read(out.Bytes()[:saltSize])
	out.WriteByte(logN)
	key, err := stretch(passphrase, out.Bytes()[:saltSize], logN)
	if err != nil {
		return nil, err
	}
	w, err := openpgp.SymmetricallyEncrypt(out, key, nil, pgpConfig(symmetricTime))
	if err != nil {
		return nil, fmt.Errorf("encrypt to passphrase: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encrypt to passphrase: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt to passphrase: %w", err)
	}
	return out.Bytes(), nil
}

// unlock opens what lock wrote, or returns ErrPassphrase or ErrRecord.
func unlock(locked []byte, passphrase string) ([]byte, error) {
	if len(locked) < saltSize+1 || len(locked) > MaxRecord {
		return nil, fmt.Errorf("%w: wrong size", ErrRecord)
	}
	salt, log, message := locked[:saltSize], locked[saltSize], locked[saltSize+1:]
	if log < 1 || log > maxLogN {
		return nil, fmt.Errorf("%w: it asks for 2^%d rounds of scrypt", ErrRecord, log)
	}
	if err := checkLocked(message); err != nil {
		return nil, err
	}
	key, err := stretch(passphrase, salt, int(log))
	if err != nil {
		return nil, err
	}
	asked := false
	prompt := func([]openpgp.Key, bool) ([]byte, error) {
		if asked {
			return nil, ErrPassphrase
		}
		asked = true
		return key, nil
	}
	md, err := openpgp.ReadMessage(bytes.NewReader(message), nil, prompt, pgpConfig(symmetricTime))
	if err != nil {
		return nil, ErrPassphrase
	}
	plain, err := io.ReadAll(io.LimitReader(md.UnverifiedBody, MaxRecord+1))
	if err != nil || len(plain) > MaxRecord || !md.IsSymmetricallyEncrypted {
		return nil, ErrPassphrase // or damaged: the message does not tell
	}
	return plain, nil
}

// checkLocked lets only a session key of version 4 through, by an iterated and
// salted passphrase: Argon2 would let a forged message ask for terabytes.
func checkLocked(message []byte) error {
	if err := checkShape(message, tagPassphrase, tagEncrypted); err != nil {
		return err
	}
	p, err := packet.NewOpaqueReader(bytes.NewReader(message)).Next()
	if err != nil || len(p.Contents) < 4 || p.Contents[0] != 4 || p.Contents[2] != byte(s2k.IteratedSaltedS2K) {
		return fmt.Errorf("%w: locked in another way", ErrRecord)
	}
	return nil
}

// stretch returns the OpenPGP passphrase: scrypt in hex, so that stock tools
// can be given it.
func stretch(passphrase string, salt []byte, logN int) ([]byte, error) {
	key, err := scrypt.Key([]byte(normal(passphrase)), salt, 1<<logN, 8, 1, 32)
	if err != nil {
		return nil, fmt.Errorf("stretch passphrase: %w", err)
	}
	return []byte(hex.EncodeToString(key)), nil
}

// SamePassphrase reports whether two spellings are one passphrase.
func SamePassphrase(a, b string) bool { return normal(a) == normal(b) }

// normal makes one space of each run of white space, so that words may be
// typed as they come.
func normal(passphrase string) string { return strings.Join(strings.Fields(passphrase), " ") }
