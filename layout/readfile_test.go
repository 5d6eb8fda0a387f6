package layout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "layout.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	largest := small + "#" + strings.Repeat("x", maxText-len(small)-2) + "\n"
	for _, text := range []string{"", small, "\ufeff" + small + "\r\n", largest} {
		write(text)
		got, err := ReadFile(file)
		if err != nil || string(got) != text {
			t.Errorf("read %.100q, %v", got, err)
		}
	}
	if _, err := Parse("x", []byte(largest)); err != nil {
		t.Error(err)
	}
	// Of a larger one, and of one without end, as much as Parse refuses.
	write(largest + strings.Repeat("x", 5000))
	for _, name := range []string{file, "/dev/zero"} {
		got, err := ReadFile(name)
		if err != nil || len(got) != maxText+1 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := Parse("x", got); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{filepath.Join(dir, "none"), dir, ""} {
		if got, err := ReadFile(name); err == nil || got != nil || !strings.HasPrefix(err.Error(), "read layout: ") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
