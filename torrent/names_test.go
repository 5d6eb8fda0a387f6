package torrent

import (
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestNamesThatAreRefused(t *testing.T) {
	for name, why := range map[string]string{
		"": "empty", ".": "is no name", "..": "is no name", "a/b": "slash", "/": "slash", `a\b`: "slash", `..\x`: "slash",
		"a\x00b": "control", "a\nb": "control", "\x7f": "control", "a\u0085": "control", "\x1b[2J": "control",
		long("x", 256): "255 bytes", long("é", 128): "255 bytes", "\xff": "UTF-8", "a\xc3": "UTF-8",
		".git": "git", ".GIT": "git", ".Git": "git", ".git ": "git", ".git.": "git", ".git. . .": "git", "git~1": "git", "GIT~1": "git", "git~1.": "git",
		".git:x": "git", ".git::$INDEX_ALLOCATION": "git", ".git .:x": "git", "git~1:x": "git",
		".g\u200cit": "git", "\u200e.git": "git", ".git\ufeff": "git", ".\u202agi\u206ft": "git", ".G\u200dI\u200dT.": "git", ".g\u00adit": "git",
	} {
		t.Run(fmt.Sprintf("%.30q", name), func(t *testing.T) { wantError(t, checkName(name), why) })
	}
}

func TestNamesThatAreFine(t *testing.T) {
	for _, name := range []string{"a", "...", "..a", ".gitignore", ".github", "git", "git~2", "git~12", "x.git", "a b", " a ", "-", "-rf", "~", "a:b", "a.", "日本語", "e\u0301", "👩\u200d👩", long("x", 255), "*?", "con"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNamesJoin(t *testing.T) {
	if p, err := joinPath([]string{"a", "b c", "d"}); p != "a/b c/d" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	for why, components := range map[string][]string{
		"no name":       {},
		"empty":         {"a", "", "b"},
		`file "../x"`:   {"..", "x"},
		"slash":         {"a", "../../x"},
		`file "/etc"`:   {"", "etc"},
		"1024 bytes":    slices.Repeat([]string{long("x", 204)}, 6),
		`".." is no na`: {long("x", 200), "..", "x"},
	} {
		_, err := joinPath(components)
		wantError(t, err, why)
	}
	if _, err := joinPath(slices.Repeat([]string{long("x", 204)}, 5)); err != nil { // 1024 bytes
		t.Error(err)
	}
}

func paths(all ...string) (files []File) {
	for i, p := range all {
		p, pad := strings.CutPrefix(p, "pad:")
		files = append(files, File{Index: i, Path: p, Pad: pad})
	}
	return files
}

func TestNamesTogether(t *testing.T) {
	for _, files := range [][]File{paths("a"), paths("a", "b/c", "b/d", "b.c"), paths("a", "A"), paths("pad:.pad/1", "a", "pad:.pad/1"), paths("ab/c", "a")} {
		if err := checkPaths(files); err != nil {
			t.Errorf("%v: %v", files, err)
		}
	}
	for why, files := range map[string][]File{
		`"a" is there twice`:           paths("a", "b", "a"),
		`"b/c" is there twice`:         paths("b/c", "a", "b/c"),
		`"p" is there twice`:           paths("pad:p", "p"),
		`"q" is there twice`:           paths("q", "pad:q"),
		`"x" is a file too`:            paths("x", "x/y"),
		`"x/y" is a file too`:          paths("x/y/z/a", "x/y"),
		`"pad" is a file too`:          paths("pad:pad", "pad/y"),
		`"é/日" is a file too`:          paths("é/日/本", "é/日"),
		`file "` + long("y", 64) + `"`: paths(long("y", 200), long("y", 200)+"/z"),
	} {
		wantError(t, checkPaths(files), why)
	}
}

func TestNamesDistinct(t *testing.T) {
	for _, test := range []struct{ given, want []string }{
		{[]string{"a", "b/c"}, []string{"a", "b/c"}},
		{[]string{"a b", "c\u00a0d\u3000e/f g"}, []string{"a_b", "c_d_e/f_g"}},
		{[]string{"a b.txt", "a_b.txt"}, []string{"a_b_2.txt", "a_b.txt"}},
		{[]string{"a b", "a\u2003b", "a_b", "a_b_2"}, []string{"a_b_3", "a_b_4", "a_b", "a_b_2"}},
		{[]string{"a b", "a_b/c"}, []string{"a_b_2", "a_b/c"}},
		{[]string{"a b/c", "a_b/c", "a b/d"}, []string{"a_b_2/c", "a_b/c", "a_b_2/d"}},
		{[]string{"x/a b", "x/a_b/c d/e"}, []string{"x/a_b_2", "x/a_b/c_d/e"}},
		{[]string{" ", "_"}, []string{"__2", "_"}},
		{[]string{". .", ".a b", "._.", ".a_b"}, []string{".__2.", ".a_b_2", "._.", ".a_b"}},
		{[]string{long("é", 126) + " .x", long("é", 126) + "_.x"}, []string{long("é", 125) + "_2.x", long("é", 126) + "_.x"}},
	} {
		got := distinctNames(paths(test.given...))
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.given, got, test.want)
		}
		checkDistinct(t, paths(test.given...))
	}
}

// checkDistinct holds distinctNames to its promises.
func checkDistinct(t *testing.T, files []File) {
	t.Helper()
	names := distinctNames(files)
	renamed := slices.Clone(files)
	alike, seen := map[string]string{}, map[string]bool{} // by what git-annex makes of them
	clash := false
	for _, f := range files {
		for p := f.Path; p != "."; p = path.Dir(p) {
			clash = clash || alike[flat(p)] != "" && alike[flat(p)] != p
			alike[flat(p)] = p
		}
	}
	for i, name := range names {
		if seen[flat(name)] && !files[i].Pad {
			t.Fatalf("git-annex takes %q for another file", name)
		}
		seen[flat(name)] = true
		if strings.ContainsFunc(name, unicode.IsSpace) {
			t.Fatalf("%q becomes %q", files[i].Path, name)
		}
		if !strings.ContainsFunc(files[i].Path, unicode.IsSpace) && name != files[i].Path && !clash {
			t.Fatalf("%q becomes %q without need", files[i].Path, name)
		}
		checkSafe(t, name)
		renamed[i].Path = name
	}
	if err := checkPaths(renamed); err != nil {
		t.Fatal(err)
	}
}

// checkSafe makes sure, by other means than checkName, that a path can be used
// below a directory of a git repository.
func checkSafe(t *testing.T, p string) {
	t.Helper()
	if !filepath.IsLocal(p) || path.Clean(p) != p || !strings.HasPrefix(filepath.Join("/top", p), "/top/") || strings.ToValidUTF8(p, "") != p || strings.Contains(p, `\`) {
		t.Fatalf("path %q leaves its directory, or is not what it seems", p)
	}
	for name := range strings.SplitSeq(strings.ToLower(p), "/") {
		if len(name) > 255 || strings.HasPrefix(name, ".git") && strings.Trim(name[4:], " .") == "" || strings.ContainsFunc(name, unicode.IsControl) {
			t.Fatalf("path %q has a bad part %q", p, name)
		}
	}
}

func TestNamesDistinctAlways(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "_", " ", "\u00a0", ".", "_2", "é", "/", "/"}
	for range 3000 {
		var files []File
		for range 1 + r.IntN(12) {
			p := ""
			for range 1 + r.IntN(6) {
				p += letters[r.IntN(len(letters))]
			}
			if joined, err := joinPath(strings.Split(p, "/")); err == nil && checkPaths(append(files, File{Path: joined})) == nil {
				files = append(files, File{Index: len(files), Path: joined})
			}
		}
		checkDistinct(t, files)
	}
}

// TestNamesDistinctIsFast has to number a hundred thousand names.
func TestNamesDistinctIsFast(t *testing.T) {
	spaces := []string{" ", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006"}
	var files []File
	for i := range maxFiles {
		p := "x"
		for n := i; len(files) == i; n /= 10 {
			if p += spaces[n%10]; n < 10 {
				files = append(files, File{Index: i, Path: p + long("_", 6-len([]rune(p)))})
			}
		}
	}
	seen := map[string]bool{}
	for _, name := range distinctNames(files) {
		seen[name] = true
	}
	if len(seen) != maxFiles {
		t.Errorf("%d names for %d files", len(seen), maxFiles)
	}
}
