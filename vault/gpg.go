package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const (
	// gpgTimeout ends a gpg that waits for a person who is not there.
	gpgTimeout = 60 * time.Second
	// maxOutput bounds what a compressed message can blow up to.
	maxOutput = 2 * MaxRecord
)

var fullFingerprint = regexp.MustCompile(`^([0-9A-F]{40}|[0-9A-F]{64})$`)

// ParseRecipients reads a comma-separated list of full GPG fingerprints.
// Shorter ids and e-mail addresses may name somebody else's key.
func ParseRecipients(list string) ([]string, error) {
	var recipients []string
	for field := range strings.SplitSeq(list, ",") {
		fpr := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(field), " ", ""))
		if !fullFingerprint.MatchString(fpr) {
			return nil, fmt.Errorf("recipient %q is not a full fingerprint: gpg --list-keys --keyid-format none shows it (40 hex digits)", field)
		}
		recipients = append(recipients, fpr)
	}
	return recipients, nil
}

// encryptTo encrypts to GPG keys, named in the message or hidden.
func encryptTo(ctx context.Context, plain []byte, recipients []string, how string) ([]byte, error) {
	// The fingerprint is full, so the key needs no trust by name.
	// The user's encrypt-to would be one recipient more, and not hidden.
	args := []string{"--encrypt", "--trust-model", "always", "--no-encrypt-to"}
	for _, fpr := range recipients {
		args = append(args, how, fpr)
	}
	wrapped, status, err := runGPG(ctx, plain, args...)
	if err != nil {
		return nil, fmt.Errorf("wrap vault: %w: are all of %s in your keyring (gpg --list-keys), not expired and not revoked?", err, strings.Join(recipients, ", "))
	}
	if !hasStatus(status, "END_ENCRYPTION") {
		return nil, errors.New("wrap vault: gpg did not finish the encryption")
	}
	return wrapped, nil
}

// decrypt opens what encryptTo wrote; recipients are for the error text.
func decrypt(ctx context.Context, message []byte, recipients []string) ([]byte, error) {
	plain, status, err := runGPG(ctx, message, "--decrypt")
	// Where recipients are hidden gpg tries key after key, and its exit code
	// counts those that did not fit. Whose the text is, its signature says.
	whole := hasStatus(status, "DECRYPTION_OKAY") && hasStatus(status, "GOODMDC")
	if err != nil && (plain == nil || !whole) {
		return nil, explainDecrypt(err, string(status), recipients)
	}
	if !hasStatus(status, "DECRYPTION_OKAY") {
		return nil, errors.New("gpg did not vouch for what it decrypted")
	}
	return plain, nil
}

// explainDecrypt tells a missing key from one that is locked.
func explainDecrypt(err error, status string, recipients []string) error {
	keys := "that may open it"
	if len(recipients) > 0 {
		keys = strings.Join(recipients, ", ")
	}
	// gpg names the secret key that it tries, before it asks for its passphrase.
	if !strings.Contains(status, "[GNUPG:] KEY_CONSIDERED ") && !strings.Contains(status, "[GNUPG:] PINENTRY_LAUNCHED ") {
		return fmt.Errorf("%w: it opens with the GPG keys %s, and you have the secret key of none", err, keys)
	}
	example := "KEY"
	if len(recipients) > 0 {
		example = recipients[0]
	}
	return fmt.Errorf("%w: it opens with the GPG keys %s: if yours is locked or on a card, unlock it (echo | gpg --encrypt -r %s | gpg --decrypt) and try again", err, keys, example)
}

func hasStatus(status []byte, word string) bool {
	return bytes.Contains(append([]byte("\n"), status...), []byte("\n[GNUPG:] "+word))
}

// runGPG runs gpg once, input on its stdin, and returns its output and its
// status lines. Nothing secret is in its arguments.
func runGPG(ctx context.Context, input []byte, args ...string) (output, status []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, gpgTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gpg", append([]string{"--batch", "--no-tty", "--quiet", "--status-fd", "2"}, args...)...)
	out, errs := limitedBuffer{limit: maxOutput}, limitedBuffer{limit: 1 << 20}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	cmd.Env = gpgEnvironment()
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, nil, errors.New("gpg is not installed (apt install gnupg)")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, errs.Bytes(), errors.New("gpg gave no answer in time: it may wait for a passphrase or a card")
	case ctx.Err() != nil:
		return nil, errs.Bytes(), fmt.Errorf("gpg: %w", context.Cause(ctx))
	case out.over:
		return nil, errs.Bytes(), errors.New("gpg: more output than a vault has")
	case err != nil:
		return out.Bytes(), errs.Bytes(), fmt.Errorf("gpg: %s", complaint(errs.String(), err))
	}
	return out.Bytes(), errs.Bytes(), nil
}

// gpgEnvironment tells pinentry which terminal to ask on: git-annex has our
// stdin and stdout, and its user's terminal is on stderr.
func gpgEnvironment() []string {
	env := os.Environ()
	if os.Getenv("GPG_TTY") != "" {
		return env
	}
	name, err := os.Readlink("/proc/self/fd/2")
	if err == nil && strings.HasPrefix(name, "/dev/") && name != os.DevNull {
		env = append(env, "GPG_TTY="+name)
	}
	return env
}

// limitedBuffer keeps what fits and lets the rest go. The buffer is no embedded
// one, whose ReadFrom would go round the limit.
type limitedBuffer struct {
	buf   bytes.Buffer
	limit int
	over  bool
}

func (b *limitedBuffer) Bytes() []byte  { return b.buf.Bytes() }
func (b *limitedBuffer) String() string { return b.buf.String() }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(p) > b.limit-b.buf.Len() {
		b.over = true
		return len(p), nil
	}
	return b.buf.Write(p)
}

// complaint picks the last line that gpg meant for a person.
func complaint(stderr string, err error) string {
	text := err.Error()
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "[GNUPG:]") {
			text = strings.TrimPrefix(line, "gpg: ")
		}
	}
	return text
}
