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
	UpAt   time.Time `json:"up_at"`
	DownAt time.Time `json:"down_at"`
}

// fresh returns an entry without what was measured too long ago.
func (m measured) fresh() measured {
	if age := time.Since(m.UpAt); age < 0 || age > speedsLast {
		m.Up, m.UpAt = 0, time.Time{}
	}
	if age := time.Since(m.DownAt); age < 0 || age > speedsLast {
		m.Down, m.DownAt = 0, time.Time{}
	}
	return m
}

func (s *Dir) speedsPath() string { return filepath.Join(s.path, "speeds") }

func (s *Dir) readSpeeds() map[string]measured {
	var all map[string]measured
	text, err := os.ReadFile(s.speedsPath())
	if err != nil || json.Unmarshal(text, &all) != nil || all == nil {
		return map[string]measured{}
	}
	for id, m := range all {
		if all[id] = m.fresh(); all[id].Speed == (object.Speed{}) {
			delete(all, id)
		}
	}
	return all
}

// Speeds returns how fast the backends were of late, as far as that is known.
func (s *Dir) Speeds() map[string]object.Speed {
	speeds := map[string]object.Speed{}
	for id, m := range s.readSpeeds() {
		speeds[id] = m.Speed
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
	for id, is := range speeds {
		m := all[id]
		if is.Up > 0 {
			m.Up, m.UpAt = is.Up, time.Now()
		}
		if is.Down > 0 {
			m.Down, m.DownAt = is.Down, time.Now()
		}
		all[id] = m
	}
	text, err := json.Marshal(all)
	if err == nil && os.MkdirAll(s.path, 0o700) == nil {
		_ = replaceFile(s.speedsPath(), text)
	}
}
