// Package shardraid_test holds the rules of the house: what may import what,
// and that every package says what it is for.
package shardraid_test

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shardraid/layout"
)

// mayImport is the table of ARCHITECTURE.md: our packages below, and the door
// of each third-party library.
var mayImport = map[string][]string{
	"shardraid/cmd/shardraid":                {"shardraid/remote", "shardraid/cli", "github.com/rclone/rclone/backend/all"},
	"shardraid/cmd/git-annex-remote-torrent": {"shardraid/torrent"},
	"shardraid/torrent":                      {"shardraid/annex", "github.com/anacrolix", "golang.org/x/time/rate", "github.com/gofrs/flock"},
	"shardraid/remote":                       {"shardraid/annex", "shardraid/clone", "shardraid/object", "shardraid/manifest", "shardraid/vault", "shardraid/layout"},
	"shardraid/cli":                          {"shardraid/clone", "shardraid/object", "shardraid/backends", "shardraid/manifest", "shardraid/vault", "shardraid/layout", "github.com/spf13/cobra"},
	"shardraid/clone":                        {"shardraid/object", "shardraid/manifest", "shardraid/vault", "shardraid/layout", "shardraid/backends", "golang.org/x/term"},
	"shardraid/object":                       {"shardraid/manifest", "shardraid/vault", "shardraid/erasure", "shardraid/layout", "shardraid/backends", "golang.org/x/sync", "github.com/gofrs/flock"},
	"shardraid/manifest":                     {"shardraid/vault", "shardraid/erasure"},
	"shardraid/vault":                        {"github.com/ProtonMail/go-crypto", "github.com/tyler-smith/go-bip39", "golang.org/x/crypto"},
	"shardraid/erasure":                      {"github.com/klauspost/reedsolomon"},
	"shardraid/layout":                       {"gopkg.in/yaml.v3"},
	"shardraid/backends":                     {"github.com/rclone/rclone", "golang.org/x/time/rate"},
	"shardraid/backends/backendtest":         {"shardraid/backends"},
	"shardraid/annex":                        {},
	"shardraid/integration":                  {},
	"shardraid/integration/bench":            {"golang.org/x/net/webdav", "golang.org/x/time/rate"},
	"shardraid/integration/mutants":          {},
}

type pkg struct {
	ImportPath, Dir, Doc string
	Imports              []string
}

func packages(t *testing.T) (pkgs []pkg) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "shardraid" {
			continue // this file alone
		}
		allowed, ok := mayImport[p.ImportPath]
		if !ok {
			t.Errorf("package %s is not in the table", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			standard := !strings.Contains(strings.Split(imp, "/")[0], ".") && !strings.HasPrefix(imp, "shardraid/")
			fits := func(a string) bool {
				return imp == a || !strings.HasPrefix(a, "shardraid/") && strings.HasPrefix(imp, a+"/")
			}
			if !standard && !slices.ContainsFunc(allowed, fits) {
				t.Errorf("%s must not import %s", p.ImportPath, imp)
			}
		}
	}
}

// The table itself must point down: no package may reach itself.
func TestTableHasNoCircle(t *testing.T) {
	var visit func(name string, above []string)
	visit = func(name string, above []string) {
		if slices.Contains(above, name) {
			t.Fatalf("circle: %v -> %s", above, name)
		}
		for _, below := range mayImport[name] {
			visit(below, append(slices.Clone(above), name))
		}
	}
	for name := range mayImport {
		visit(name, nil)
	}
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "shardraid" {
			continue
		}
		if p.Doc == "" {
			t.Errorf("package %s does not say what it is for", p.ImportPath)
		}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		docs := 0
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("package %s has %d package docs", p.ImportPath, docs)
		}
	}
}

// The sample layout of the README is a valid one.
func TestReadmeLayout(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")
	if len(blocks) < 2 {
		t.Fatal("README.md has no sample layout")
	}
	for _, block := range blocks[1:] {
		sample, _, _ := strings.Cut(block, "```")
		if _, err := layout.Parse("README.md", []byte(sample)); err != nil {
			t.Error(err)
		}
	}
}
