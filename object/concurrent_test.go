package object

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"shardraid/backends/backendtest"
)

func TestConcurrentKeys(t *testing.T) {
	r := newRig(t, 4, 2, 7)
	r.config.Journal, r.config.Memory = JournalDir(t.TempDir()), 2<<20
	r.start()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			key, data := fmt.Sprint("key", n), bytesOf(byte(n), n*300_000)
			if err := r.put(key, data); err != nil {
				t.Errorf("put: %v", err)
			}
			r.mustGet(key, data)
			r.mustCheck(key, true)
			r.mustRemove(key)
			r.mustCheck(key, false)
		})
	}
	wg.Wait()
}

// Several clones store the same key at once: all succeed, and one content is
// there in the end.
func TestConcurrentClones(t *testing.T) {
	r := newRig(t, 2, 1, 4)
	var contents [][]byte
	var wg sync.WaitGroup
	for n := range 4 {
		data := bytesOf(byte(n), 5000)
		contents = append(contents, data)
		clone, err := New(r.config)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := clone.Put(ctx, testKey, bytes.NewReader(data), int64(len(data)), nil); err != nil {
				t.Logf("put: %v", err) // an honest failure is allowed
			}
		})
	}
	wg.Wait()
	if here, err, getErr := r.mustBeSound(testKey, contents...); !here {
		t.Errorf("check: %v, get: %v", err, getErr)
	}
}

// Nothing runs on after a request has ended, however it ended.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	data := bytesOf(1, 1<<20)
	for n := 1; n < 120; n += 5 {
		r := newRig(t, 4, 2, 6)
		r.faulty[1].Down(errDown)
		ctx, cancel := context.WithCancel(ctx)
		r.gate.killAt(n, true, cancel)
		_ = putBytes(data)(ctx, r)
		r.faulty[0].Add(backendtest.Fault{Op: "get", Do: backendtest.Hang()}) // a look for a put waits for all
		_ = r.Get(ctx, testKey, t.TempDir()+"/f", nil)
		_, _ = r.Check(ctx, testKey, nil)
		cancel()
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

// The memory of all buffers is given back, whatever happened.
func TestBudgetIsGivenBack(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.config.Memory = 1 << 20
	r.start()
	data := bytesOf(1, 20*128<<10)
	for n := range 40 {
		ctx, cancel := context.WithCancel(ctx)
		r.gate.killAt(n*5+1, n%2 == 0, cancel)
		_ = putBytes(data)(ctx, r)
		_ = r.Get(ctx, testKey, t.TempDir()+"/f", nil)
		cancel()
	}
	r.gate.reset()
	if !r.budget.sem.TryAcquire(r.budget.limit) {
		t.Error("some of the memory is still taken")
	} else {
		r.budget.sem.Release(r.budget.limit)
	}
	r.mustPut(testKey, data)
	r.mustGet(testKey, data)
}
