package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// holding is what explain says that a backend has of a file.
type holding struct {
	Name, Error string
	Shards      int
	Bytes       int64
}

// explained returns what the backends should have of all files together.
func explained(ts *testscript.TestScript) map[string]holding {
	want := map[string]holding{}
	ts.Check(ts.Exec("shardraid", "list", "--json"))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var listed struct{ Key string }
		ts.Check(json.Unmarshal([]byte(line), &listed))
		for _, h := range explain(ts, listed.Key) {
			sum := want[h.Name]
			want[h.Name] = holding{h.Name, h.Error, sum.Shards + h.Shards, sum.Bytes + h.Bytes}
		}
	}
	return want
}

// explain asks again for a while where a living server was late: explain waits
// for none that is slower than the others.
func explain(ts *testscript.TestScript, key string) []holding {
	var explained struct{ Backends []holding }
	for range 10 {
		explained.Backends = nil
		ts.Check(ts.Exec("shardraid", "explain", "--json", key))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &explained))
		if !slices.ContainsFunc(explained.Backends, func(h holding) bool {
			s := reals(ts)[h.Name]
			return h.Error != "" && s != nil && s.cmd != nil
		}) {
			break
		}
	}
	return explained.Backends
}

// tidy: tidy NAME… fails unless the servers have, of each file that list
// names, what explain counts, and nothing else but records: no shard that
// nobody named, none that is torn.
func tidy(ts *testscript.TestScript, _ bool, args []string) {
	want := explained(ts)
	for _, name := range args {
		got, listing := holding{Name: name}, listFiles(ts, name)
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
