package object_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// dumpRemote writes the backends' files, the plaintexts and their list.
func dumpRemote(t testing.TB, w *world, root string) {
	for i, b := range w.layout.Backends {
		for name, data := range w.memory[i].Files() {
			writeFile(t, filepath.Join(root, b.Name), name, data)
		}
	}
	var list []string
	for _, p := range append([]plainOf{oldPlain}, goldenPlain...) {
		sum := sha256.Sum256(p.content())
		o := goldenObject{File: p.file, State: "present", SHA256: hex.EncodeToString(sum[:]), Data: 2, Parity: 1, Note: p.note}
		if o.Key = p.keyText(); !utf8.ValidString(o.Key) {
			o.Key, o.KeyBase64 = "", []byte(o.Key)
		}
		if p.file == oldPlain.file {
			o.Data = 1
		}
		if strings.HasPrefix(p.file, "removed") {
			o.State = "removed"
		} else {
			o.Segments = len(w.manifestOf(p.keyText()).Segments)
		}
		line, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(line))
		writeFile(t, filepath.Join(root, "plain"), p.file, p.content())
	}
	writeFile(t, root, "objects.json", []byte("[\n"+strings.Join(list, ",\n")+"\n]\n"))
}

func writeFile(t testing.TB, root, name string, data []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if old, err := os.ReadFile(path); err == nil && !bytes.Equal(old, data) && name != hostileFile {
		t.Fatalf("%s is there and differs: golden vectors are never changed", path)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
