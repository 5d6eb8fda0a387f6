// Command bench measures shardraid beside its peers: it starts servers behind
// throttled, delayed and failing links of its own, drives the built programs,
// and prints ratios. The raw figures go to .cache/bench, a plot to
// docs/bench.svg.
//
// Run it in the root of the repository, after make build (or by make bench,
// which needs no thought). At a -scale other than 1 it is a trial, which is
// quick, means nothing, and is kept apart in .cache/bench/trial.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

func main() {
	if filepath.Base(os.Args[0]) == copyingName {
		os.Exit(copying(os.Stdin, os.Stdout))
	}
	b := &bench{}
	run := flag.String("run", "", "only the scenarios whose name matches this regular expression")
	flag.IntVar(&b.runs, "n", 5, "`runs` of each scenario")
	flag.Float64Var(&b.scale, "scale", 1, "`factor` on sizes and counts; other than 1 it is a trial")
	flag.Uint64Var(&b.seed, "seed", 1, "draws the data and which links fail")
	flag.BoolVar(&b.big, "big", false, "memory: an object of 16 GiB as well")
	list := flag.Bool("list", false, "only list the scenarios")
	flag.Parse()
	if *list {
		for _, s := range scenarios {
			fmt.Printf("%-12s %s\n", s.name, s.title)
		}
		return
	}
	only, err := regexp.Compile(*run)
	if err != nil || b.runs < 1 || b.scale <= 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // so that a write fails instead
	b.ctx, b.out = ctx, output{stop}
	if err := b.all(only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// output is the standard output. When nobody reads it any more, the bench ends
// as if it were interrupted, and cleans up.
type output struct{ stop func() }

func (o output) Write(p []byte) (int, error) {
	n, err := os.Stdout.Write(p)
	if err != nil {
		o.stop()
	}
	return n, err
}
