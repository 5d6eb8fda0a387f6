package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The test program is also the special remotes that the tests start.
const fakeName = "git-annex-remote-fake"

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case copyingName:
		os.Exit(copying(os.Stdin, os.Stdout))
	case fakeName:
		fake()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake speaks ASYNC: it answers transfers two by two, the later one first,
// after a question and a progress for each.
func fake() {
	fmt.Println("VERSION 1")
	var held string
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		m := parseMessage(lines.Text())
		switch m.command {
		case "EXTENSIONS":
			fmt.Println("EXTENSIONS INFO ASYNC")
		case "INITREMOTE":
			fmt.Printf("J %s SETCONFIG name a b\nJ %s INITREMOTE-SUCCESS\n", m.job, m.job)
		case "PREPARE":
			fmt.Printf("J %s PREPARE-SUCCESS\n", m.job)
		case "TRANSFER":
			fmt.Printf("J %s PROGRESS 5\nJ %s GETCONFIG name\n", m.job, m.job)
		case "VALUE":
			reply := fmt.Sprintf("J %s TRANSFER-FAILURE STORE key got %s", m.job, m.rest)
			if held == "" {
				held = reply
			} else {
				fmt.Println(reply + "\n" + held)
				held = ""
			}
		}
	}
}

// startTest starts this program as a special remote.
func startTest(t *testing.T, name string, config map[string]string) *session {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	k := &memory{uuid: "u", gitDir: t.TempDir(), config: config, creds: map[string]string{}, state: map[string]string{}}
	s, err := start(t.Context(), program, os.Environ(), k, true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestManyJobs(t *testing.T) {
	s := startTest(t, fakeName, map[string]string{})
	if !s.async {
		t.Error("ASYNC was not agreed upon")
	}
	told := make(chan int64, 8)
	err := atOnce(8, 8, func(int) error {
		err := s.do("TRANSFER STORE key file", func(n int64) { told <- n })
		if err == nil || !strings.HasSuffix(err.Error(), "got a b") {
			return fmt.Errorf("transfer: %v", err)
		}
		return nil
	})
	if err != nil || len(told) != 8 {
		t.Errorf("%v, %d told of progress", err, len(told))
	}
	if peak, err := s.peak(); err != nil || peak <= 0 {
		t.Errorf("peak %v MiB, %v", peak, err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if err := s.do("PREPARE", nil); err == nil {
		t.Error("a process that has ended answers")
	}
}

func TestCopying(t *testing.T) {
	dir := t.TempDir()
	source, back := filepath.Join(dir, "source"), filepath.Join(dir, "back")
	if err := writeRandom(source, 100_000, 1); err != nil {
		t.Fatal(err)
	}
	s := startTest(t, copyingName, map[string]string{"directory": filepath.Join(dir, "remote")})
	if s.async {
		t.Error("ASYNC was agreed upon")
	}
	for i, err := range []error{
		s.store("key", source), s.do("CHECKPRESENT key", nil), s.retrieve("key", back, nil), sameFiles(source, back), s.remove("key"), s.remove("key"),
	} {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := s.do("CHECKPRESENT key", nil); err == nil {
		t.Error("present after removal")
	}
	if err := s.retrieve("key", back, nil); err == nil {
		t.Error("got after removal")
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
