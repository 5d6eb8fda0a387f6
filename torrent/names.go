package torrent

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName = 255  // bytes of a component
	maxPath = 1024 // bytes of a path
)

// checkName returns what is wrong with a component of a path that a torrent
// wants to have below a directory of a git repository.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a part of the name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("%q is no name", name)
	case len(name) > maxName:
		return fmt.Errorf("a part of the name has more than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsAny(name, `/\`):
		return errors.New("a part of the name holds a slash or backslash")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name holds control characters")
	case isGit(name):
		return errors.New("git keeps that name for itself")
	}
	return nil
}

// isGit finds .git, and what NTFS (short names, dots and spaces at the end,
// streams) or HFS+ (invisible characters) take for it.
func isGit(name string) bool {
	seen := strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r == 0xad:
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	seen, _, _ = strings.Cut(seen, ":")
	seen = strings.TrimRight(seen, " .")
	return seen == ".git" || seen == "git~1"
}

// joinPath returns the path of a file, given its components.
func joinPath(components []string) (string, error) {
	joined := strings.Join(components, "/")
	if len(joined) > maxPath {
		return "", fmt.Errorf("file %.64q: its path has more than %d bytes", joined, maxPath)
	}
	if len(components) == 0 {
		return "", errors.New("a file has no name")
	}
	for _, name := range components {
		if err := checkName(name); err != nil {
			return "", fmt.Errorf("file %.64q: %w", joined, err)
		}
	}
	return joined, nil
}

// checkPaths makes sure that all files can be below one directory together.
// Files that pad may share a name, as nobody writes them.
func checkPaths(files []File) error {
	pad := make(map[string]bool, len(files))
	for _, f := range files {
		if other, found := pad[f.Path]; found && !(other && f.Pad) {
			return fmt.Errorf("file %.64q is there twice", f.Path)
		}
		pad[f.Path] = f.Pad
	}
	for _, f := range files {
		for i, c := range f.Path {
			if c != '/' {
				continue
			}
			if _, found := pad[f.Path[:i]]; found {
				return fmt.Errorf("file %.64q: %.64q is a file too", f.Path, f.Path[:i])
			}
		}
	}
	return nil
}

// distinctNames returns a name without white space for each file, in the same
// order: the path, with "_" instead, and a number where two would be the same
// (files that pad may still be the same). They are as safe as the paths, but
// may be some bytes longer than maxPath.
func distinctNames(files []File) []string {
	d := distinct{given: map[string]string{".": "."}, taken: map[string]bool{}, next: map[string]int{}}
	for _, f := range files { // what needs no change gets none
		p := f.Path
		if i := strings.IndexFunc(p, unicode.IsSpace); i >= 0 {
			p = path.Dir(p[:i])
		}
		for ; d.given[p] == "" && !d.taken[flat(p)]; p = path.Dir(p) {
			d.given[p], d.taken[flat(p)] = p, true
		}
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = d.name(f.Path)
	}
	return names
}

// distinct gives each file and directory a name that is no other's after
// git-annex has made it flat, and so never the directory of a file either.
type distinct struct {
	given map[string]string // path: name
	taken map[string]bool   // names, flat
	next  map[string]int    // name that was taken: the last number tried
}

func (d *distinct) name(p string) string {
	if name, found := d.given[p]; found {
		return name
	}
	wanted := path.Join(d.name(path.Dir(p)), plain(path.Base(p)))
	name := wanted
	for d.taken[flat(name)] {
		d.next[wanted] = max(2, d.next[wanted]+1)
		name = numbered(wanted, d.next[wanted])
	}
	d.given[p], d.taken[flat(name)] = name, true
	return name
}

// flat is what git-annex makes of a name that a remote gives to a file: letters, digits, and "." and "-" that are not the
// first stay.
func flat(p string) string {
	if p[0] == '.' || p[0] == '-' {
		p = "_" + p[1:]
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return r
		}
		return '_'
	}, p)
}

func plain(p string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return '_'
		}
		return r
	}, p)
}

// numbered puts a number before the extension.
func numbered(p string, number int) string {
	dir, stem := path.Split(p)
	extension := path.Ext(stem)
	if len(extension) > 16 || extension == stem {
		extension = ""
	}
	stem = strings.TrimSuffix(stem, extension)
	end := fmt.Sprintf("_%d%s", number, extension)
	for len(stem)+len(end) > maxName {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	return dir + stem + end
}
