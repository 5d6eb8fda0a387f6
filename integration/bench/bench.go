package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

const (
	kiB = 1 << 10
	miB = 1 << 20
	giB = 1 << 30
	mB  = 1e6 // links are rated in these
)

// bench is one run of this program.
type bench struct {
	ctx   context.Context
	out   io.Writer
	runs  int
	scale float64
	seed  uint64
	big   bool

	bin, rclone string // our programs, and rclone's
	dir         string // temporary; everything lies in it
	tools       string // a directory of programs, first in PATH
}

// scenario is one thing that is measured.
type scenario struct {
	name, title string
	run         func(*bench, sheet) ([]figure, error)
}

var scenarios = []scenario{
	{"links-0ms", "one object over 6 links of 10 MB/s (4+2) and 8 (4+4), no delay", links(0)},
	{"links-50ms", "the same at a round trip of 50 ms", links(50)},
	{"unequal", "20 objects, 4 at once, over 4 links of 15 MB/s and 3 of 2 MB/s, 3 of 5", unequal},
	{"slow", "store over 6 links, one of them at 0.2 MB/s, write_quorum 5", slow},
	{"stall", "get over 6 links of 10 MB/s while links fail", stall},
	{"local", "one large file, local disks, through git-annex -J1", local},
	{"small-rtt", "objects of 1 KiB at a round trip of 50 ms, 8 at once", smallRTT},
	{"local-small", "small files, local disks, through git-annex -J1", localSmall},
	{"operate", "1000 files of 1 MiB on 8 accounts (4+2), which die, are spoiled, drained and added", operate},
	{"repair-rtt", "repair of small files at a round trip of 50 ms", repairRTT},
	{"limits", "two processes under one limit", limits},
	{"torrents", "files out of torrents from real peers, beside git-annex's own remote", torrents},
	{"memory", "peak memory on local disks; calls per GiB", memoryUse},
}

// all runs the scenarios whose names match and draws the plot.
func (b *bench) all(only *regexp.Regexp) (err error) {
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clean()) }()
	results := filepath.Join(".cache", "bench")
	plot := filepath.Join("docs", "bench.svg")
	if b.scale != 1 {
		results = filepath.Join(results, "trial")
		plot = filepath.Join(results, "bench.svg")
	}
	failed := 0
	for _, s := range scenarios {
		if !only.MatchString(s.name) {
			continue
		}
		if err := b.one(s, results); err != nil {
			fmt.Fprintf(b.out, "%s FAILED: %v\n\n", s.name, err)
			failed++
		}
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
	}
	if err := plotResults(results, plot); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d scenarios failed", failed)
	}
	return nil
}

// one runs one scenario, prints its table and keeps its figures.
func (b *bench) one(s scenario, results string) error {
	res := result{Name: s.name, Title: s.title, Machine: thisMachine(b), Runs: b.runs, Scale: b.scale, Seed: b.seed}
	fmt.Fprintf(b.out, "## %s: %s\n\n%s\n\n", s.name, s.title, res.header())
	sheet := sheet{}
	figures, err := s.run(b, sheet)
	if err != nil {
		return err
	}
	res.Figures, res.Raw = figures, sheet
	printTable(b.out, figures)
	fmt.Fprintln(b.out)
	return res.save(results)
}

// prepare finds the programs and makes the temporary directory.
func (b *bench) prepare() (err error) {
	if b.bin, err = filepath.Abs("bin"); err != nil {
		return err
	}
	if b.rclone, err = filepath.Abs(filepath.Join(".cache", "bin", "rclone")); err != nil {
		return err
	}
	for _, need := range []string{filepath.Join(b.bin, "git-annex-remote-shardraid"), b.rclone, "git-annex", "gpg", "aria2c", "mktorrent"} {
		if _, err := exec.LookPath(need); err != nil {
			return fmt.Errorf("run make deps and make bench: %w", err)
		}
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.tools = filepath.Join(b.dir, "tools")
	err = os.Mkdir(b.tools, 0o755)
	for name, program := range map[string]string{copyingName: self, "rclone": b.rclone, builtinName: b.rclone} {
		err = errors.Join(err, os.Symlink(program, filepath.Join(b.tools, name)))
	}
	return err
}

// clean removes everything temporary.
func (b *bench) clean() error { return removeAll(b.dir) }

// bytes is a size at this scale.
func (b *bench) bytes(size int64) int64 { return max(1, int64(float64(size)*b.scale)) }

// count is a number of things at this scale, and not fewer than least.
func (b *bench) count(n, least int) int { return max(least, int(math.Round(float64(n)*b.scale))) }

// draws are the choices that a run of a scenario makes by chance.
func (b *bench) draws(run int) *rand.Rand { return rand.New(rand.NewPCG(b.seed, uint64(run))) }
