package main

import "testing"

func TestParseMessage(t *testing.T) {
	for line, want := range map[string]message{
		"PREPARE-SUCCESS":                     {"", "PREPARE-SUCCESS", ""},
		"TRANSFER-SUCCESS STORE a":            {"", "TRANSFER-SUCCESS", "STORE a"},
		"J 12 GETCONFIG layout":               {"12", "GETCONFIG", "layout"},
		"J 1 TRANSFER-FAILURE STORE a  b c":   {"1", "TRANSFER-FAILURE", "STORE a  b c"},
		"J 3 PROGRESS 17":                     {"3", "PROGRESS", "17"},
		"":                                    {},
		"J":                                   {"", "J", ""},
		"INFO J 3 is not a job":               {"", "INFO", "J 3 is not a job"},
		"J 2 CHECKPRESENT-UNKNOWN key a text": {"2", "CHECKPRESENT-UNKNOWN", "key a text"},
	} {
		if got := parseMessage(line); got != want {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestFinal(t *testing.T) {
	for command, want := range map[string]bool{
		"PREPARE-SUCCESS": true, "CHECKPRESENT-UNKNOWN": true, "REMOVE-FAILURE": true, "UNSUPPORTED-REQUEST": true, "ERROR": true,
		"PROGRESS": false, "GETCONFIG": false, "INFO": false, "DIRHASH": false,
	} {
		if got := (message{command: command}).final(); got != want {
			t.Errorf("%s: %v", command, got)
		}
	}
	if n, ok := parseMessage("PROGRESS 7").progress(); n != 7 || !ok {
		t.Errorf("progress %d, %v", n, ok)
	}
	if _, ok := parseMessage("PROGRESS x").progress(); ok {
		t.Error("x is a number")
	}
}

func TestMemory(t *testing.T) {
	k := &memory{uuid: "u", gitDir: "/g", config: map[string]string{}, creds: map[string]string{}, state: map[string]string{}}
	for _, step := range [][2]string{
		{"GETUUID", "VALUE u"},
		{"GETGITDIR", "VALUE /g"},
		{"GETCONFIG a", "VALUE "},
		{"SETCONFIG a b c", ""},
		{"GETCONFIG a", "VALUE b c"},
		{"GETCREDS x", "CREDS "},
		{"SETCREDS x user pass word", ""},
		{"GETCREDS x", "CREDS user pass word"},
		{"SETSTATE key s t", ""},
		{"GETSTATE key", "VALUE s t"},
		{"GETWANTED", "VALUE "},
		{"DEBUG a", ""},
		{"PROGRESS 1", ""},
	} {
		if got, err := k.answer(parseMessage(step[0])); got != step[1] || err != nil {
			t.Errorf("%s: %q, %v", step[0], got, err)
		}
	}
	if _, err := k.answer(parseMessage("NONSENSE")); err == nil {
		t.Error("nonsense is answered")
	}
}

func TestParsePeak(t *testing.T) {
	if got, err := parsePeak("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"); got != 2 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parsePeak("Name:\tx\n"); err == nil {
		t.Error("no peak is one")
	}
}
