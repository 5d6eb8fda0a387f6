package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// result is what a scenario came to, as it is kept.
type result struct {
	Name, Title string
	Machine     machine
	Runs        int
	Scale       float64
	Seed        uint64
	Figures     []figure
	Raw         sheet
}

func (r result) header() string {
	m := r.Machine
	text := fmt.Sprintf("%s, %d cores, load %s, %s; shardraid %s, git-annex %s, rclone %s, %s; median and min..max of %d runs, seed %d",
		m.CPU, m.Cores, m.Load, m.Date, m.Program, m.GitAnnex, m.Rclone, m.Go, r.Runs, r.Seed)
	if r.Scale != 1 {
		text += fmt.Sprintf("; A TRIAL at scale %g", r.Scale)
	}
	return text
}

// save keeps the result in a file of its own.
func (r result) save(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".json"), append(text, '\n'), 0o644)
}

// loadResults reads what was kept, in the order of the scenarios.
func loadResults(dir string) ([]result, error) {
	var all []result
	for _, s := range scenarios {
		text, err := os.ReadFile(filepath.Join(dir, s.name+".json"))
		if os.IsNotExist(err) {
			continue
		}
		var r result
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("read results of %s: %w", s.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}
