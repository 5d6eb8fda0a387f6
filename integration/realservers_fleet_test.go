package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// fleet: fleet FILE k m [line…] starts a server of each of six kinds and
// writes a layout over them; further arguments are lines at its top level.
// Its backends are called as their kinds; a second one of a kind by a number
// behind. The variables S1 to S6 name them.
func fleet(ts *testscript.TestScript, _ bool, args []string) {
	text := fmt.Sprintf("shardraid: 1\ndata: %s\nparity: %s\n%s\nbackends:\n", args[1], args[2], strings.Join(args[3:], "\n"))
	for i, kind := range fleetKinds() {
		name := kind
		if reals(ts)[name] != nil {
			name += "-2"
		}
		serveAny(ts, false, []string{name, kind})
		ts.Setenv(fmt.Sprint("S", i+1), name)
		text += backendLine(reals(ts)[name])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

func backendLine(s *realServer) string {
	return fmt.Sprintf("  - {name: %s, remote: %q}\n", s.name, s.root())
}

// joins: joins FILE NAME… adds servers to a layout.
func joins(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	for _, name := range args[1:] {
		_, err = f.WriteString(backendLine(reals(ts)[name]))
		ts.Check(err)
	}
	ts.Check(f.Close())
}

// anytwo: anytwo COMMAND… runs a command while two servers are dead, for each
// two of them.
func anyTwo(ts *testscript.TestScript, _ bool, args []string) {
	var all []*realServer
	for _, s := range reals(ts) {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *realServer) int { return strings.Compare(a.name, b.name) })
	for i, first := range all {
		for _, second := range all[i+1:] {
			began := time.Now()
			first.kill()
			second.kill()
			if err := ts.Exec(args[0], args[1:]...); err != nil {
				ts.Fatalf("without %s and %s: %v", first.name, second.name, err)
			}
			took := time.Since(began)
			first.start(ts, thePassword)
			second.start(ts, thePassword)
			ts.Logf("without %s and %s: %.1f s", first.name, second.name, took.Seconds())
		}
	}
}

// flip: flip NAME N changes a byte in the middle of N large shards on the disk of a
// server.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	left, err := strconv.Atoi(args[1])
	ts.Check(err)
	dir := reals(ts)[args[0]].dir
	ts.Check(filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		inside, _ := filepath.Rel(dir, path) // minio keeps a file as a directory
		if err != nil || info.IsDir() || left == 0 || info.Size() < 100000 || !strings.Contains(inside, ".s.") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		left--
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt(data[len(data)/2:len(data)/2+1], int64(len(data)/2))
		return err
	}))
	if left > 0 {
		ts.Fatalf("not so many shards in %s", dir)
	}
}

// grown: grown NAME notes how much is on the disk of a server; grown NAME BYTES
// waits until there is so much more.
func grown(ts *testscript.TestScript, _ bool, args []string) {
	s := reals(ts)[args[0]]
	if len(args) == 1 {
		s.had = onDisk(s.dir)
		return
	}
	more, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	for range 1200 {
		if onDisk(s.dir) >= s.had+more {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("%s does not grow by %d bytes", s.dir, more)
}

func onDisk(dir string) (bytes int64) {
	filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil // what has just gone does not count
	})
	return bytes
}

// toxicAny is toxic, for the data connections of a server as well.
func toxicAny(ts *testscript.TestScript, neg bool, args []string) {
	toxic(ts, neg, args)
	s := reals(ts)[args[0]]
	if s == nil || args[1] == "off" {
		return
	}
	for port := s.data; port < s.data+s.kind.ports; port++ {
		s.proxy.disturb(ts, fmt.Sprint("data", port), args[1:])
	}
}

// twodays: twodays lets two days go by for gc: what it has seen in the
// repository that the script is in, it saw long ago.
func twoDays(ts *testscript.TestScript, _ bool, _ []string) {
	files, err := filepath.Glob(ts.MkAbs(".git/annex/shardraid/*/journal/seen*"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no collection was here")
	}
	for _, file := range files {
		text := regexp.MustCompile(`"first":"[^"]*"`).ReplaceAllString(ts.ReadFile(file), `"first":"2020-01-01T00:00:00Z"`)
		ts.Check(os.WriteFile(file, []byte(text), 0o600))
	}
}
