package vault

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// vouched returns a card that the key vouches for.
func vouched(t *testing.T, key string) (*Vault, *Card) {
	t.Helper()
	v, _ := newVault(t)
	creator, err := Vouch(context.Background(), v, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return v, withCreator(t, v, creator)
}

func withCreator(t *testing.T, v *Vault, creator Creator) *Card {
	t.Helper()
	return newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: []string{creator.Key}, Wrapped: []byte("x"), Creator: creator})
}

// The first key counts that this user has, and its primary key stands in the
// card, whichever of its fingerprints was given.
func TestVouchChoosesAKey(t *testing.T) {
	newHome(t)
	own := newGPGKey(t, "own <own@example.com>")
	second := newGPGKey(t, "second <second@example.com>")
	gpg(t, nil, "--passphrase", "", "--quick-generate-key", "encr <e@example.com>", "ed25519", "cert", "never")
	noSigner := fingerprints(t, "e@example.com")[0]
	unknown := strings.Repeat("A", 40)
	v, _ := newVault(t)
	for _, test := range []struct {
		recipients []string
		want       string
	}{
		{[]string{own, second}, own},
		{[]string{second, own}, second},
		{[]string{unknown, noSigner, second}, second},
		{[]string{fingerprints(t, own)[1]}, own},
	} {
		creator, err := Vouch(context.Background(), v, test.recipients)
		if err != nil || creator.Key != test.want {
			t.Errorf("%v: %s vouches, not %s (%v)", test.recipients, creator.Key, test.want, err)
			continue
		}
		if _, err := withCreator(t, v, creator).VerifyCreator(context.Background()); err != nil {
			t.Error(err)
		}
	}
	for _, none := range [][]string{nil, {unknown}, {noSigner}} {
		if creator, err := Vouch(context.Background(), v, none); err == nil || creator.Key != "" {
			t.Errorf("%v vouches: %v, %v", none, creator.Key, err)
		}
	}
}

// A key must be known and certified before its word counts.
func TestCreatorMustBeCertified(t *testing.T) {
	ctx := context.Background()
	_, plain := newVault(t)
	if _, err := plain.VerifyCreator(ctx); !errors.Is(err, ErrNoCreator) {
		t.Errorf("no creator: %v", err)
	}
	creator := newGPG(t)
	_, card := vouched(t, creator)
	public := gpg(t, nil, "--export", creator)

	own := newGPG(t) // another user's keyring
	if own == creator {
		t.Fatal("the same key twice")
	}
	if _, err := card.VerifyCreator(ctx); !errors.Is(err, ErrUnknownCreator) {
		t.Errorf("not in the keyring: %v", err)
	}
	gpg(t, public, "--import")
	if _, err := card.VerifyCreator(ctx); !errors.Is(err, ErrUncertified) {
		t.Errorf("in the keyring, not certified: %v", err)
	}
	gpg(t, nil, "--quick-lsign-key", creator)
	if note, err := card.VerifyCreator(ctx); err != nil || note != "" {
		t.Errorf("certified: %q, %v", note, err)
	}
}

func TestExpiredAndRevokedCreators(t *testing.T) {
	ctx := context.Background()
	home := newHome(t)
	// Older than its expiry by more than a second, lest their order be open.
	key := newGPGKey(t, "test <test@example.com>", "--faked-system-time", "20200101T000000")
	v, card := vouched(t, key)
	if note, err := card.VerifyCreator(ctx); note != "" || err != nil {
		t.Fatalf("good: %q, %v", note, err)
	}
	gpg(t, nil, "--quick-set-expire", key, "seconds=1")
	time.Sleep(2100 * time.Millisecond) // a key is expired in the second after its last
	if note, err := card.VerifyCreator(ctx); !strings.Contains(note, "expired") || err != nil {
		t.Errorf("expired since: %q, %v", note, err)
	}
	if _, err := Vouch(ctx, v, []string{key}); err == nil {
		t.Error("an expired key vouches")
	}
	gpg(t, nil, "--quick-set-expire", key, "0")
	if note, err := card.VerifyCreator(ctx); note != "" || err != nil {
		t.Errorf("prolonged: %q, %v", note, err)
	}
	revoke(t, home, key)
	if note, err := card.VerifyCreator(ctx); err == nil || !strings.Contains(err.Error(), "revoked") || note != "" {
		t.Errorf("revoked: %q, %v", note, err)
	}
	if _, err := Vouch(ctx, v, []string{key}); err == nil {
		t.Error("a revoked key vouches")
	}
}

// Only a good signature of the named key over this vault's owner key counts.
func TestForgedCreators(t *testing.T) {
	newHome(t)
	key := newGPGKey(t, "creator <c@example.com>")
	other := newGPGKey(t, "other <o@example.com>")
	v, good := vouched(t, key)
	if _, err := good.VerifyCreator(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, stranger := vouched(t, key)
	byOther, err := Vouch(context.Background(), v, []string{other})
	if err != nil {
		t.Fatal(err)
	}
	owner, err := publicKey(v.owner)
	if err != nil {
		t.Fatal(err)
	}
	signature := good.Creator.Signature
	flipped := bytes.Clone(signature)
	flipped[len(flipped)-1] ^= 1
	sign := func(text []byte, how string) []byte { return gpg(t, text, how, "--local-user", key) }
	for name, forged := range map[string][]byte{
		"over another vault":     stranger.Creator.Signature,
		"by another key":         byOther.Signature,
		"two, one by another":    append(bytes.Clone(byOther.Signature), flipped...),
		"damaged":                flipped,
		"cut":                    signature[:len(signature)/2],
		"empty":                  {},
		"missing":                nil,
		"garbage":                []byte("no signature"),
		"without the first line": sign(owner, "--detach-sign"),
		"a signed letter":        sign([]byte("letter"), "--sign"),
		"a clear letter":         sign([]byte("letter"), "--clearsign"),
		"no detached signature":  sign(statement(owner), "--sign"),
	} {
		card := withCreator(t, v, Creator{Key: key, Signature: forged})
		if note, err := card.VerifyCreator(context.Background()); err == nil || note != "" {
			t.Errorf("%s: accepted", name)
		}
	}
	// The signature is good, and the card names another key.
	card := withCreator(t, v, Creator{Key: other, Signature: signature})
	if _, err := card.VerifyCreator(context.Background()); err == nil || !strings.Contains(err.Error(), "not by GPG key "+other) {
		t.Errorf("signed by another key than the card names: %v", err)
	}
}

// The lines are gpg 2.2.40's, shortened.
func TestJudgeSignature(t *testing.T) {
	key, other := strings.Repeat("A", 40), strings.Repeat("B", 40)
	exit := errors.New("gpg: exit status")
	line := func(text string) string { return "[GNUPG:] " + text + "\n" }
	valid := func(key string) string {
		return line("VALIDSIG " + strings.Repeat("C", 40) + " 2026-11-25 1795593793 0 4 0 22 8 00 " + key)
	}
	good, expired := line("GOODSIG CCCCCCCCCCCCCCCC c <c@x>"), line("EXPKEYSIG CCCCCCCCCCCCCCCC c <c@x>")
	for name, test := range map[string]struct {
		status string
		err    error
		note   bool
		fails  bool
	}{
		"good":                       {line("NEWSIG") + good + valid(key) + line("TRUST_FULLY 0 pgp"), nil, false, false},
		"expired key":                {line("KEYEXPIRED 1795593795") + expired + valid(key), nil, true, false},
		"nothing":                    {"", nil, false, true},
		"gpg failed":                 {"gpg: no valid OpenPGP data found.\n", exit, false, true},
		"good, but gpg failed":       {good + valid(key), exit, false, true},
		"never good":                 {valid(key), nil, false, true},
		"never valid":                {good, nil, false, true},
		"another's":                  {good + valid(other), nil, false, true},
		"another's, expired":         {expired + valid(other), nil, false, true},
		"another's behind":           {good + valid(key) + good + valid(other), nil, false, true},
		"bad":                        {line("BADSIG CCCCCCCCCCCCCCCC c <c@x>"), exit, false, true},
		"good, then a bad one":       {good + valid(key) + line("BADSIG CCCCCCCCCCCCCCCC c"), exit, false, true},
		"expired, then a bad one":    {expired + valid(key) + line("BADSIG CCCCCCCCCCCCCCCC c"), exit, false, true},
		"not on gpg's status lines":  {strings.ReplaceAll(good+valid(key), "[GNUPG:] ", ""), nil, false, true},
		"expired signature":          {line("EXPSIG CCCCCCCCCCCCCCCC c <c@x>") + valid(key), nil, false, true},
		"cannot be checked":          {line("ERRSIG CCCCCCCCCCCCCCCC 1 8 00 1795593793 4 -"), exit, false, true},
		"revoked":                    {line("REVKEYSIG CCCCCCCCCCCCCCCC c <c@x>") + valid(key), nil, false, true},
		"key in the middle":          {good + line("VALIDSIG "+key+" 2026-11-25 "+other), nil, false, true},
		"a user id is no status":     {"gpg: " + good + "gpg: " + valid(key), nil, false, true},
		"nor is a line in its midst": {" " + good + " " + valid(key), nil, false, true},
	} {
		note, err := judgeSignature(test.status, key, test.err)
		if (note != "") != test.note || (err != nil) != test.fails {
			t.Errorf("%s: %q, %v", name, note, err)
		}
	}
	noKey := line("ERRSIG CCCCCCCCCCCCCCCC 22 8 00 1795593793 9 CC") + line("NO_PUBKEY CCCCCCCCCCCCCCCC")
	if _, err := judgeSignature(noKey, key, exit); !errors.Is(err, ErrUnknownCreator) {
		t.Errorf("no public key: %v", err)
	}
}
