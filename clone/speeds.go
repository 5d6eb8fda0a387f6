package clone

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"shardraid/object"
)

// speedsLast is how long a measured speed is believed: providers throttle, and
// lines change.
const speedsLast = 24 * time.Hour

// measured is an entry of the file of speeds, by backend id.
type measured struct {
	object.Speed
	At time.Time `json:"at"`
}

func (s *Dir) speedsPath() string { return filepath.Join(s.path, "speeds") }

func (s *Dir) readSpeeds() map[string]measured {
	var all map[string]measured
	text, err := os.ReadFile(s.speedsPath())
	if err != nil || json.Unmarshal(text, &all) != nil || all == nil {
		return map[string]measured{}
	}
	return all
}

// Speeds returns how fast the backends were of late, as far as that is known.
func (s *Dir) Speeds() map[string]object.Speed {
	speeds := map[string]object.Speed{}
	for id, m := range s.readSpeeds() {
		if age := time.Since(m.At); age >= 0 && age < speedsLast {
			speeds[id] = m.Speed
		}
	}
	return speeds
}

// KeepSpeeds notes them for the next process. It is a convenience: errors cost
// nothing.
func (s *Dir) KeepSpeeds(speeds map[string]object.Speed) {
	if len(speeds) == 0 {
		return
	}
	all := s.readSpeeds()
	for id, m := range all {
		if time.Since(m.At) > speedsLast {
			delete(all, id)
		}
	}
	for id, speed := range speeds {
		if speed.Up == 0 {
			speed.Up = all[id].Up
		}
		if speed.Down == 0 {
			speed.Down = all[id].Down
		}
		all[id] = measured{speed, time.Now()}
	}
	text, err := json.Marshal(all)
	if err == nil && os.MkdirAll(s.path, 0o700) == nil {
		_ = replaceFile(s.speedsPath(), text)
	}
}
