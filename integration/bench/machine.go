package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where figures were measured, and with what.
type machine struct {
	CPU      string
	Cores    int
	Load     string // average of the last minute, when the scenario began
	Date     string
	Go       string
	GitAnnex string
	Rclone   string
	Program  string
}

func thisMachine(b *bench) machine {
	m := machine{CPU: "unknown", Cores: runtime.NumCPU(), Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version()}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	m.GitAnnex = lastWord("git-annex", "version", "--raw")
	m.Rclone = lastWord(b.rclone, "version")
	m.Program = lastWord(b.bin+"/shardraid", "version")
	return m
}

// lastWord is the last word of the first line that a program prints.
func lastWord(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	first, _, _ := strings.Cut(string(out), "\n")
	if words := strings.Fields(first); err == nil && len(words) > 0 {
		return words[len(words)-1]
	}
	return "unknown"
}
