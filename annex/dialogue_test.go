package annex

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestDialogues plays the dialogues in testdata. Each part of an archive is one
// session: "> " is sent by git-annex, "< " is expected from us, "! " is part of
// the error that Serve must return by itself. $CWD is the working directory.
// A last word "..." matches any rest. In urls.txtar the remote has URLs.
func TestDialogues(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range archive.Files {
			t.Run(filepath.Base(path)+"/"+part.Name, func(t *testing.T) {
				text := strings.ReplaceAll(string(part.Data), "$CWD", cwd)
				fake := &fakeRemote{availability: Unavailable, infoErr: nil}
				var remote Remote = fake
				if filepath.Base(path) == "urls.txtar" {
					remote = &urlRemote{}
				}
				if strings.HasPrefix(part.Name, "failing") {
					fake.infoErr = errors.New("read manifests: no backend")
					fake.prepare = func(context.Context, *Session) error { return errors.New("bad\nlayout") }
				}
				converse(t, remote, func(_ context.Context, p *peer) { play(p, text) })
			})
		}
	}
}

func play(p *peer, text string) {
	p.t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case ">":
			p.send(rest)
			synctest.Wait() // else the end of the session may drop it unread
		case "<":
			p.expect(rest)
		case "!":
			if err := p.end(); err == nil || !strings.Contains(err.Error(), rest) {
				p.t.Fatalf("Serve returns %v, want %q", err, rest)
			}
			return
		case "", "#":
		default:
			p.t.Fatalf("bad line %q", line)
		}
	}
	p.quiet()
	p.hangUp()
	if err := p.end(); err != nil {
		p.t.Fatalf("Serve returns %v at end of input", err)
	}
}
