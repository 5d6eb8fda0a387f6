package object

import (
	"testing"
	"testing/synctest"
)

// What one process has measured the next one knows: its first object goes over
// the fast links and one slow one, as 3+2 shards over four fast links must.
func TestSpeedsOfBefore(t *testing.T) {
	rates := []float64{15, 15, 2, 15, 2, 15, 2}
	synctest.Test(t, func(t *testing.T) {
		before, _ := overLinks(t, 3, 2, rates)
		data := bytesOf(1, 20<<20)
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} { // each link takes some
			before.mustPut(key, data)
			before.mustGet(key, data)
		}
		speeds := before.Speeds()
		for i, b := range before.pool {
			for _, v := range []float64{speeds[b.ID].Up, speeds[b.ID].Down} {
				if v < rates[i]*0.5e6 || v > rates[i]*1.1e6 {
					t.Errorf("link %d of %v MB/s: measured %v", i, rates[i], speeds[b.ID])
				}
			}
		}

		now, links := overLinks(t, 3, 2, rates)
		told := map[string]Speed{}
		for i, b := range now.pool {
			told[b.ID] = speeds[before.pool[i].ID]
		}
		now.Expect(told)
		if got := now.Speeds(); len(got) > 0 {
			t.Errorf("what was told counts as measured: %v", got)
		}
		now.mustPut("a", data)
		slow := 0
		for i, l := range links {
			if rates[i] == 2 && l.got > 1<<20 {
				slow++
			}
		}
		if slow != 1 {
			t.Errorf("%d slow links have got shards, want 1", slow)
		}
	})
}

// What is no speed tells nothing.
func TestExpectNothing(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	for _, v := range []float64{0, -1, 1e300} {
		r.Expect(map[string]Speed{r.pool[0].ID: {Up: v, Down: v}, "other": {Up: 5, Down: 5}})
		if b := r.pool[0]; b.pace.known() || b.upload.known() {
			t.Errorf("%v is believed", v)
		}
	}
}
