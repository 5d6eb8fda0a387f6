package clone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shardraid/layout"
)

func TestReadLayout(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "layout.yaml")
	text := yaml("/x", 3)
	text += "#" + strings.Repeat("x", layout.MaxText-len(text)-2) + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, got, err := ReadLayout(file); err != nil || got != text || len(l.Backends) != 3 {
		t.Errorf("the largest layout: %v", err)
	}
	if err := os.WriteFile(file, []byte(text+"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		file: "larger than 1 MiB", "/dev/zero": "larger than 1 MiB", // without an end
		filepath.Join(dir, "none"): "read layout: ", dir: "read layout: ", "": "read layout: ",
	} {
		if _, _, err := ReadLayout(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
