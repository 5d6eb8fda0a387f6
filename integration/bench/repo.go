package main

import (
	"fmt"
	"path/filepath"
)

// repo is a repository of the real git-annex.
type repo struct {
	rig *rig
	dir string
}

// newRepo makes one with our remote and the peers, all on local disks.
func (r *rig) newRepo() (*repo, error) {
	p := &repo{r, filepath.Join(r.dir, "repo")}
	if err := mkdir(p.dir); err != nil {
		return nil, err
	}
	if err := r.run(p.dir, "git", "init", "-q"); err != nil {
		return nil, err
	}
	if err := p.annex("init", "-q"); err != nil {
		return nil, err
	}
	layout, err := r.layout("local", 4, 2, 6, r.onDisk(6, "disks"))
	if err != nil {
		return nil, err
	}
	dir := func(name string) string { return filepath.Join(r.dir, "peers", name) }
	for _, args := range [][]string{
		{"raid", "type=external", "externaltype=shardraid", "encryption=none", "layout=" + layout},
		{"copying", "type=external", "externaltype=copying", "encryption=none", "directory=" + dir("copying")},
		{"none", "type=directory", "encryption=none", "directory=" + dir("none")},
		{"shared", "type=directory", "encryption=shared", "directory=" + dir("shared")},
		{"rclone", "type=external", "externaltype=rclone-builtin", "encryption=none", "rcloneremotename=disk", "rcloneprefix=" + dir("rclone"), "rclonelayout=nodir"},
		{"crypt", "type=external", "externaltype=rclone-builtin", "encryption=none", "rcloneremotename=crypt", "rcloneprefix=in", "rclonelayout=nodir"},
	} {
		if err := mkdir(dir(args[0])); err != nil {
			return nil, err
		}
		if err := p.annex(append([]string{"initremote", "-q"}, args...)...); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// diskRig is a rig without links, whose rclone.conf knows local disks plain
// and through crypt.
func (b *bench) diskRig() (*rig, error) {
	r, err := b.newRig(nil, "[disk]", "type = local")
	if err != nil {
		return nil, err
	}
	// A password is written by rclone itself, in its own obscured form.
	if err := r.run(r.dir, "rclone", "config", "create", "--obscure", "crypt", "crypt", "remote="+filepath.Join(r.dir, "peers", "crypt"), "password=bench"); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (p *repo) annex(args ...string) error {
	return p.rig.run(p.dir, "git", append([]string{"annex"}, args...)...)
}

// addFiles makes files of random bytes in a directory and adds them.
func (p *repo) addFiles(name string, files int, size int64, seed uint64) error {
	for i := range files {
		if err := writeRandom(filepath.Join(p.dir, name, fmt.Sprint(i)), size, seed+uint64(i)); err != nil {
			return err
		}
	}
	return p.annex("add", "-q", name)
}

// measure stores the files of a directory on a remote and gets them back, and
// leaves nothing there.
func (p *repo) measure(s sheet, remote, name, prefix string) error {
	memory := p.rig.b.bytes(3 * giB) // a copy of the largest object and its shards
	if err := settle(memory); err != nil {
		return err
	}
	up, err := seconds(func() error { return p.annex("copy", "-q", "-J1", "--to", remote, name) })
	if err != nil {
		return err
	}
	if err := p.annex("drop", "-q", "--force", name); err != nil {
		return err
	}
	if err := settle(memory); err != nil {
		return err
	}
	down, err := seconds(func() error { return p.annex("get", "-q", "-J1", "--from", remote, name) })
	if err != nil {
		return err
	}
	s.add(prefix+remote+" up", up)
	s.add(prefix+remote+" down", down)
	return p.annex("drop", "-q", "--force", "--from", remote, name)
}
