package annex

import (
	"bufio"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for _, c := range []struct {
		line string
		want request
		ok   bool
	}{
		{"PREPARE", request{command: "PREPARE"}, true},
		{"TRANSFER STORE k  a b ", request{"TRANSFER", "STORE", "k", " a b ", ""}, true},
		{"TRANSFER RETRIEVE WORM-s1-m2--%2Fü ../f", request{"TRANSFER", "RETRIEVE", "WORM-s1-m2--%2Fü", "../f", ""}, true},
		{"TRANSFER STORE  f", request{command: "TRANSFER", direction: "STORE", file: "f"}, false},
		{"WHEREIS k", request{command: "WHEREIS", key: "k"}, true},
		{"WHEREIS", request{command: "WHEREIS"}, false},
		{"REMOVE k ", request{command: "REMOVE", key: "k "}, false},
		{"CLAIMURL  a: b ", request{command: "CLAIMURL", url: " a: b "}, true},
		{"CHECKURL", request{command: "CHECKURL"}, true},
	} {
		if got, ok := parseRequest(c.line); got != c.want || ok != c.ok {
			t.Errorf("parseRequest(%q) = %+v, %v", c.line, got, ok)
		}
	}
}

func TestAgree(t *testing.T) {
	for offered, want := range map[string][]string{
		"":                             nil,
		"ASYNC":                        {"ASYNC"},
		"ASYNCH INFOO  DELEGATE":       nil,
		"UNAVAILABLERESPONSE X INFO  ": {"INFO", "UNAVAILABLERESPONSE"},
	} {
		if got := agree(offered); !slices.Equal(got, want) {
			t.Errorf("agree(%q) = %q", offered, got)
		}
	}
}

func TestSplitLine(t *testing.T) {
	lines := bufio.NewScanner(strings.NewReader("a\r\n\r\n\nb\r\rc\r\r\ncut off"))
	lines.Split(splitLine)
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if want := []string{"a", "", "", "b\r\rc\r"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

var (
	jobLine = regexp.MustCompile(`(?s)^J ([0-9]+)(?: .*)?$`)
	goodKey = regexp.MustCompile(`(?s)^(?:TRANSFER (?:STORE|RETRIEVE) [^ \r\n\x00]+ .+|(?:CHECKPRESENT|REMOVE|WHEREIS) [^ \r\n\x00]+)$`)
	withKey = regexp.MustCompile(`^(?:TRANSFER|CHECKPRESENT|REMOVE|WHEREIS)(?: |$)`)
)

// FuzzParseRequest holds the parser against the grammar, both ways: what fits
// is taken apart and nothing of it lost, what does not is refused.
func FuzzParseRequest(f *testing.F) {
	for _, line := range []string{"J 1 TRANSFER STORE k a  b", "CHECKPRESENT k", "J -1 REMOVE", "TRANSFER  ", "J 1", "J 9223372036854775808 X", "CHECKURL  a b ", "WHEREIS k\x00"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		name, rest, ok := cutJob(line)
		if m := jobLine.FindStringSubmatch(line); ok != (m != nil && isInt63(m[1])) {
			t.Errorf("cutJob(%q) = %q, %q, %v", line, name, rest, ok)
		}
		if ok {
			if back := "J " + name + " " + rest; back != line && back != line+" " {
				t.Errorf("cutJob(%q) = %q, %q", line, name, rest)
			}
			line = rest
		}
		req, ok := parseRequest(line)
		if want := goodKey.MatchString(line) || !withKey.MatchString(line); ok != want {
			t.Errorf("parseRequest(%q) = %+v, %v", line, req, ok)
		}
		if !ok {
			return
		}
		switch command, _, _ := strings.Cut(line, " "); {
		case req.command != command:
			t.Errorf("parseRequest(%q) = %+v", line, req)
		case command == "TRANSFER" && "TRANSFER "+req.direction+" "+string(req.key)+" "+req.file != line:
			t.Errorf("parseRequest(%q) = %+v", line, req)
		case strings.HasSuffix(command, "URL") && req.url != "" && command+" "+req.url != line:
			t.Errorf("parseRequest(%q) = %+v", line, req)
		case command != "TRANSFER" && withKey.MatchString(line) && command+" "+string(req.key) != line:
			t.Errorf("parseRequest(%q) = %+v", line, req)
		}
	})
}

func isInt63(digits string) bool {
	digits = strings.TrimLeft(digits, "0")
	return len(digits) < 19 || len(digits) == 19 && digits <= "9223372036854775807"
}

var noGaps = strings.NewReplacer(" ", "", "\r", "", "\n", "", "\x00", "")

func FuzzOneLine(f *testing.F) {
	f.Add("a\r\nb\x00\n")
	f.Add("\xff\n\xfe")
	f.Fuzz(func(t *testing.T, text string) {
		line := oneLine(text)
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("oneLine(%q) = %q", text, line)
		}
		if isLine(text) && line != text {
			t.Errorf("oneLine(%q) = %q changes a good line", text, line)
		}
		if noGaps.Replace(line) != noGaps.Replace(text) {
			t.Errorf("oneLine(%q) = %q loses text", text, line)
		}
	})
}
