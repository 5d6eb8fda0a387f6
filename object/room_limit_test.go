package object

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"shardraid/backends"
)

// A backend takes shards up to its limit as it was counted, then others do.
func TestStorageLimit(t *testing.T) {
	r := newRig(t, 2, 1, 5)
	for i := range r.config.Layout.Backends {
		r.config.Layout.Backends[i].Limits.Storage = 1 << 20 // each gets the same part
	}
	r.start()
	id := r.config.Layout.Backends[0].ID
	has := func() (n int64) {
		for name, content := range r.mem[0].Files() {
			if strings.Contains(name, ".s.") {
				n += int64(len(content))
			}
		}
		return n
	}
	put := func(from, to int) {
		for n := from; n < to; n++ {
			r.mustPut("key"+string(rune('a'+n)), bytesOf(byte(n), 300<<10))
		}
	}
	put(0, 3)
	if c := r.Counts()[id]; c.All || c.Bytes < has() {
		t.Errorf("it has %d bytes of shards and was counted as %+v", has(), c)
	}
	// Nobody has counted: it takes what it gets. Then it is all but full.
	r.ExpectStored(map[string]int64{id: 1<<20 - 1<<16 - 400<<10})
	before := has()
	put(3, 20)
	if now := has(); now > before+400<<10 || now == before {
		t.Errorf("it took %d bytes of shards where 400 KiB were left", now-before)
	}
	if err := r.pool[0].noRoom(200 << 10); !errors.Is(err, backends.ErrFull) || !strings.Contains(err.Error(), "limits.storage") {
		t.Errorf("no room: %v", err)
	}
	// A status counts anew, and what is removed makes room.
	st, err := r.Status(ctx, r.job())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(st.Backends, func(b BackendStatus) bool { return b.ID == id })
	if b := st.Backends[at]; b.Free != 1<<20-b.Used || b.Used < has() {
		t.Errorf("%+v", b)
	}
	if c := r.Counts()[id]; !c.All || c.Bytes != st.Backends[at].Used {
		t.Errorf("counted as %+v, and has %d", c, st.Backends[at].Used)
	}
	for n := range 20 {
		r.mustRemove("key" + string(rune('a'+n)))
	}
	if c := r.Counts()[id]; c.All || -c.Bytes < before {
		t.Errorf("after removing everything: %+v", c)
	}
}

// Stores at once reserve what they will put: together they keep to the limit.
func TestStorageLimitOfManyStores(t *testing.T) {
	r := newRig(t, 2, 1, 5)
	for i := range r.config.Layout.Backends {
		r.config.Layout.Backends[i].Limits.Storage = 1 << 20
	}
	r.start()
	r.patient()
	r.ExpectStored(map[string]int64{r.config.Layout.Backends[0].ID: 1<<20 - 1<<16 - 200<<10}) // 200 KiB are left
	var stores sync.WaitGroup
	for n := range 8 {
		stores.Go(func() { r.mustPut(fmt.Sprint("key", n), bytesOf(byte(n), 300<<10)) })
	}
	stores.Wait()
	var has int64
	for name, content := range r.mem[0].Files() {
		if strings.Contains(name, ".s.") {
			has += int64(len(content))
		}
	}
	if has > 200<<10 {
		t.Errorf("it took %d KiB where 200 were left", has>>10)
	}
	for _, b := range r.pool {
		if b.room.reserved != 0 {
			t.Errorf("%d bytes are still reserved on %s", b.room.reserved, b.Name)
		}
	}
}
