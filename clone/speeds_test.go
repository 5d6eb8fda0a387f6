package clone

import (
	"maps"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"shardraid/object"
)

func TestSpeeds(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := NewDir(path, "uuid")
		want := func(when string, want map[string]object.Speed) {
			t.Helper()
			if got := d.Speeds(); !maps.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		want("at first", nil)
		d.KeepSpeeds(nil)
		d.KeepSpeeds(map[string]object.Speed{"a": {Up: 5}, "b": {Up: 3, Down: 4}})
		want("kept", map[string]object.Speed{"a": {Up: 5}, "b": {Up: 3, Down: 4}})
		time.Sleep(20 * time.Hour)
		d.KeepSpeeds(map[string]object.Speed{"a": {Down: 7}})
		want("one direction more", map[string]object.Speed{"a": {Up: 5, Down: 7}, "b": {Up: 3, Down: 4}})
		time.Sleep(20 * time.Hour)
		want("most is old", map[string]object.Speed{"a": {Down: 7}})
		for _, text := range []string{"", "x", `{"a":1}`, `{"a":{"up":"x"}}`, "null"} {
			if err := os.WriteFile(d.speedsPath(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			want(text, nil)
			d.KeepSpeeds(map[string]object.Speed{"c": {Up: 1, Down: 2}})
			want("after "+text, map[string]object.Speed{"c": {Up: 1, Down: 2}})
		}
	})
}
