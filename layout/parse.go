package layout

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxDepth is more than the deepest field needs: document, mapping, backends,
// backend, limits, value.
const maxDepth = 8

var (
	integerPattern = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,8})$`)
	yamlLine       = regexp.MustCompile(`^line ([0-9]{1,9}): `)
)

// Parse reads and checks a layout. Name stands in error texts, which are one
// line: name, line of the file, what is wrong, what to do.
func Parse(name string, data []byte) (*Layout, error) {
	w := &walker{name: name}
	text := w.clean(data)
	root := w.decode(text)
	if w.err != nil {
		return nil, w.err
	}
	for line := range bytes.Lines(text) {
		w.lines = append(w.lines, bytes.Runes(line))
	}
	w.plain(root, 0)
	l := w.layout(root)
	if w.err == nil {
		w.validate(l)
	}
	if w.err != nil {
		return nil, w.err
	}
	l.LeastData, l.LeastParity = l.Data, l.Parity
	return l, nil
}

// walker goes through the nodes of one file and keeps the first error; the
// values it returns after an error mean nothing.
type walker struct {
	name  string
	lines [][]rune
	in    string // what is being read, for error texts
	err   error

	// Where the fields stand that are checked against each other.
	fields    map[string]*yaml.Node
	backendAt []backendLines
}

type backendLines struct{ name, remote, fileSize int }

func (w *walker) fail(line int, format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%s:%d: %s%w", w.name, max(line, 1), w.in, fmt.Errorf(format, args...))
	}
}

// clean gives the text with plain line ends and no byte order mark, so that
// everybody counts the same lines.
func (w *walker) clean(data []byte) []byte {
	if len(data) > MaxText {
		w.fail(1, "larger than 1 MiB: a layout is a few lines: name the right file")
		return nil
	}
	text := bytes.TrimPrefix(data, []byte("\ufeff"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	for line, rest := 1, text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			w.fail(line, "not UTF-8: save the file as UTF-8")
		case r == '\n':
			line++
		case r < ' ' && r != '\t', r >= 0x7f && r <= 0x9f, r == '\u2028', r == '\u2029', r == '\ufeff':
			w.fail(line, "contains the character %U: remove it", r)
		}
		rest = rest[size:]
	}
	return text
}

// decode turns the text into nodes.
func (w *walker) decode(text []byte) (root *yaml.Node) {
	if w.err != nil {
		return nil
	}
	// The text may be hostile, and the parser is code of others: its panic
	// must not end the process that serves git-annex.
	defer func() {
		if r := recover(); r != nil {
			w.fail(1, "the YAML parser gave up: write plain YAML")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	root = new(yaml.Node)
	err := decoder.Decode(root)
	if err == io.EOF {
		w.fail(1, "empty: write a layout")
		return nil
	}
	if err == nil {
		second := new(yaml.Node)
		if err = decoder.Decode(second); err == nil {
			w.fail(second.Line, "more than one document: keep one")
			return nil
		}
	}
	if err != io.EOF {
		line, cause := yamlError(err)
		w.fail(line, "not YAML: %w: correct the line", cause)
		return nil
	}
	return root.Content[0]
}

// yamlError takes the line out of an error of the YAML parser.
func yamlError(err error) (int, error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return line, fmt.Errorf("%.200s", text)
}

// plain refuses what makes YAML mean something else than it looks like.
func (w *walker) plain(n *yaml.Node, depth int) {
	switch {
	case w.err != nil:
		return
	case depth > maxDepth:
		w.fail(n.Line, "nested too deeply: no field is nested like that: remove it")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		w.fail(n.Line, "anchors and aliases (&, *) are not accepted: write the value out")
	case n.Tag == "!!merge":
		w.fail(n.Line, "merge keys (<<) are not accepted: write the fields out")
	case n.Style&yaml.TaggedStyle != 0 || w.begins(n, '!'): // a lone "!" has no style
		w.fail(n.Line, "tags (!) are not accepted: write the value alone")
	}
	for _, child := range n.Content {
		w.plain(child, depth+1)
	}
}

// begins tells whether a node begins with the character in the text.
func (w *walker) begins(n *yaml.Node, c rune) bool {
	if n.Line < 1 || n.Line > len(w.lines) {
		return false
	}
	line := w.lines[n.Line-1]
	return n.Column >= 1 && n.Column <= len(line) && line[n.Column-1] == c
}

func (w *walker) layout(n *yaml.Node) *Layout {
	// A newer file has newer fields: its version is the better news.
	w.version(n)
	f := w.mapping(n, []string{"shardraid", "data", "parity", "backends"},
		"shard_size", "write_quorum", "inline")
	l := &Layout{
		Version:   1,
		Data:      w.integer(f, "data", 0),
		Parity:    w.integer(f, "parity", 0),
		ShardSize: quantity(w, f, "shard_size", parseSize, defaultShardSize),
		Inline:    quantity(w, f, "inline", parseSize, defaultInline),
	}
	l.WriteQuorum = w.integer(f, "write_quorum", l.Data+l.Parity)
	if w.err != nil {
		return nil
	}
	w.fields = f
	list := f["backends"]
	if list.Kind != yaml.SequenceNode {
		w.fail(list.Line, "backends is not a list: begin each backend with \"- name:\"")
		return nil
	}
	for i, item := range list.Content {
		l.Backends = append(l.Backends, w.backend(i, item))
	}
	return l
}

func (w *walker) version(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "shardraid" {
			continue
		}
		value := root.Content[i+1]
		version := w.integer(map[string]*yaml.Node{"shardraid": value}, "shardraid", 0)
		switch {
		case version > 1:
			w.fail(value.Line, "written for a newer shardraid (version %d of the format, known is 1): update shardraid", version)
		case version < 1:
			w.fail(value.Line, "version %d of the format does not exist: write shardraid: 1", version)
		}
		return
	}
}

func (w *walker) backend(i int, n *yaml.Node) Backend {
	w.in = fmt.Sprintf("backend %d: ", i+1)
	defer func() { w.in = "" }()
	f := w.mapping(n, []string{"name", "remote"}, "domain", "state", "limits")
	b := Backend{Name: w.words(f, "name", "", checkName)}
	w.in = fmt.Sprintf("backend %.64q: ", b.Name)
	b.Remote = w.words(f, "remote", "", checkRemote)
	b.Domain = w.words(f, "domain", b.Name, checkDomain)
	b.State = State(w.words(f, "state", string(Active), checkState))
	at := backendLines{name: lineOf(f["name"]), remote: lineOf(f["remote"])}
	if limits := f["limits"]; limits != nil {
		f := w.mapping(limits, nil, "storage", "upload", "download", "requests", "file_size")
		b.Limits = Limits{
			Storage:  quantity(w, f, "storage", parseSize, 0),
			Upload:   quantity(w, f, "upload", ParseRate, 0),
			Download: quantity(w, f, "download", ParseRate, 0),
			Requests: quantity(w, f, "requests", parseRequests, 0),
			FileSize: quantity(w, f, "file_size", parseSize, 0),
		}
		at.fileSize = lineOf(f["file_size"])
	}
	w.backendAt = append(w.backendAt, at)
	return b
}
