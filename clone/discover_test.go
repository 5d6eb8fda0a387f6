package clone

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/rclone/rclone/backend/local"

	"shardraid/layout"
	"shardraid/object"
	"shardraid/vault"
)

// remoteOf sets a remote up over directories and stores an object in it.
func remoteOf(t *testing.T, v *vault.Vault, dir string, n int) *Settings {
	t.Helper()
	t.Setenv("RCLONE_CONFIG", filepath.Join(t.TempDir(), "rclone.conf"))
	set := signed(t, v, 1, yaml(dir, n))
	applied(t, v, set, nil)
	pool, err := Connect(v, set.Layout, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Put(ctx, "key", bytes.NewReader(content), int64(len(content)), &object.Job{Progress: func(int64) {}}); err != nil {
		t.Fatal(err)
	}
	return set
}

var content = bytes.Repeat([]byte("content "), 1000)

func applied(t *testing.T, v *vault.Vault, set *Settings, known map[string]bool) {
	t.Helper()
	pool, err := Connect(v, set.Layout, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	body, err := set.Document.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Claim(ctx, object.Claim{Document: body, Known: known, Follows: set.Document.Follows}); err != nil {
		t.Fatal(err)
	}
}

func keyFile(t *testing.T, v *vault.Vault) string {
	path := filepath.Join(t.TempDir(), "key")
	if err := WriteCreds(path, v); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *Found) mustRead(t *testing.T) {
	t.Helper()
	pool, err := f.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	out := filepath.Join(t.TempDir(), "out")
	job := &object.Job{Progress: func(int64) {}}
	if err := pool.Get(ctx, "key", out, job); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d wrong bytes, %v", len(got), err)
	}
	n := 0
	if err := pool.List(ctx, job, func(object.Listed) { n++ }); err != nil || n != 1 {
		t.Errorf("listed %d, %v", n, err)
	}
}

// Names and places may have changed, and m of the backends may be gone.
func TestDiscover(t *testing.T) {
	v, dir := vaults()[0], t.TempDir()
	remoteOf(t, v, dir, 4)
	moved := t.TempDir()
	for i, to := range []string{"b3", "b0", "b2", "b1"} { // under each other's names
		if err := os.Rename(filepath.Join(dir, []string{"b0", "b1", "b2", "b3"}[i]), filepath.Join(moved, to)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(moved, "b2")); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Parse("l", []byte(yaml(moved, 4)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := Discover(ctx, l, keyFile(t, v), v.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Missing) != 1 || !strings.Contains(f.Missing[0], "b2") {
		t.Errorf("missing %q", f.Missing)
	}
	f.mustRead(t)
	if _, err := Discover(ctx, l, keyFile(t, v), vaults()[1].Fingerprint()); !errors.Is(err, ErrVault) {
		t.Errorf("another vault was wanted: %v", err)
	}
	if _, err := Discover(ctx, l, keyFile(t, vaults()[1]), ""); err == nil || !strings.Contains(err.Error(), "no backend has a layout") {
		t.Errorf("a stranger's key: %v", err)
	}
	if _, err := Discover(ctx, l, "", ""); err == nil || !strings.Contains(err.Error(), "give --key FILE") {
		t.Errorf("no key: %v", err)
	}
}

// An apply that was cut off leaves some backends under the old layout: all of
// them are used.
func TestDiscoverInMidApply(t *testing.T) {
	v, dir := vaults()[0], t.TempDir()
	set := remoteOf(t, v, dir, 3)
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(filepath.Join(dir, "b1"))); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, b := range set.Layout.Backends {
		known[b.ID] = true
	}
	next := signed(t, v, 1, yaml(dir, 4), set.Head())
	applied(t, v, next, known)
	b1 := filepath.Join(dir, "b1")
	if err := errors.Join(os.RemoveAll(b1), os.Rename(saved, b1), os.RemoveAll(filepath.Join(dir, "b0"))); err != nil {
		t.Fatal(err)
	}
	for _, yaml := range []string{yaml(dir, 3), yaml(dir, 4)} {
		l, err := layout.Parse("l", []byte(yaml))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Discover(ctx, l, keyFile(t, v), "")
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Backends) == 4 {
			f.mustRead(t)
		}
	}
}
