package clone

import (
	"maps"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends"
	"shardraid/object"
)

func TestSpeeds(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := NewDir(path, "uuid")
		want := func(when string, want map[string]object.Speed) {
			t.Helper()
			got := map[string]object.Speed{}
			for id, k := range d.Known() {
				if k.Speed != (object.Speed{}) {
					got[id] = k.Speed
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		keep := func(speeds map[string]object.Speed) {
			d.learn(func(all map[string]Known) {
				for id, is := range speeds {
					k := all[id]
					k.speed(is)
					all[id] = k
				}
			})
		}
		want("at first", nil)
		keep(nil)
		keep(map[string]object.Speed{"a": {Up: 5}, "b": {Up: 3, Down: 4}})
		want("kept", map[string]object.Speed{"a": {Up: 5}, "b": {Up: 3, Down: 4}})
		time.Sleep(20 * time.Hour)
		keep(map[string]object.Speed{"a": {Down: 7}})
		want("one direction more", map[string]object.Speed{"a": {Up: 5, Down: 7}, "b": {Up: 3, Down: 4}})
		time.Sleep(20 * time.Hour)
		want("most is old", map[string]object.Speed{"a": {Down: 7}})
		for _, text := range []string{"", "x", `{"a":1}`, `{"a":{"up":"x"}}`, "null"} {
			if err := os.WriteFile(d.knownPath(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			want(text, nil)
			keep(map[string]object.Speed{"c": {Up: 1, Down: 2}})
			want("after "+text, map[string]object.Speed{"c": {Up: 1, Down: 2}})
		}
	})
}

func TestContact(t *testing.T) {
	day := func(n int) time.Time { return time.Unix(int64(n)*86400, 0) }
	var k Known
	k.contact(backends.Contact{Answered: day(2), Failed: day(1), Failure: "first"})
	k.contact(backends.Contact{Answered: day(1)}) // of a process that began earlier
	k.contact(backends.Contact{Failed: day(3), Failure: "second"})
	if want := (backends.Contact{Answered: day(2), Failed: day(3), Failure: "second"}); k.Contact != want {
		t.Errorf("%+v, want %+v", k.Contact, want)
	}
}

// What two processes add comes together; who has listed a backend knows better.
func TestStored(t *testing.T) {
	d := NewDir(t.TempDir(), "uuid")
	for _, step := range []struct {
		count object.Count
		want  int64 // -1: not known
	}{
		{object.Count{Bytes: 5}, -1},
		{object.Count{All: true, Bytes: 100}, 100},
		{object.Count{Bytes: 20}, 120},
		{object.Count{Bytes: -50}, 70},
		{object.Count{Bytes: -500}, 0},
		{object.Count{All: true}, 0},
	} {
		d.learn(func(all map[string]Known) {
			k := all["a"]
			k.stored(step.count)
			all["a"] = k
		})
		got := int64(-1)
		if k := d.Known()["a"]; k.Stored != nil {
			got = *k.Stored
		}
		if got != step.want {
			t.Errorf("after %+v: %d, want %d", step.count, got, step.want)
		}
	}
}
