package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
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

// tidy: tidy NAME… fails unless the servers have, of each file that list
// names, what explain counts, and nothing else but records: no shard that
// nobody named, none that is torn.
func tidy(ts *testscript.TestScript, _ bool, args []string) {
	type have struct {
		Name   string
		Shards int
		Bytes  int64
	}
	want := map[string]have{}
	ts.Check(ts.Exec("shardraid", "list", "--json"))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var listed struct{ Key string }
		ts.Check(json.Unmarshal([]byte(line), &listed))
		ts.Check(ts.Exec("shardraid", "explain", "--json", listed.Key))
		var explained struct{ Backends []have }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &explained))
		for _, h := range explained.Backends {
			sum := want[h.Name]
			want[h.Name] = have{h.Name, sum.Shards + h.Shards, sum.Bytes + h.Bytes}
		}
	}
	for _, name := range args {
		got, listing := have{Name: name}, listFiles(ts, name)
		for _, f := range listing {
			switch {
			case strings.Contains(f.name, ".s."):
				got.Shards++
				got.Bytes += f.size
			case f.size == 0, !isRecord(f.name):
				ts.Fatalf("%s has %s of %d bytes", name, f.name, f.size)
			}
		}
		if w := want[name]; got.Shards != w.Shards || got.Bytes != w.Bytes {
			ts.Fatalf("%s has %d shards of %d bytes in all, of which %d of %d bytes are known:\n%v", name, got.Shards, got.Bytes, w.Shards, w.Bytes, listing)
		}
	}
}

func isRecord(name string) bool {
	for _, of := range []string{".m.", ".v.", ".t.", ".d.", ".marker", ".layout", ".vault"} {
		if strings.Contains(name, of) {
			return true
		}
	}
	return false
}

type storedFile struct {
	name string
	size int64
}

// listFiles asks a server itself what it has.
func listFiles(ts *testscript.TestScript, name string) (files []storedFile) {
	s := reals(ts)[name]
	if s == nil {
		ts.Fatalf("no server %s", name)
	}
	cmd := exec.Command(tool(ts, "rclone"), "lsf", "-R", "--files-only", "--format", "sp", "--retries", "1", s.root())
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "RCLONE_CONFIG="+ts.Getenv("RCLONE_CONFIG"), "RCLONE_CA_CERT="+ts.Getenv("RCLONE_CA_CERT"))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		ts.Fatalf("rclone lsf %s: %v\n%s", s.root(), err, said.String())
	}
	for line := range strings.Lines(string(out)) {
		size, path, found := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 10, 64)
		if !found || err != nil {
			ts.Fatalf("rclone lsf %s: %s", s.root(), out)
		}
		files = append(files, storedFile{path, n})
	}
	return files
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
	attributes := map[string]int{}
	for _, arg := range args[3:] {
		name, text, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(text)
		ts.Check(err)
		attributes[name] = n
	}
	for port := s.data; port < s.data+s.kind.ports; port++ {
		s.proxy.order(ts, "POST", fmt.Sprintf("/proxies/data%d/toxics", port), map[string]any{"name": args[1] + args[2], "type": args[1], "stream": args[2], "attributes": attributes})
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

// noshards: noshards NAME… fails if a server still has a shard.
func noShards(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		for _, f := range listFiles(ts, name) {
			if strings.Contains(f.name, ".s.") {
				ts.Fatalf("%s still has %s of %d bytes", name, f.name, f.size)
			}
		}
	}
}

// unreadable: unreadable NAME deletes the shards of a server that does not give
// out what its disk has damaged (minio): shardraid takes it for a silent one
// and rebuilds nothing until they are gone. Other kinds it leaves alone.
func unreadable(ts *testscript.TestScript, _ bool, args []string) {
	s := reals(ts)[args[0]]
	if s.server.kind != "minio" {
		return
	}
	cmd := exec.Command(tool(ts, "rclone"), "delete", "--include", "*.s.*", s.root())
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "RCLONE_CONFIG="+ts.Getenv("RCLONE_CONFIG"))
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("rclone delete: %v\n%s", err, out)
	}
}
