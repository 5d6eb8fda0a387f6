// Command mutants takes each security check out of the program, one at a time,
// and makes sure that a test fails without it.
//
// The checks are listed in mutants.txt; the tree itself is not touched. With
// -check it only makes sure that the list fits the code.
package main

import (
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

//go:embed mutants.txt
var list string

// mutant is one check taken out.
type mutant struct {
	name, file string
	tests      string // package and pattern
	old, new   string
}

func main() {
	check := flag.Bool("check", false, "only make sure that each check is in the code, once")
	only := flag.String("only", "", "try those whose name contains this")
	flag.Parse()
	mutants, err := parse(list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if *check {
		fmt.Printf("%d security checks are listed and in the code\n", len(mutants))
		return
	}
	os.Exit(tryAll(mutants, *only))
}

// parse reads blocks: "== name", "file: …", "tests: …", the code with the
// check, "---", the code without.
func parse(text string) (mutants []mutant, err error) {
	for _, block := range strings.Split("\n"+text, "\n== ")[1:] {
		name, rest, ok1 := strings.Cut(block, "\nfile: ")
		file, rest, ok2 := strings.Cut(rest, "\ntests: ")
		tests, code, ok3 := strings.Cut(rest, "\n")
		old, new, ok4 := strings.Cut(code, "\n---\n")
		if !ok1 || !ok2 || !ok3 || !ok4 {
			return nil, fmt.Errorf("%.40q: not a whole block", block)
		}
		m := mutant{name, file, tests, strings.Trim(old, "\n"), strings.Trim(new, "\n")}
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if n := strings.Count(string(source), m.old); n != 1 {
			return nil, fmt.Errorf("%s: the check is %d times in %s", name, n, file)
		}
		mutants = append(mutants, m)
	}
	return mutants, nil
}

// tryAll tries every mutant, two at once, and returns the exit code.
func tryAll(mutants []mutant, only string) (code int) {
	work := make(chan mutant)
	var mu sync.Mutex
	var wg sync.WaitGroup
	tried, found := 0, 0
	for range 2 {
		wg.Go(func() {
			for m := range work {
				verdict, ok := m.try()
				mu.Lock()
				tried++
				if ok {
					found++
				}
				fmt.Printf("%-9s %s\n", verdict, m.name)
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		if strings.Contains(m.name, only) {
			work <- m
		}
	}
	close(work)
	wg.Wait()
	fmt.Printf("%d of %d checks are missed by a test when they are gone\n", found, tried)
	if found < tried || tried == 0 {
		return 1
	}
	return 0
}

// try runs the tests over the code without the check. They must be built, run,
// and fail.
func (m mutant) try() (verdict string, ok bool) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return err.Error(), false
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir)
	if err != nil {
		return err.Error(), false
	}
	pkg, pattern, _ := strings.Cut(m.tests, " ")
	out, err := exec.Command("go", "test", "-overlay", overlay, "-count", "1", "-timeout", "10m", pkg, "-run", pattern).CombinedOutput()
	switch {
	case err == nil:
		return "ALIVE", false
	case strings.Contains(string(out), "[build failed]"):
		return "NO BUILD", false
	case !failed.Match(out):
		return "NO TEST", false
	}
	return "found", true
}

// failed tells a test that failed from one that could not run.
var failed = regexp.MustCompile(`(?m)^\s*--- FAIL|^panic: |^fatal error: `)

// overlay writes the changed file, and how go finds it.
func (m mutant) overlay(dir string) (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o644); err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, text, 0o644)
}
