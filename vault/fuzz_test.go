package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func FuzzOpenRecord(f *testing.F) {
	v, _, _ := readGolden(f) // every worker of the fuzzer needs the same vault
	for _, kind := range []string{"a-v1", "b-v1"} {
		good, err := v.SealRecord(kind, []byte("of "+kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good)
	}
	owned, err := v.SealOwned("a-v1", []byte("owned"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(owned)
	f.Fuzz(func(t *testing.T, message []byte) {
		body, err := v.OpenRecord("a-v1", message)
		if err == nil && string(body) != "of a-v1" || err != nil && (body != nil || !errors.Is(err, ErrRecord)) {
			t.Errorf("%q, %v", body, err)
		}
	})
}

// FuzzVerify changes what is signed and lies in the clear.
func FuzzVerify(f *testing.F) {
	v, card, _ := readGolden(f)
	for _, kind := range []string{"a-v1", "b-v1"} {
		good, err := v.Sign(kind, []byte("of "+kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good)
		f.Add(append(bytes.Clone(good), good...))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		body, err := card.Verify("a-v1", message)
		if err == nil && string(body) != "of a-v1" || err != nil && (body != nil || !errors.Is(err, ErrRecord)) {
			t.Errorf("%q, %v", body, err)
		}
	})
}

// FuzzShape is after what is let through to OpenPGP: two packets, of which
// the parser finds no other reading.
func FuzzShape(f *testing.F) {
	v, _, _ := readGolden(f)
	record, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add(append(bytes.Clone(record), record...))
	f.Add(cheapLock(f, []byte("secret"), testPass)[saltSize+1:])
	f.Fuzz(func(t *testing.T, message []byte) {
		errRecord, errLocked := checkShape(message, tagSessionKey, tagEncrypted), checkLocked(message)
		if errRecord == nil && errLocked == nil {
			t.Error("both to a key and to a passphrase")
		}
		for first, err := range map[uint8]error{tagSessionKey: errRecord, tagPassphrase: errLocked} {
			if err != nil {
				if !errors.Is(err, ErrRecord) {
					t.Error(err)
				}
				continue
			}
			var tags []uint8
			for r := packet.NewOpaqueReader(bytes.NewReader(message)); ; {
				p, err := r.Next()
				if err != nil {
					break
				}
				tags = append(tags, p.Tag)
			}
			if !slices.Equal(tags, []uint8{first, tagEncrypted}) || message[0]&0x80 == 0 {
				t.Errorf("packets %v pass", tags)
			}
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
	f.Add(card.String(), []byte(nil), []byte(nil))
	f.Add("", e.Owner, e.Card)
	f.Add("", e.Card, e.Owner)
	f.Add("e30=", e.Card, e.Owner)
	f.Fuzz(func(t *testing.T, text string, owner, signed []byte) {
		if text == "" {
			text = seal(t, envelope{owner, signed})
		}
		got, err := ParseCard(text)
		if err != nil {
			if got != nil || !strings.HasPrefix(err.Error(), "read vault card: ") {
				t.Errorf("%+v, %v", got, err)
			}
			return
		}
		if got.Fingerprint() != v.Fingerprint() || !reflect.DeepEqual(got.Access, fullAccess()) {
			t.Errorf("forged: vault %s, %+v", got.Fingerprint(), got.Access)
		}
		if again, err := ParseCard(got.String()); err != nil || again.String() != got.String() {
			t.Errorf("does not read back: %v", err)
		}
	})
}

// FuzzAccess is after the parser behind a card's signature: what a hostile
// owner may write. What is read is written and read back the same.
func FuzzAccess(f *testing.F) {
	for _, a := range []Access{fullAccess(), {Serial: 1, Mode: Local}, {Serial: 2, Mode: Passphrase, Wrapped: []byte{0}}} {
		body, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"serial":1,"mode":"local","Serial":2}`))
	f.Add([]byte(`{"serial":1,"mode":"local","creator":{"key":"","signature":"AA=="}}`))
	f.Add([]byte(`{"serial":1,"mode":"passphrase","wrapped":""}`))
	f.Add([]byte(`{"serial":1,"mode":"local","serial":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var a Access
		if StrictJSON(body, &a) != nil {
			return
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil || len(fields) != countFields(body) {
			t.Fatalf("%q: %v, or a field is there twice", body, err)
		}
		for field := range fields {
			if !slices.Contains([]string{"serial", "mode", "recipients", "wrapped", "creator"}, field) {
				t.Fatalf("field %q is read", field)
			}
		}
		if a.validate() != nil {
			return
		}
		if a.Serial < 1 || (a.Mode == Local) != (a.Wrapped == nil) || (a.Mode == Recipients) != (len(a.Recipients) > 0) || a.Mode != Recipients && (a.Creator.Key != "" || a.Creator.Signature != nil) {
			t.Fatalf("valid: %+v", a)
		}
		for _, fpr := range append(slices.Clone(a.Recipients), a.Creator.Key) {
			if fpr != "" && (len(fpr) != 40 && len(fpr) != 64 || strings.Trim(fpr, "0123456789ABCDEF") != "") || fpr == "" && a.Creator.Key != "" {
				t.Fatalf("valid: %+v", a)
			}
		}
		var again Access
		if text, err := json.Marshal(a); err != nil || StrictJSON(text, &again) != nil || again.validate() != nil {
			t.Fatalf("%q does not read back: %v", text, err)
		}
		if again.Serial != a.Serial || again.Mode != a.Mode || !slices.Equal(again.Recipients, a.Recipients) || !bytes.Equal(again.Wrapped, a.Wrapped) ||
			again.Creator.Key != a.Creator.Key || !bytes.Equal(again.Creator.Signature, a.Creator.Signature) {
			t.Fatalf("reads back as %+v, want %+v", again, a)
		}
	})
}

func countFields(object []byte) (n int) {
	dec := json.NewDecoder(bytes.NewReader(object))
	for dec.Token(); dec.More(); n++ {
		var value json.RawMessage
		dec.Token()
		if dec.Decode(&value) != nil {
			break
		}
	}
	return n
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

// tooMuchWork spares the fuzzer what is allowed and slow: many rounds of scrypt
// or of S2K, and Argon2 as S2K (4), somewhere at the beginning of the first
// packet.
func tooMuchWork(locked []byte) bool {
	if len(locked) <= saltSize+1 {
		return false
	}
	if n := locked[saltSize]; n > 6 && n <= maxLogN {
		return true
	}
	p, err := packet.NewOpaqueReader(bytes.NewReader(locked[saltSize+1:])).Next()
	if err == nil && len(p.Contents) > 12 && p.Contents[12] > 0x60 {
		return true // more than 64 KiB are hashed
	}
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
		f.Add("[GNUPG:] GOODSIG A u\n[GNUPG:] "+line+"\n"+valid, false)
	}
	f.Add("[GNUPG:] GOODSIG A u\n[GNUPG:] BADSIGA u\n"+valid, false)
	f.Add("[GNUPG:]  EXPKEYSIG A u\n"+valid, true)
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
			return slices.ContainsFunc(lines, func(line string) bool {
				fields := strings.Fields(line)
				return len(fields) > 1 && fields[0] == "[GNUPG:]" && fields[1] == word && strings.HasPrefix(line, "[GNUPG:] "+word)
			})
		}
		named := slices.ContainsFunc(lines, func(line string) bool {
			fields := strings.Fields(line)
			return strings.HasPrefix(line, "[GNUPG:] ") && slices.Contains(fields, "VALIDSIG") && fields[len(fields)-1] == key
		})
		if !named || word("BADSIG") || word("REVKEYSIG") || word("EXPSIG") || word("NO_PUBKEY") || failed && !word("EXPKEYSIG") || !word("GOODSIG") && !word("EXPKEYSIG") {
			t.Errorf("accepted: %q", status)
		}
	})
}
