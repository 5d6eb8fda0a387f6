package vault

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func FuzzOpenRecord(f *testing.F) {
	v, card, _ := readGolden(f) // every worker of the fuzzer needs the same vault
	good, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, message []byte) {
		if body, err := v.OpenRecord("a-v1", message); err == nil && string(body) != "body" {
			t.Errorf("forged: %q", body)
		}
		if _, err := card.Verify("a-v1", message); err == nil {
			t.Error("forged signature")
		}
	})
}

func FuzzParseCard(f *testing.F) {
	v, _, _ := readGolden(f)
	card, err := v.Card(fullAccess())
	if err != nil {
		f.Fatal(err)
	}
	e := open(f, card.String())
	f.Add(card.String(), e.Owner, e.Card)
	f.Add("e30=", e.Card, e.Owner)
	f.Fuzz(func(t *testing.T, text string, owner, signed []byte) {
		for _, text := range []string{text, seal(t, envelope{owner, signed})} {
			got, err := ParseCard(text)
			if err != nil {
				continue
			}
			if got.Fingerprint() != v.Fingerprint() || !reflect.DeepEqual(got.Access, fullAccess()) {
				t.Errorf("forged: vault %s, %+v", got.Fingerprint(), got.Access)
			}
			if again, err := ParseCard(got.String()); err != nil || again.String() != got.String() {
				t.Errorf("does not read back: %v", err)
			}
		}
	})
}

func FuzzUnlock(f *testing.F) {
	good := cheapLock(f, []byte("secret"), testPass)
	f.Add(good)
	f.Add(append(bytes.Clone(good), good...))
	f.Fuzz(func(t *testing.T, locked []byte) {
		if tooMuchWork(locked) {
			return
		}
		plain, err := unlock(locked, testPass)
		if err == nil && string(plain) != "secret" {
			t.Errorf("forged: %q", plain)
		}
		if err != nil && (plain != nil || !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrRecord)) {
			t.Errorf("%q, %v", plain, err)
		}
	})
}

// tooMuchWork spares the fuzzer what is allowed and slow: many rounds, and
// Argon2 as S2K (4), somewhere at the beginning of the first packet.
func tooMuchWork(locked []byte) bool {
	if len(locked) <= saltSize+1 {
		return false
	}
	if n := locked[saltSize]; n > 6 && n <= maxLogN {
		return true
	}
	p, err := packet.NewOpaqueReader(bytes.NewReader(locked[saltSize+1:])).Next()
	return err == nil && len(p.Contents) > 1 && bytes.IndexByte(p.Contents[1:min(8, len(p.Contents))], 4) >= 0
}

// Nothing but gpg's own word that this key's signature is valid counts.
func FuzzGPGStatus(f *testing.F) {
	key := strings.Repeat("A", 40)
	valid := "[GNUPG:] VALIDSIG BB 2026-11-25 1 0 4 0 22 8 00 " + key + "\n"
	for _, line := range []string{"GOODSIG A u", "EXPKEYSIG A u", "REVKEYSIG A u", "BADSIG A u", "EXPSIG A u", "ERRSIG A", "NO_PUBKEY A", "TRUST_FULLY"} {
		f.Add("[GNUPG:] "+line+"\n"+valid, false)
		f.Add(valid+"gpg: text\n[GNUPG:] "+line+"\n", true)
		f.Add("[GNUPG:] "+line+"\n"+strings.ReplaceAll(valid, key, "C"), false)
	}
	f.Fuzz(func(t *testing.T, status string, failed bool) {
		var exit error
		if failed {
			exit = errors.New("exit status")
		}
		if _, err := judgeSignature(status, key, exit); err != nil {
			return
		}
		lines := strings.Split(status, "\n")
		word := func(word string) bool {
			return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "[GNUPG:] "+word) })
		}
		named := slices.ContainsFunc(lines, func(line string) bool {
			fields := strings.Fields(line)
			return strings.HasPrefix(line, "[GNUPG:] ") && slices.Contains(fields, "VALIDSIG") && fields[len(fields)-1] == key
		})
		if !named || word("BADSIG") || word("REVKEYSIG ") || word("EXPSIG ") || word("NO_PUBKEY ") || failed && !word("EXPKEYSIG") {
			t.Errorf("accepted: %q", status)
		}
	})
}
