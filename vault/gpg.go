package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// gpgTimeout ends a gpg that waits for a person who is not there.
const gpgTimeout = 60 * time.Second

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

// Wrap encrypts the vault to the GPG keys with these full fingerprints. gpg
// refuses keys that are unknown, expired or revoked.
func Wrap(ctx context.Context, v *Vault, recipients []string) ([]byte, error) {
	plain, err := v.Marshal()
	if err != nil {
		return nil, err
	}
	// The fingerprint is full, so the key needs no trust by name.
	args := []string{"--encrypt", "--trust-model", "always"}
	for _, fpr := range recipients {
		args = append(args, "--recipient", fpr)
	}
	wrapped, status, err := runGPG(ctx, plain, args...)
	if err != nil {
		return nil, fmt.Errorf("wrap vault: %w: are all of %s in your keyring (gpg --list-keys), not expired and not revoked?", err, strings.Join(recipients, ", "))
	}
	if !bytes.Contains(status, []byte("[GNUPG:] END_ENCRYPTION")) {
		return nil, errors.New("wrap vault: gpg did not finish the encryption")
	}
	return wrapped, nil
}

// Unwrap opens the vault of a card with the user's GPG key, through gpg and
// its agent.
func Unwrap(ctx context.Context, card *Card) (*Vault, error) {
	plain, status, err := runGPG(ctx, card.wrapped, "--decrypt")
	if err != nil {
		return nil, fmt.Errorf("open vault %s: %w: it opens with the GPG keys %s: if yours is locked, unlock it (echo | gpg --sign --local-user KEY >/dev/null) and try again", card.Fingerprint(), err, strings.Join(card.recipients, ", "))
	}
	if !bytes.Contains(status, []byte("[GNUPG:] DECRYPTION_OKAY")) {
		return nil, fmt.Errorf("open vault %s: gpg did not vouch for what it decrypted", card.Fingerprint())
	}
	return Parse(plain, card)
}

// runGPG runs gpg once, input on its stdin, and returns its output and its
// status lines. Nothing secret is in its arguments.
func runGPG(ctx context.Context, input []byte, args ...string) (output, status []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, gpgTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gpg", append([]string{"--batch", "--no-tty", "--quiet", "--status-fd", "2"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, nil, errors.New("gpg is not installed (apt install gnupg)")
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("gpg gave no answer within %s", gpgTimeout)
	case err != nil:
		return nil, nil, fmt.Errorf("gpg: %s", complaint(errs.String(), err))
	}
	return out.Bytes(), errs.Bytes(), nil
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
