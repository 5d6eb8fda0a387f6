package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// nothingShared: nothingshared DIR fails if two of the backends below DIR
// share a part of a name, or 24 bytes of content.
func nothingShared(ts *testscript.TestScript, _ bool, args []string) {
	const window = 24 // the beginnings of two OpenPGP messages share 15
	type found struct{ backend, file string }
	names, contents := map[string]found{}, map[string]found{}
	each := func(visit func(at found, data []byte)) (files int) {
		root := ts.MkAbs(args[0])
		ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			backend, file, _ := strings.Cut(rel, "/")
			data, err := os.ReadFile(path)
			visit(found{backend, file}, data)
			files++
			return err
		}))
		return files
	}
	files := each(func(at found, data []byte) {
		for _, part := range regexp.MustCompile(`[./]`).Split(at.file, -1) {
			if len(part) <= 8 { // kinds, fan-out, and the numbers of segment and shard
				continue
			}
			if other, ok := names[part]; ok && other.backend != at.backend {
				ts.Fatalf("%v and %v share the name %s", at, other, part)
			}
			names[part] = at
		}
		for i := 0; i+window <= len(data); i += window {
			contents[string(data[i:i+window])] = at
		}
	})
	each(func(at found, data []byte) {
		for i := 0; i+window <= len(data); i++ {
			if other, ok := contents[string(data[i:i+window])]; ok && other.backend != at.backend {
				ts.Fatalf("%v and %v share bytes: %x", at, other, data[i:i+window])
			}
		}
	})
	if files < 10 || len(contents) < 1000 {
		ts.Fatalf("only %d files were compared", files)
	}
}

var (
	cardField    = regexp.MustCompile(` vault=(\S+)`)
	wrappedField = regexp.MustCompile(`"wrapped":"([A-Za-z0-9+/=]+)"`)
	secretField  = regexp.MustCompile(`"(master|names|custody|owner)":"([A-Za-z0-9+/=]+)"`)
)

// noSecrets: nosecrets REPO TEXT DIR… opens the vault of the remote in REPO,
// as docs/format.md says, and fails if one of its secrets, or TEXT, is found
// in a file below the DIRs or in REPO's git objects.
func noSecrets(ts *testscript.TestScript, _ bool, args []string) {
	repo, text := ts.MkAbs(args[0]), args[1]
	needles := map[string][]byte{"the text": []byte(text)}
	for name, secret := range vaultSecrets(ts, repo) {
		if len(secret) > 64 {
			secret = secret[len(secret)/4 : len(secret)/4+48] // of the secret key packet, before its public signatures
		}
		needles[name] = secret
		needles[name+" in hex"] = []byte(hex.EncodeToString(secret))
		for skip := range 3 { // wherever it begins in a base64 text
			needles[name+" in base64"+strings.Repeat("'", skip)] = []byte(base64.RawStdEncoding.EncodeToString(secret[skip : len(secret)-(len(secret)-skip)%3]))
		}
	}
	look := func(place string, data []byte) {
		for name, needle := range needles {
			if bytes.Contains(data, needle) {
				ts.Fatalf("%s shows %s", place, name)
			}
		}
	}
	cmd := exec.Command("git", "-C", repo, "cat-file", "--batch-all-objects", "--batch")
	objects, err := cmd.Output()
	ts.Check(err)
	look("a git object", objects)
	files := 0
	for _, dir := range args[2:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			look(path, data)
			look("the name "+path, []byte(path))
			files++
			return err
		}))
	}
	if files < 20 || len(objects) < 1000 {
		ts.Fatalf("only %d files were looked at", files)
	}
}

// vaultSecrets opens the vault with stock tools.
func vaultSecrets(ts *testscript.TestScript, repo string) map[string][]byte {
	log, err := exec.Command("git", "-C", repo, "show", "git-annex:remote.log").Output()
	ts.Check(err)
	field := func(re *regexp.Regexp, data []byte) []byte {
		m := re.FindSubmatch(data)
		if m == nil {
			ts.Fatalf("no %v", re)
		}
		raw, err := base64.StdEncoding.DecodeString(string(m[len(m)-1]))
		ts.Check(err)
		return raw
	}
	envelope := field(cardField, log)
	card := field(regexp.MustCompile(`"card":"([A-Za-z0-9+/=]+)"`), envelope)
	gpg := exec.Command("gpg", "--batch", "--quiet", "--decrypt")
	gpg.Env = append(os.Environ(), "GNUPGHOME="+ts.Getenv("GNUPGHOME"))
	gpg.Stdin = bytes.NewReader(field(wrappedField, card))
	document, err := gpg.Output()
	ts.Check(err)
	secrets := map[string][]byte{}
	for _, m := range secretField.FindAllSubmatch(document, -1) {
		raw, err := base64.StdEncoding.DecodeString(string(m[2]))
		ts.Check(err)
		secrets[string(m[1])] = raw
	}
	if len(secrets) != 4 || len(secrets["master"]) != 32 {
		ts.Fatalf("the vault document holds %d secrets", len(secrets))
	}
	return secrets
}
