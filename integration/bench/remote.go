package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const builtinName = "git-annex-remote-rclone-builtin" // rclone gitannex, by the name git-annex calls it

// remote is a special remote that is driven without git-annex.
type remote struct {
	rig     *rig
	program string
	memory  *memory
}

// newRemote sets a remote up.
func (r *rig) newRemote(name, program string, config map[string]string) (*remote, error) {
	gitDir := filepath.Join(r.dir, name, ".git")
	if err := os.MkdirAll(gitDir, 0o755); err != nil {
		return nil, err
	}
	m := &remote{r, program, &memory{uuid: "00000000-0000-4000-8000-000000000001", gitDir: gitDir, config: config, creds: map[string]string{}, state: map[string]string{}}}
	s, err := start(r.b.ctx, program, r.env, m.memory, true)
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", name, err)
	}
	return m, s.close()
}

// raid sets our remote up over places of rclone, k of k+m.
func (r *rig) raid(name string, k, m, quorum int, places []string) (*remote, error) {
	layout, err := r.layout(name, k, m, quorum, places)
	if err != nil {
		return nil, err
	}
	return r.newRemote(name, filepath.Join(r.b.bin, "git-annex-remote-shardraid"), map[string]string{"layout": layout})
}

// builtin sets rclone gitannex up on a section of rclone.conf.
func (r *rig) builtin(name, section, prefix string) (*remote, error) {
	return r.newRemote(name, filepath.Join(r.b.tools, builtinName), map[string]string{"rcloneremotename": section, "rcloneprefix": prefix, "rclonelayout": "nodir"})
}

// open starts a process of the remote.
func (m *remote) open() (*session, error) {
	return start(m.rig.b.ctx, m.program, m.rig.env, m.memory, false)
}

// with does something in a process of its own.
func (m *remote) with(f func(*session) error) error {
	s, err := m.open()
	if err != nil {
		return err
	}
	if err := f(s); err != nil {
		s.close()
		return err
	}
	return s.close()
}

// layout writes a layout over places.
func (r *rig) layout(name string, k, m, quorum int, places []string) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "shardraid: 1\ndata: %d\nparity: %d\nwrite_quorum: %d\nbackends:\n", k, m, quorum)
	for i, place := range places {
		fmt.Fprintf(&text, "  - {name: b%d, remote: %q}\n", i+1, place)
	}
	path := filepath.Join(r.dir, name+".yaml")
	return path, os.WriteFile(path, []byte(text.String()), 0o644)
}

// onLinks are places on the first n links.
func (r *rig) onLinks(n int, dir string) []string {
	var places []string
	for _, l := range r.links[:n] {
		places = append(places, l.name+":"+dir)
	}
	return places
}

// onDisk are n local directories.
func (r *rig) onDisk(n int, dir string) []string {
	var places []string
	for i := range n {
		places = append(places, filepath.Join(r.dir, dir, fmt.Sprint(i+1)))
	}
	return places
}
