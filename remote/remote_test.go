package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/rclone/rclone/backend/local"

	"shardraid/annex"
	"shardraid/clone"
	"shardraid/vault"
)

// gitAnnex is the other side of the protocol: what one clone knows.
type gitAnnex struct {
	t      *testing.T
	dir    string
	config map[string]string // travels through git
	infos  []string

	in  io.Writer
	out *bufio.Scanner
}

func newClone(t *testing.T, config map[string]string) *gitAnnex {
	t.Setenv("RCLONE_CONFIG", filepath.Join(t.TempDir(), "rclone.conf"))
	return &gitAnnex{t: t, dir: t.TempDir(), config: config}
}

// start runs a Remote in a new session, as a new process would.
func (g *gitAnnex) start() {
	g.t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	r := New()
	done := make(chan error, 1)
	go func() {
		done <- annex.Serve(context.Background(), inR, outW, r)
		outW.Close()
	}()
	g.in, g.out = inW, bufio.NewScanner(outR)
	g.out.Buffer(nil, 1<<20)
	g.t.Cleanup(func() {
		inW.Close()
		select {
		case err := <-done:
			if err != nil {
				g.t.Error(err)
			}
		case <-time.After(10 * time.Second):
			g.t.Error("the remote does not end with its input")
		}
		r.Close()
	})
	if line := g.read(); line != "VERSION 1" {
		g.t.Fatalf("first line %q", line)
	}
	fmt.Fprintln(g.in, "EXTENSIONS INFO")
	g.read()
}

func (g *gitAnnex) read() string {
	if !g.out.Scan() {
		g.t.Fatal("the remote ended")
	}
	return g.out.Text()
}

// ask sends a request and returns the reply, answering questions meanwhile.
func (g *gitAnnex) ask(format string, args ...any) string {
	g.t.Helper()
	fmt.Fprintf(g.in, format+"\n", args...)
	for {
		line := g.read()
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "GETCONFIG":
			fmt.Fprintln(g.in, "VALUE "+g.config[rest])
		case "SETCONFIG":
			name, value, _ := strings.Cut(rest, " ")
			g.config[name] = value
		case "GETCREDS", "SETCREDS":
			g.t.Errorf("%s: git-annex must not see the key", word)
			fmt.Fprintln(g.in, "CREDS  ")
		case "GETUUID":
			fmt.Fprintln(g.in, "VALUE 11111111-2222-3333-4444-555555555555")
		case "GETGITDIR":
			fmt.Fprintln(g.in, "VALUE "+g.dir)
		case "INFO":
			g.infos = append(g.infos, rest)
		case "PROGRESS", "DEBUG":
		default:
			return line
		}
	}
}

// creds is the file with the clone's key.
func (g *gitAnnex) creds() string { return clone.CredsPath(g.dir, uuid) }

func (g *gitAnnex) takeKey(from *gitAnnex) {
	g.t.Helper()
	if err := os.CopyFS(filepath.Dir(g.creds()), os.DirFS(filepath.Dir(from.creds()))); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gitAnnex) want(reply, format string, args ...any) {
	g.t.Helper()
	if got := g.ask(format, args...); got != reply {
		g.t.Errorf("%s: got %q, want %q", fmt.Sprintf(format, args...), got, reply)
	}
}

// initialised returns a clone with a remote over n directories below root,
// with more settings as names and values.
func initialised(t *testing.T, n int, more ...string) (g *gitAnnex, root string) {
	root = t.TempDir()
	text := "shardraid: 1\ndata: 2\nparity: 1\nbackends:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: b%d, remote: %q}\n", i, filepath.Join(root, fmt.Sprint("b", i)))
	}
	file := filepath.Join(t.TempDir(), "layout.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	g = newClone(t, map[string]string{"layout": file, "encryption": "none"})
	for i := 0; i < len(more); i += 2 {
		g.config[more[i]] = more[i+1]
	}
	g.start()
	g.want("INITREMOTE-SUCCESS", "INITREMOTE")
	return g, root
}

func TestLifeOfAKey(t *testing.T) {
	g, root := initialised(t, 3)
	if g.config["layout"] != "" || len(g.infos) != 1 || !strings.Contains(g.infos[0], "creds/11111111") {
		t.Errorf("after INITREMOTE: layout %q, said %q", g.config["layout"], g.infos)
	}
	g.start()
	g.want("PREPARE-SUCCESS", "PREPARE")
	content := bytes.Repeat([]byte("some content "), 20000)
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	g.want("CHECKPRESENT-FAILURE K", "CHECKPRESENT K")
	g.want("WHEREIS-FAILURE", "WHEREIS K")
	g.want("TRANSFER-SUCCESS STORE K", "TRANSFER STORE K %s", file)
	g.want("CHECKPRESENT-SUCCESS K", "CHECKPRESENT K")
	g.want("WHEREIS-SUCCESS 2+1: b0, b1, b2", "WHEREIS K")
	if err := os.RemoveAll(filepath.Join(root, "b1")); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back")
	g.want("TRANSFER-SUCCESS RETRIEVE K", "TRANSFER RETRIEVE K %s", back)
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, content) {
		t.Errorf("retrieved %d bytes, %v", len(got), err)
	}
	g.want("CHECKPRESENT-SUCCESS K", "CHECKPRESENT K")
	noSecrets(t, g, root)
	g.want("REMOVE-SUCCESS K", "REMOVE K")
	g.want("CHECKPRESENT-FAILURE K", "CHECKPRESENT K")
	g.want("WHEREIS-FAILURE", "WHEREIS K")
	if err := os.RemoveAll(filepath.Join(root, "b2")); err != nil {
		t.Fatal(err)
	}
	if got := g.ask("CHECKPRESENT K"); !strings.HasPrefix(got, "CHECKPRESENT-UNKNOWN K ") || !strings.Contains(got, "b1: ") || !strings.Contains(got, "b2: ") {
		t.Errorf("with m+1 gone: %q", got)
	}
	if got := g.ask("TRANSFER STORE K2 %s", file); !strings.HasPrefix(got, "TRANSFER-FAILURE STORE K2 ") {
		t.Errorf("with m+1 gone: %q", got)
	}
	g.want("TRANSFER-FAILURE STORE K3 read source: open /none: no such file or directory", "TRANSFER STORE K3 /none")
}

// noSecrets looks for the vault's secrets wherever others may look: in git's
// configuration, on the backends, in what the clone remembers.
func noSecrets(t *testing.T, g *gitAnnex, root string) {
	t.Helper()
	card, err := vault.ParseCard(g.config[clone.SetVault])
	if err != nil {
		t.Fatal(err)
	}
	secret, err := clone.ReadCreds(g.creds())
	if err != nil {
		t.Fatal(err)
	}
	body, err := card.Verify("shardraid-vault-v1", secret)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Master, Names, Custody, Owner []byte }
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{}
	for name, value := range g.config {
		places["config "+name] = []byte(value)
		if raw, err := base64.StdEncoding.DecodeString(value); err == nil {
			places["decoded config "+name] = raw
		}
	}
	for _, dir := range []string{root, g.dir} {
		filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err == nil && !info.IsDir() && path != g.creds() {
				places[path], _ = os.ReadFile(path)
				places["name "+path] = []byte(path)
			}
			return nil
		})
	}
	if len(places) < 10 {
		t.Fatalf("only %d places to look at", len(places))
	}
	for place, data := range places {
		for _, s := range [][]byte{doc.Master, doc.Names, doc.Custody[len(doc.Custody)/2:], doc.Owner[len(doc.Owner)/2:], []byte("some content")} {
			if bytes.Contains(data, s) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(s))) && len(s) >= 32 {
				if strings.HasSuffix(place, "config vault") && len(s) > 32 {
					continue // the end of the owner's key is its public signature
				}
				t.Errorf("%s shows a secret", place)
			}
		}
	}
}

func TestSecondClone(t *testing.T) {
	first, _ := initialised(t, 3)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	first.want("PREPARE-SUCCESS", "PREPARE")
	first.want("TRANSFER-SUCCESS STORE K", "TRANSFER STORE K %s", file)

	second := newClone(t, first.config)
	second.start()
	second.want("INITREMOTE-SUCCESS", "INITREMOTE")
	if len(second.infos) != 2 || !strings.Contains(second.infos[1], "shardraid key export FILE") {
		t.Errorf("said %q", second.infos)
	}
	second.want("PREPARE-SUCCESS", "PREPARE")
	if got := second.ask("CHECKPRESENT K"); !strings.HasPrefix(got, "CHECKPRESENT-UNKNOWN K this clone does not have the remote's key") {
		t.Errorf("without the key: %q", got)
	}
	second.takeKey(first)
	second.start()
	second.want("PREPARE-SUCCESS", "PREPARE")
	second.want("CHECKPRESENT-SUCCESS K", "CHECKPRESENT K")
}

// Whoever can push to the git-annex branch can change the configuration: what
// the vault has not signed is refused.
func TestForgedConfiguration(t *testing.T) {
	g, _ := initialised(t, 3)
	other, _ := initialised(t, 3)
	for name, change := range map[string][2]string{
		"another vault's layout": {clone.SetSigned, other.config[clone.SetSigned]},
		"another vault's card":   {clone.SetVault, other.config[clone.SetVault]},
		"no layout":              {clone.SetSigned, ""},
		"garbage":                {clone.SetSigned, "x"},
		"garbage card":           {clone.SetVault, "x"},
	} {
		config := map[string]string{clone.SetVault: g.config[clone.SetVault], clone.SetSigned: g.config[clone.SetSigned]}
		config[change[0]] = change[1]
		c := newClone(t, config)
		c.start()
		if got := c.ask("INITREMOTE"); !strings.HasPrefix(got, "INITREMOTE-FAILURE ") {
			t.Errorf("%s: %q", name, got)
		}
		if got := c.ask("PREPARE"); !strings.HasPrefix(got, "PREPARE-FAILURE ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	valid := filepath.Join(t.TempDir(), "layout.yaml")
	dir := t.TempDir()
	text := fmt.Sprintf("shardraid: 1\ndata: 1\nparity: 1\nbackends: [{name: a, remote: %q}, {name: b, remote: %q}]\n", dir+"/a", dir+"/b")
	if err := os.WriteFile(valid, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]map[string]string{
		"layout=FILE":      {},
		"no such file":     {"layout": "/none.yaml"},
		"full fingerprint": {"layout": valid, "recipients": "me@example.com"},
		"embedcreds=yes":   {"layout": valid, "embedcreds": "yes"},
		"takes yes or no":  {"layout": valid, "passphrase": "correct horse battery"},
		"choose one":       {"layout": valid, "passphrase": "yes", "recipients": strings.Repeat("A", 40)},
	} {
		g := newClone(t, config)
		g.start()
		if got := g.ask("INITREMOTE"); !strings.HasPrefix(got, "INITREMOTE-FAILURE ") || !strings.Contains(got, name) {
			t.Errorf("%s: %q", name, got)
		}
		if _, err := os.Stat(g.creds()); g.config[clone.SetVault] != "" || err == nil {
			t.Errorf("%s: something was kept", name)
		}
	}
}
