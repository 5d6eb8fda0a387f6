package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// estate is a repository whose accounts come and go.
type estate struct {
	rig    *rig
	sheet  sheet
	dir    string
	files  int
	states map[int]string // by account, from 1; those without one are not in the layout
}

// operate lives through an account that is deleted, one that is corrupted, one
// that is drained and one that joins, and counts the bytes that the servers
// send and take for it.
func operate(b *bench, s sheet) ([]figure, error) {
	for run := range b.runs {
		if err := operateOnce(b, s, run); err != nil {
			return nil, err
		}
	}
	const ideal = "the least that must be moved"
	figures := []figure{
		s.ours("one of 8 accounts deleted: repair --lost, shards", "MiB", "deleted").over(ideal, s["deleted ideal"]).atMost(1.05),
		s.ours("one corrupted: repair --deep, shards", "MiB", "corrupted").over("reading all, and the repair", s["corrupted ideal"]),
		s.ours("one drained: rebalance, shards", "MiB", "drained").over(ideal, s["drained ideal"]).atMost(1.05).note("where a backend has no hashes the copies are read back before the old ones go, and it is half as much again"),
		s.ours("scrub --hashes: bytes of shards", "MiB", "hashes"),
		s.ours("one added: rebalance, shards moved", "MiB", "joined moved").over(ideal, s["joined ideal"]).atMost(1.2),
	}
	for _, step := range []string{"hashes", "deleted", "corrupted", "drained"} {
		figures = append(figures, s.ours("with markers and records, "+step, "MiB", step+" all"))
	}
	for _, step := range []string{"hashes", "deleted", "corrupted", "drained", "joined"} {
		figures = append(figures, s.ours("time, "+step, "s", step+" time"))
	}
	return figures, nil
}

func operateOnce(b *bench, s sheet, run int) error {
	r, err := b.newRig(equal(9, speed{hashes: true}))
	if err != nil {
		return err
	}
	defer r.close()
	e := &estate{rig: r, sheet: s, dir: filepath.Join(r.dir, "repo"), files: b.count(1000, 10), states: map[int]string{}}
	for i := 1; i <= 8; i++ {
		e.states[i] = "active"
	}
	if err := e.settle(b, run, miB); err != nil {
		return err
	}
	for _, step := range []func() error{e.hashes, e.deleted, e.corrupted, e.drained, e.joined} {
		if err := step(); err != nil {
			return err
		}
	}
	return e.mustBeWhole()
}

// settle stores files on the accounts.
func (e *estate) settle(b *bench, run int, size int64) error {
	layout, err := e.layout()
	if err != nil {
		return err
	}
	p := &repo{e.rig, e.dir}
	if err := mkdir(p.dir); err != nil {
		return err
	}
	if err := e.rig.run(p.dir, "git", "init", "-q"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"initremote", "-q", "raid", "type=external", "externaltype=shardraid", "encryption=none", "layout=" + layout},
	} {
		if err := p.annex(args...); err != nil {
			return err
		}
	}
	if err := p.addFiles("files", e.files, size, b.seed+uint64(run)<<20); err != nil {
		return err
	}
	return p.annex("copy", "-q", "-J4", "--to", "raid", "files")
}

func (e *estate) layout() (string, error) {
	text := "shardraid: 1\ndata: 4\nparity: 2\nbackends:\n"
	for i, l := range e.rig.links {
		if state := e.states[i+1]; state != "" {
			text += fmt.Sprintf("  - {name: b%d, remote: %q, state: %s}\n", i+1, l.name+":raid", state)
		}
	}
	file := filepath.Join(e.rig.dir, "layout.yaml")
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// apply gives an account another state.
func (e *estate) apply(account int, state string) error {
	e.states[account] = state
	layout, err := e.layout()
	if err != nil {
		return err
	}
	_, err = e.shardraid("layout", "apply", layout)
	return err
}

// shardraid runs the command line and returns what it prints.
func (e *estate) shardraid(args ...string) (string, error) {
	cmd := exec.CommandContext(e.rig.b.ctx, filepath.Join(e.rig.b.bin, "shardraid"), args...)
	cmd.Dir, cmd.Env = e.dir, e.rig.env
	gently(cmd)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("shardraid %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(out), err
}

// measure runs a command and counts the bytes of shards, and of all files, that
// the servers have sent and taken meanwhile.
func (e *estate) measure(name string, args ...string) error {
	before := e.rig.calls()
	took, err := seconds(func() error { _, err := e.shardraid(args...); return err })
	after := e.rig.calls()
	e.sheet.add(name, mib(after["GET"].Shards-before["GET"].Shards+after["PUT"].Shards-before["PUT"].Shards))
	e.sheet.add(name+" all", mib(after["GET"].Down-before["GET"].Down+after["PUT"].Up-before["PUT"].Up))
	e.sheet.add(name+" time", took)
	return err
}

func mib(bytes int64) float64 { return float64(bytes) / miB }

// shards calls f with each shard on an account, and returns their bytes.
func (e *estate) shards(account int, f func(path string) error) (bytes int64, err error) {
	err = filepath.WalkDir(filepath.Join(e.rig.links[account-1].dir, "raid"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.Contains(d.Name(), ".s.") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		bytes += info.Size()
		return f(path)
	})
	return bytes, err
}

func none(string) error { return nil }

// hashes: everything is compared by hash.
func (e *estate) hashes() error { return e.measure("hashes", "scrub", "--hashes") }

// deleted: everything of account 1 goes.
func (e *estate) deleted() error {
	bytes, err := e.shards(1, none)
	if err != nil {
		return err
	}
	e.rig.links[0].kill()
	if err := e.wantStatus("one is deleted", func(s *statusJSON) bool { return s.Backends[0].Error != "" && s.Lost+s.NotNow == 0 }); err != nil {
		return err
	}
	if err := e.measure("deleted", "repair", "--lost", "b1"); err != nil {
		return err
	}
	e.sheet.add("deleted ideal", mib(5*bytes))
	return e.apply(1, "off")
}

// corrupted: every shard of account 2 is another one.
func (e *estate) corrupted() error {
	all := int64(0)
	for i := 2; i <= 8; i++ {
		bytes, err := e.shards(i, none)
		if err != nil {
			return err
		}
		all += bytes
	}
	bytes, err := e.shards(2, flip)
	if err != nil {
		return err
	}
	if err := e.measure("corrupted", "repair", "--deep"); err != nil {
		return err
	}
	e.sheet.add("corrupted ideal", mib(all+5*bytes))
	return e.wantStatus("repaired", (*statusJSON).whole)
}

// flip changes a byte of a file.
func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o644)
}

// drained: account 3 is emptied.
func (e *estate) drained() error {
	bytes, err := e.shards(3, none)
	if err != nil {
		return err
	}
	if err := e.apply(3, "drain"); err != nil {
		return err
	}
	if err := e.measure("drained", "rebalance"); err != nil {
		return err
	}
	e.sheet.add("drained ideal", mib(2*bytes))
	if left, err := e.shards(3, none); err != nil || left > 0 {
		return errors.Join(err, fmt.Errorf("%d bytes of shards are left on a drained account", left))
	}
	return e.wantStatus("drained", (*statusJSON).whole)
}

// joined: account 9 is new.
func (e *estate) joined() error {
	if err := e.apply(9, "active"); err != nil {
		return err
	}
	out, err := e.shardraid("rebalance", "--dry-run", "--json")
	if err != nil {
		return err
	}
	ideal := int64(0)
	for line := range strings.Lines(out) {
		var s struct {
			Name  string
			Share int64
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			return err
		}
		if s.Name == "b9" {
			ideal = s.Share
		}
	}
	before, err := e.shards(9, none)
	if err != nil {
		return err
	}
	moved := int64(0)
	out, err = e.timedRebalance("joined")
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		var m struct{ Bytes int64 }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return err
		}
		moved += m.Bytes
	}
	e.sheet.add("joined ideal", mib(ideal-before))
	e.sheet.add("joined moved", mib(moved))
	return nil
}

func (e *estate) timedRebalance(name string) (out string, err error) {
	took, err := seconds(func() (err error) { out, err = e.shardraid("rebalance", "--json"); return err })
	e.sheet.add(name+" time", took)
	return out, err
}

// statusJSON is what shardraid status --json says, as far as it is looked at.
type statusJSON struct {
	Objects, Whole, Lost int
	NotNow               int `json:"not_now"`
	Backends             []struct{ Error string }
}

func (s *statusJSON) whole() bool { return s.Whole == s.Objects }

// wantStatus wants all files to be listed, and what ok says.
func (e *estate) wantStatus(when string, ok func(*statusJSON) bool) error {
	out, _ := e.shardraid("status", "--json") // it fails while an account does not answer
	var s statusJSON
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return err
	}
	if s.Objects != e.files || !ok(&s) {
		return fmt.Errorf("status, %s: %s", when, out)
	}
	return nil
}

// mustBeWhole wants every shard of every file, and no file that is of none.
func (e *estate) mustBeWhole() error {
	if _, err := e.shardraid("scrub", "--deep"); err != nil {
		return err
	}
	out, err := e.shardraid("gc", "--lost", "b1", "--dry-run", "--json")
	if err == nil && !strings.Contains(out, `"files":0`) {
		err = fmt.Errorf("something is left over: %s", out)
	}
	return err
}
