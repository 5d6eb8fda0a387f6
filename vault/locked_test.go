package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const answers = `#!/bin/sh
echo OK
while read -r command rest; do
	[ "$command" = GETPIN ] && { echo asked >>"$0.log"; echo "D open sesame"; }
	echo OK
	[ "$command" = BYE ] && exit
done
`

// sleeps says who it is, so that the test can end it.
const sleeps = `#!/bin/sh
echo $$ >"$0.pid"
exec sleep 600
`

// newLockedKey makes a key with the passphrase "open sesame", which the agent
// forgets at once and asks for with the program.
func newLockedKey(t *testing.T, pinentry string) (key, program string) {
	t.Helper()
	home := newHome(t)
	program = pinentry
	if strings.HasPrefix(pinentry, "#!") {
		program = filepath.Join(home, "pinentry")
		if err := os.WriteFile(program, []byte(pinentry), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("pinentry-program %s\ndefault-cache-ttl 0\nmax-cache-ttl 0\ns2k-count 65536\n", program)
	if err := os.WriteFile(filepath.Join(home, "gpg-agent.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg(t, nil, "--pinentry-mode", "loopback", "--passphrase", "open sesame",
		"--quick-generate-key", "test <test@example.com>", "future-default", "default", "never")
	return fingerprints(t, "test@example.com")[0], program
}

// lockedCard wraps to a locked key, which takes no passphrase.
func lockedCard(t *testing.T, key string) (*Vault, *Card) {
	t.Helper()
	v, _ := newVault(t)
	wrapped, err := Wrap(context.Background(), v, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return v, newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: []string{key}, Wrapped: wrapped})
}

func TestLockedKeyIsAskedFor(t *testing.T) {
	key, program := newLockedKey(t, answers)
	v, card := lockedCard(t, key)
	got, err := Unwrap(context.Background(), card)
	if err != nil {
		t.Fatal(err)
	}
	checkSameVault(t, got, v)
	creator, err := Vouch(context.Background(), v, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := withCreator(t, v, creator).VerifyCreator(context.Background()); err != nil {
		t.Error(err)
	}
	if asked, _ := os.ReadFile(program + ".log"); string(asked) != "asked\nasked\n" {
		t.Errorf("opening and vouching asked for the passphrase: %q", asked)
	}
}

// Where nobody can be asked, the error says how to unlock the key.
func TestLockedKeyWithNobodyThere(t *testing.T) {
	key, _ := newLockedKey(t, "/bin/false")
	v, card := lockedCard(t, key)
	message, err := SealCopy(context.Background(), v, card, "")
	if err != nil {
		t.Fatal(err)
	}
	_, unwrap := Unwrap(context.Background(), card)
	_, _, open := OpenCopy(context.Background(), message, "")
	_, vouch := Vouch(context.Background(), v, []string{key})
	for want, err := range map[string]error{
		"unlock it (echo | gpg --encrypt -r " + key + " | gpg --decrypt) and try again":   unwrap,
		"unlock it (echo | gpg --encrypt -r KEY | gpg --decrypt) and try again":           open,
		"unlock it (echo | gpg --sign --local-user " + key + " >/dev/null) and try again": vouch,
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// A pinentry that nobody sees does not hold us.
func TestLockedKeyAndAPinentryThatWaits(t *testing.T) {
	key, program := newLockedKey(t, sleeps)
	v, card := lockedCard(t, key)
	for what, call := range map[string]func(context.Context) error{
		"open":  func(ctx context.Context) error { _, err := Unwrap(ctx, card); return err },
		"vouch": func(ctx context.Context) error { _, err := Vouch(ctx, v, []string{key}); return err },
	} {
		t.Run(what, func(t *testing.T) {
			// A busy machine may take long to come as far as the pinentry.
			for limit := 2 * time.Second; !endProcess(t, program+".pid"); limit *= 3 {
				if limit > time.Minute {
					t.Fatal("pinentry was not started")
				}
				checkNoAnswer(t, limit, key, call)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("stopped"))
	if _, err := Unwrap(ctx, card); err == nil || !strings.Contains(err.Error(), "gpg: stopped") {
		t.Errorf("called off: %v", err)
	}
}

func checkNoAnswer(t *testing.T, limit time.Duration, key string, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	err := call(ctx)
	if err == nil || !strings.Contains(err.Error(), "gpg gave no answer") || !strings.Contains(err.Error(), key) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took < limit/2 || took > limit+15*time.Second {
		t.Errorf("took %v", took)
	}
}

// endProcess ends the process that has written its number, if there is one.
func endProcess(t *testing.T, file string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		t.Fatalf("%q is no process", text)
	}
	syscall.Kill(pid, syscall.SIGTERM)
	return os.Remove(file) == nil
}

// A key that is missing is not one that is locked.
func TestNoSecretKey(t *testing.T) {
	key := newGPG(t)
	_, card := lockedCard(t, key)
	public := gpg(t, nil, "--export", key)
	newHome(t)
	for _, what := range []string{"no key", "another key", "the public key alone"} {
		switch what {
		case "another key":
			newGPGKey(t, "another <a@example.com>")
		case "the public key alone":
			gpg(t, public, "--import")
		}
		_, err := Unwrap(context.Background(), card)
		if err == nil || !strings.Contains(err.Error(), "the GPG keys "+key+", and you have the secret key of none") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestGPGIsMissing(t *testing.T) {
	key := newGPG(t)
	v, card := vouched(t, key)
	message, err := SealCopy(context.Background(), v, card, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	_, unwrap := Unwrap(context.Background(), card)
	_, _, open := OpenCopy(context.Background(), message, "")
	_, wrap := Wrap(context.Background(), v, []string{key})
	_, verify := card.VerifyCreator(context.Background())
	for what, err := range map[string]error{"unwrap": unwrap, "open": open, "wrap": wrap, "verify": verify} {
		if err == nil || !strings.Contains(err.Error(), "gpg is not installed") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What nobody has encrypted is not opened, though gpg --decrypt shows it.
func TestOnlyEncryptedMessagesOpen(t *testing.T) {
	key := newGPG(t)
	v, _ := newVault(t)
	card := newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: []string{key}, Wrapped: []byte("x")})
	for _, how := range []string{"--store", "--sign", "--encrypt"} {
		store := func(plain []byte) []byte {
			return gpg(t, plain, "--trust-model", "always", "--recipient", key, how)
		}
		opens := newCardOf(t, v, Access{Serial: 1, Mode: Recipients, Recipients: []string{key}, Wrapped: store(marshal(t, v))})
		_, err := Unwrap(context.Background(), opens)
		_, _, copyErr := OpenCopy(context.Background(), store(bundleOf(t, v, card)), "")
		if (err == nil) != (how == "--encrypt") || (copyErr == nil) != (how == "--encrypt") {
			t.Errorf("%s: %v, copy: %v", how, err, copyErr)
		}
	}
}

// A gpg that ends well and does not say so has not done it.
func TestGPGMustSayThatItIsDone(t *testing.T) {
	v, card := newVault(t)
	bundle := bundleOf(t, v, card)
	for status, good := range map[string]bool{"END_ENCRYPTION": true, "BEGIN_ENCRYPTION": false} {
		dir := t.TempDir()
		script := "#!/bin/sh\necho '[GNUPG:] " + status + "' >&2\ncat\n"
		if err := os.WriteFile(filepath.Join(dir, "gpg"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		wrapped, err := Wrap(context.Background(), v, []string{keyA})
		if (err == nil) != good || (wrapped != nil) != good {
			t.Errorf("%s: %d bytes, %v", status, len(wrapped), err)
		}
		if _, _, err := OpenCopy(context.Background(), bundle, ""); err == nil {
			t.Errorf("%s: opened", status)
		}
	}
}
