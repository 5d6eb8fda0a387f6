package integration

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// refused: refused DIR TORRENTS adds all the .torrent files of a directory in
// the repository DIR: each must fail.
func refused(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*.torrent"))
	ts.Check(err)
	for _, file := range files {
		ts.Logf("%s", filepath.Base(file))
		fails(ts, false, []string{args[0], "timeout", "20", "git", "annex", "addurl", "torrent: " + file})
	}
}

// fails: fails DIR COMMAND… runs a command that must fail, say why in one line
// of error a link, and leave nothing: not outside of DIR, not in its
// .git/annex/tmp, and no file in DIR.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	before := listing(ts, ts.Getenv("WORK"))
	err := ts.Exec(args[1], args[2:]...)
	text := ts.ReadFile("stderr") + ts.ReadFile("stdout")
	ts.Logf("%s", text)
	if err == nil {
		ts.Fatalf("succeeded")
	}
	for _, word := range []string{"goroutine ", "panic", "runtime error"} {
		if strings.Contains(text, word) {
			ts.Fatalf("it broke: %s", word)
		}
	}
	if left := listing(ts, filepath.Join(dir, ".git", "annex", "tmp")); left != "" {
		ts.Fatalf("left in tmp:\n%s", left)
	}
	if after := listing(ts, ts.Getenv("WORK")); after != before {
		ts.Fatalf("before:\n%s\nafter:\n%s", before, after)
	}
}

// listing names all files below a directory but what git and git-annex keep,
// and programs, for themselves.
func listing(ts *testscript.TestScript, dir string) string {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "home" || d.Name() == ".tmp") && path != dir {
			return filepath.SkipDir
		}
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	ts.Check(err)
	return strings.Join(names, "\n")
}
