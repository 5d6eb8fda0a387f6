package clone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"shardraid/vault"
)

// PassphraseFile is the environment variable that names a file to read the
// passphrase from, where there is no terminal to ask on.
const PassphraseFile = "SHARDRAID_PASSPHRASE_FILE"

// ErrNobody is returned where there is neither a file nor a terminal.
var ErrNobody = errors.New("there is no terminal to ask for the passphrase on: set " + PassphraseFile + " to a file that holds it")

// AskPassphrase returns the passphrase from the file, or asks for it.
func AskPassphrase(ctx context.Context, what string) (string, error) {
	if text, found, err := filedPassphrase(); found || err != nil {
		return text, err
	}
	tty, err := terminal()
	if err != nil {
		return "", err
	}
	defer tty.Close()
	return tty.secret(ctx, "Passphrase of "+what+": ")
}

// NewPassphrase returns a passphrase for something new: from the file, the
// user's own, typed twice, or eight words, which it shows on the terminal.
func NewPassphrase(ctx context.Context, what string) (string, error) {
	text, found, err := filedPassphrase()
	if !found && err == nil {
		text, err = chosenPassphrase(ctx, what)
	}
	if err != nil {
		return "", err
	}
	return text, vault.CheckPassphrase(text)
}

func chosenPassphrase(ctx context.Context, what string) (string, error) {
	tty, err := terminal()
	if err != nil {
		return "", err
	}
	defer tty.Close()
	text, err := tty.secret(ctx, "New passphrase of "+what+" (just Enter: eight words are made for you): ")
	if err != nil {
		return "", err
	}
	if text == "" {
		if text, err = vault.Words(); err != nil {
			return "", err
		}
		fmt.Fprintf(tty, "\n  %s\n\nWrite these words down and keep them: without them nobody can read what is stored.\n", text)
	}
	again, err := tty.secret(ctx, "The same once more: ")
	if err != nil {
		return "", err
	}
	if !vault.SamePassphrase(again, text) {
		return "", errors.New("the two passphrases differ: nothing was changed; try again")
	}
	return text, nil
}

func filedPassphrase() (text string, found bool, err error) {
	path := os.Getenv(PassphraseFile)
	if path == "" {
		return "", false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", PassphraseFile, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", PassphraseFile, err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if text = strings.TrimSpace(string(line)); text == "" {
		return "", false, fmt.Errorf("read %s: %s has no passphrase in its first line", PassphraseFile, path)
	}
	return text, true, nil
}

// tty is the user's terminal; stdin and stdout may be git-annex's.
type tty struct{ *os.File }

func terminal() (tty, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return tty{}, ErrNobody
	}
	return tty{f}, nil
}

// secret asks without echo, until ctx ends.
func (t tty) secret(ctx context.Context, prompt string) (string, error) {
	state, err := term.GetState(int(t.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask for passphrase: %w", err)
	}
	fmt.Fprint(t, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // a read of a terminal cannot be interrupted
		text, err := term.ReadPassword(int(t.Fd()))
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		fmt.Fprintln(t)
		if a.err != nil {
			return "", fmt.Errorf("ask for passphrase: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		term.Restore(int(t.Fd()), state)
		fmt.Fprintln(t)
		return "", fmt.Errorf("ask for passphrase: %w", context.Cause(ctx))
	}
}
