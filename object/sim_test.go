package object

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// simRegressions are schedules that once broke something.
var simRegressions = []uint64{
	697,   // 1: the same bytes in an incarnation that readers do not take
	2050,  // 2: stored again while it was read, and called absent
	64147, // a move that was cut off had taken two places for one shard
	57555, // moved to a backend that had lost another shard of it
	14848, // a put that lands late stood in the way of a repair
}

// TestSimulate runs seeds. `make simulate SEEDS=n SEED=first` runs many.
func TestSimulate(t *testing.T) {
	first, n := envNumber("SHARDRAID_SEED", 1), envNumber("SHARDRAID_SEEDS", 60)
	part, parts := simPart(t, n > 1000)
	if parts == 0 {
		return
	}
	dir := simDir(t)
	for _, seed := range simRegressions {
		runSeed(t, seed, dir)
	}
	begin, runs, steps := time.Now(), 0, 0
	for seed := first + part; seed < first+n && !t.Failed(); seed += parts {
		steps += runSeed(t, seed, dir)
		runs++
	}
	t.Logf("%d seeds, %d steps, %v each", runs, steps, time.Since(begin)/time.Duration(max(runs, 1)))
}

func runSeed(t *testing.T, seed uint64, dir string) int {
	w := simulate(t, seed, dir, false)
	if w.violation != "" {
		again := simulate(t, seed, dir, true)
		t.Errorf("seed %d: %s\n%+v\n%s", seed, w.violation, w.plan, strings.Join(again.trace, "\n"))
	}
	return w.step
}

// A seed makes the same run each time.
func TestSimulateReplays(t *testing.T) {
	dir := simDir(t)
	for seed := range envNumber("SHARDRAID_SEEDS", 30) / 10 {
		a, b := simulate(t, seed, dir, false), simulate(t, seed, dir, false)
		if a.hash != b.hash {
			t.Errorf("seed %d runs in two ways: %d and %d steps", seed, a.step, b.step)
		}
	}
}

// simPart says which part of the work is this process's. Where there is much
// of it, processes are started that take a part each, for the randomness of a
// run belongs to its whole process; then none is left for this one: 0 of 0.
func simPart(t *testing.T, much bool) (part, parts uint64) {
	if text := os.Getenv("SHARDRAID_PART"); text != "" {
		if _, err := fmt.Sscanf(text, "%d/%d", &part, &parts); err != nil {
			t.Fatal(err)
		}
		return part, parts
	}
	if !much {
		return 0, 1
	}
	var wg sync.WaitGroup
	n := runtime.NumCPU()
	for i := range n {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "24h")
			cmd.Env = append(os.Environ(), fmt.Sprintf("SHARDRAID_PART=%d/%d", i, n), "GOMAXPROCS=1", "GOGC=400")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
				return
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Log(lines[max(0, len(lines)-3)])
		})
	}
	wg.Wait()
	return 0, 0
}

// simDir is where what is read is written: memory, if there is any.
func simDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "shardraid")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func envNumber(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}
