package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// message is one line of a special remote.
type message struct {
	job     string // "" in the plain protocol
	command string
	rest    string
}

func parseMessage(line string) message {
	var m message
	if tagged, ok := strings.CutPrefix(line, "J "); ok {
		m.job, line, _ = strings.Cut(tagged, " ")
	}
	m.command, m.rest, _ = strings.Cut(line, " ")
	return m
}

// final reports whether a message is the reply to a request.
func (m message) final() bool {
	switch m.command {
	case "UNSUPPORTED-REQUEST", "ERROR":
		return true
	}
	for _, outcome := range []string{"-SUCCESS", "-FAILURE", "-UNKNOWN"} {
		if strings.HasSuffix(m.command, outcome) {
			return true
		}
	}
	return false
}

// progress returns the bytes that a PROGRESS line tells.
func (m message) progress() (int64, bool) {
	if m.command != "PROGRESS" {
		return 0, false
	}
	n, err := strconv.ParseInt(m.rest, 10, 64)
	return n, err == nil
}

// memory is what git-annex keeps of one remote beyond its processes.
type memory struct {
	uuid, gitDir string

	mu     sync.Mutex
	config map[string]string
	creds  map[string]string
	state  map[string]string
}

// answer is what git-annex says to a message that is not a reply; "" for
// those that want no answer.
func (k *memory) answer(m message) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name, value, _ := strings.Cut(m.rest, " ")
	switch m.command {
	case "PROGRESS", "DEBUG", "INFO":
		return "", nil
	case "GETUUID":
		return "VALUE " + k.uuid, nil
	case "GETGITDIR":
		return "VALUE " + k.gitDir, nil
	case "GETGITREMOTENAME":
		return "VALUE bench", nil
	case "GETCONFIG":
		return "VALUE " + k.config[m.rest], nil
	case "SETCONFIG":
		k.config[name] = value
		return "", nil
	case "GETCREDS":
		return "CREDS " + k.creds[m.rest], nil
	case "SETCREDS":
		k.creds[name] = value
		return "", nil
	case "GETSTATE":
		return "VALUE " + k.state[m.rest], nil
	case "SETSTATE":
		k.state[name] = value
		return "", nil
	case "GETWANTED", "GETURLS":
		return "VALUE ", nil
	case "SETWANTED", "SETURLPRESENT", "SETURLMISSING", "SETURIPRESENT", "SETURIMISSING":
		return "", nil
	case "DIRHASH", "DIRHASH-LOWER":
		return "VALUE " + dirHash(m.rest), nil
	}
	return "", fmt.Errorf("special remote asks %q", m.command)
}

// dirHash spreads keys over directories, though not as git-annex does.
func dirHash(key string) string {
	var h uint32
	for i := range len(key) {
		h = h*31 + uint32(key[i])
	}
	return fmt.Sprintf("%03x/%03x/", h&0xfff, h>>12&0xfff)
}
