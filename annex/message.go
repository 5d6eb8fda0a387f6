package annex

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// lineBreaks are the bytes that end a line for git-annex or for what prints it.
const lineBreaks = "\r\n\x00"

// extensions are names of protocol extensions that both sides know.
type extensions []string

func (e extensions) has(name string) bool { return slices.Contains(e, name) }

// agree picks from what git-annex offers; to name anything else is an error
// for it.
func agree(offered string) extensions {
	var agreed extensions
	names := strings.Fields(offered)
	for _, name := range []string{"INFO", "ASYNC", "GETGITREMOTENAME", "UNAVAILABLERESPONSE"} {
		if slices.Contains(names, name) {
			agreed = append(agreed, name)
		}
	}
	return agreed
}

// request is one parsed request line.
type request struct {
	command   string
	direction string // STORE or RETRIEVE in TRANSFER
	key       Key
	file      string // in TRANSFER, as sent
	url       string // in CLAIMURL and CHECKURL, may be anything
}

// parseRequest parses a line; ok is false where parameters are missing or
// wrong. Parameters of requests that need none are ignored.
func parseRequest(line string) (req request, ok bool) {
	var rest string
	req.command, rest, _ = strings.Cut(line, " ")
	switch req.command {
	case "TRANSFER":
		var key string
		req.direction, rest, _ = strings.Cut(rest, " ")
		key, req.file, _ = strings.Cut(rest, " ")
		req.key = Key(key)
		known := req.direction == "STORE" || req.direction == "RETRIEVE"
		return req, known && isWord(key) && req.file != ""
	case "CHECKPRESENT", "REMOVE", "WHEREIS":
		req.key = Key(rest)
		return req, isWord(rest)
	case "CLAIMURL", "CHECKURL":
		req.url = rest
	}
	return req, true
}

// cutJob splits "J 3 rest" into the job number, as sent, and the rest.
func cutJob(line string) (name, rest string, ok bool) {
	tagged, ok := strings.CutPrefix(line, "J ")
	if !ok {
		return "", "", false
	}
	name, rest, _ = strings.Cut(tagged, " ")
	_, err := strconv.ParseUint(name, 10, 63)
	return name, rest, err == nil
}

// splitLine is a bufio.SplitFunc. Unlike bufio.ScanLines it drops a last line
// without an end: half a key must not be acted upon.
func splitLine(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, bytes.TrimSuffix(data[:i], []byte("\r")), nil
	}
	if atEOF {
		return len(data), nil, nil
	}
	return 0, nil, nil
}

// join joins the words that are not empty.
func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// isWord tells whether a text can be any parameter of a message.
func isWord(s string) bool {
	return s != "" && !strings.ContainsAny(s, " "+lineBreaks)
}

// isLine tells whether a text can be the last parameter of a message.
func isLine(s string) bool {
	return !strings.ContainsAny(s, lineBreaks)
}

// oneLine puts a space in place of each run of line breaks.
func oneLine(s string) string {
	if isLine(s) {
		return s
	}
	isBreak := func(r rune) bool { return strings.ContainsRune(lineBreaks, r) }
	return strings.Join(strings.FieldsFunc(s, isBreak), " ")
}

// output is the only writer of what git-annex reads.
type output struct {
	fail   func(error) // told of the first error
	closed atomic.Bool

	mu  sync.Mutex
	w   io.Writer
	err error // of the first write that went wrong
}

// write sends each text as one line, all of them in one piece.
func (o *output) write(lines ...string) error {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(oneLine(line))
		text.WriteByte('\n')
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed.Load() {
		return errors.New("output is closed")
	}
	if o.err == nil && len(lines) > 0 {
		if _, err := io.WriteString(o.w, text.String()); err != nil {
			o.err = fmt.Errorf("write reply: %w", err)
			o.fail(o.err)
		}
	}
	return o.err
}

// close ends all writing. It does not wait for a write that is stuck.
func (o *output) close() { o.closed.Store(true) }
