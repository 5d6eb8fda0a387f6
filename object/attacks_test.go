package object

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// Equal contents leave no equal bytes on the backends: not twice in one
// object, not in two, not when one is stored again.
func TestEqualContentsDoNotShow(t *testing.T) {
	const block = 16
	r := newRig(t, 2, 1, 3)
	data := bytes.Repeat([]byte("sixteen bytes!!!"), 20_000)
	r.mustPut("one", data)
	r.mustPut("two", data)
	before := map[string][]byte{}
	for i := range r.mem {
		for name, content := range r.mem[i].Files() {
			before[fmt.Sprint(i, name)] = content
		}
	}
	if err := r.Remove(ctx, "two", r.job()); err != nil {
		t.Fatal(err)
	}
	r.mustPut("two", data)
	for i := range r.mem {
		for name, content := range r.mem[i].Files() {
			before[fmt.Sprint(i, name)] = content
		}
	}
	seen := map[string]string{}
	shards := 0
	for name, content := range before {
		if len(content) < 50_000 { // shards alone: OpenPGP messages begin alike
			continue
		}
		shards++
		for at := 0; at+block <= len(content); at += block {
			b := string(content[at : at+block])
			if other, twice := seen[b]; twice {
				t.Fatalf("%s and %s share %x", name, other, b)
			}
			seen[b] = name
		}
	}
	if shards < 9 {
		t.Fatalf("only %d shards were compared", shards)
	}
}

// Two accounts that have changed places are two silent ones, not two that have
// lost everything.
func TestSwappedAccounts(t *testing.T) {
	r := newRig(t, 2, 2, 6)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	r.mem[0], r.mem[1] = r.mem[1], r.mem[0]
	r.start()
	r.mustCheck(testKey, true)
	r.mustGet(testKey, data)
	puts := r.faulty[0].Count("put") + r.faulty[1].Count("put")
	r.mustPut("other", data) // it lies on the four others
	if got := r.faulty[0].Count("put") + r.faulty[1].Count("put"); got != puts {
		t.Error("something was written to a wrong account")
	}
	r.mem[2], r.mem[3] = r.mem[3], r.mem[2]
	r.start()
	if here, err := r.Check(ctx, testKey, r.job()); here || err == nil {
		t.Errorf("four in wrong places: %v, %v", here, err)
	}
}

// A provider that shows any earlier state of its account, of one object or of
// all, brings nothing back and mixes nothing.
func TestReplayedSnapshots(t *testing.T) {
	for _, size := range []int{100, 5000} {
		r := newRig(t, 2, 1, 4)
		first, second := bytesOf(1, size), bytesOf(2, size)
		var past []map[string][]byte // of backend 1
		step := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			past = append(past, r.mem[1].Files())
		}
		step(r.put(testKey, first))
		step(r.put(testKey, second))
		step(r.Remove(ctx, testKey, r.job()))
		step(r.put("other", first))
		for n, files := range past {
			replayed(t, r, files).mustCheck(testKey, false)
			if _, err := replayed(t, r, files).get(testKey); err == nil {
				t.Errorf("%d bytes, state %d: a removed object came back", size, n)
			}
		}
		step(r.put(testKey, second))
		for _, files := range past {
			replayed(t, r, files).mustGet(testKey, second)
			replayed(t, r, files).mustBeSound(testKey, second)
		}
	}
}

// replayed returns the rig with other files on backend 1.
func replayed(t *testing.T, r *rig, files map[string][]byte) *rig {
	c := r.fork(t)
	c.mem[1] = backendtest.NewMemory()
	for name, data := range files {
		c.mem[1].Set(name, data)
	}
	c.start()
	return c
}

// Names survive stores that fold case, and are short.
func TestNamesAreTame(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	if err := r.Remove(ctx, testKey, r.job()); err != nil {
		t.Fatal(err)
	}
	r.mustPut(testKey, bytesOf(1, 100))
	kinds := map[manifest.Kind]bool{}
	for i := range r.mem {
		for name := range r.mem[i].Files() {
			if len(name) >= 100 || strings.Count(name, "/") > 2 {
				t.Errorf("name %s", name)
			}
			for _, c := range name {
				if (c < 'a' || c > 'z') && (c < '2' || c > '7') && c != '.' && c != '/' {
					t.Errorf("name %s", name)
				}
			}
		}
		for _, kind := range []manifest.Kind{manifest.KindManifest, manifest.KindTombstone} {
			kinds[kind] = kinds[kind] || len(r.stored(i, testKey, kind)) > 0
		}
	}
	if !kinds[manifest.KindManifest] || !kinds[manifest.KindTombstone] {
		t.Errorf("kinds seen: %v", kinds)
	}
}
