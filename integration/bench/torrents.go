package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// manySize is the size of each file of the torrent of many: no whole number of pieces, so that files
// share some.
const manySize = 1000_000

// torrents gets files out of torrents by our remote and by git-annex's own.
func torrents(b *bench, s sheet) ([]figure, error) {
	files, size := b.count(50, 4), b.bytes(256*miB)
	for run := range b.runs {
		if err := torrentsOnce(b, s, run, files, size); err != nil {
			return nil, err
		}
	}
	const builtin = "git-annex's own"
	figures := []figure{
		s.ours(fmt.Sprintf("get of %.0f MiB from two peers of 5 MB/s each", mib(size)), "MB/s", "torrent big rate").atLeast(9),
		s.peers("the same, "+builtin, "MB/s", "bittorrent big rate"),
		s.ours("bytes sent by the peers, to those of the file", "", "torrent big -J1 sent"),
		s.peers("the same, "+builtin, "", "bittorrent big -J1 sent"),
	}
	for _, jobs := range []string{"-J1", "-J8"} {
		figures = append(figures,
			s.ours(fmt.Sprintf("get %s of %d files of a torrent, 1 MB each", jobs, files), "s", "torrent many "+jobs+" time").under(builtin, s["bittorrent many "+jobs+" time"]),
			s.ours("files that came", "", "torrent many "+jobs+" files"),
			s.peers("the same, "+builtin, "", "bittorrent many "+jobs+" files"),
			s.ours("bytes sent by the peer, to those of the files", "", "torrent many "+jobs+" sent"),
			s.peers("the same, "+builtin, "", "bittorrent many "+jobs+" sent"))
	}
	return figures, nil
}

func torrentsOnce(b *bench, s sheet, run, files int, size int64) (err error) {
	r, err := b.newRig(nil)
	if err != nil {
		return err
	}
	defer r.close()
	f, err := r.newFlock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	p := &leecher{repo: repo{r, filepath.Join(r.dir, "repo")}, flock: f, sheet: s}
	if err := p.init(); err != nil {
		return err
	}
	seed := b.seed + uint64(run)<<20
	if err := p.share("big", 1, size, seed, 5*mB, 5*mB); err != nil {
		return err
	}
	if err := p.share("many", files, manySize, seed+1, 0); err != nil {
		return err
	}
	for _, remote := range []string{"torrent", "bittorrent"} {
		if err := p.measure(remote, "big", "-J1", size); err != nil {
			return err
		}
		s.add(remote+" big rate", float64(size)/mB/s[remote+" big -J1 time"][run])
		for _, jobs := range []string{"-J1", "-J8"} {
			if err := p.measure(remote, "many", jobs, int64(files)*manySize); err != nil {
				return err
			}
		}
	}
	return nil
}

// builtinUUID is that of git-annex's own remote for torrents, in every repository.
const builtinUUID = "00000000-0000-0000-0000-000000000002"

// leecher is a repository that gets from a flock.
type leecher struct {
	repo
	uuid  string // of our remote
	flock *flock
	sheet sheet
}

// init makes the repository. No program that it starts may speak with the world.
func (p *leecher) init() error {
	if err := mkdir(p.dir); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"annex", "init", "-q"},
		{"annex", "initremote", "-q", "torrent", "type=external", "externaltype=torrent", "encryption=none", "listen=127.0.0.1:0", "dht=no"},
		{"config", "annex.security.allowed-ip-addresses", "all"}, // the built-in remote
		{"config", "annex.aria-torrent-options", strings.Join(loopbackAlone, " ")},
	} {
		if err := p.rig.run(p.dir, "git", args...); err != nil {
			return err
		}
	}
	uuid, err := exec.Command("git", "-C", p.dir, "config", "remote.torrent.annex-uuid").Output()
	p.uuid = strings.TrimSpace(string(uuid))
	return err
}

// share makes files, has them seeded over links of such speeds, and lets the repository know of their
// content and where it is, without having it.
func (p *leecher) share(name string, files int, size int64, seed uint64, speeds ...float64) error {
	dir := filepath.Join(p.dir, name)
	if err := p.addFiles(name, files, size, seed); err != nil {
		return err
	}
	if err := p.rig.run(p.dir, "cp", "-rL", dir, p.flock.dir); err != nil {
		return err
	}
	t, err := p.flock.seed(name, speeds...)
	if err != nil {
		return err
	}
	for i, file := range t.files {
		content, err := os.Readlink(filepath.Join(p.dir, file))
		if err != nil {
			return err
		}
		key := filepath.Base(content)
		for uuid, link := range map[string]string{
			p.uuid:      fmt.Sprintf("torrent:magnet:?xt=urn:btih:%s&so=%d&xs=%s", t.hash, i, t.url),
			builtinUUID: fmt.Sprintf("%s#%d", t.url, i+1),
		} {
			if err := errors.Join(p.annex("registerurl", key, link), p.annex("setpresentkey", key, uuid, "1")); err != nil {
				return err
			}
		}
	}
	return p.annex("drop", "-q", "--force", name)
}

// measure gets all files of a directory and drops them again. A get of many by the built-in remote that
// fails has its time and what came.
func (p *leecher) measure(remote, name, jobs string, size int64) error {
	if err := settle(p.rig.b.bytes(giB)); err != nil {
		return err
	}
	before := p.flock.sent()
	took, failed := seconds(func() error { return p.annex("get", "-q", jobs, "--from", remote, name) })
	if failed != nil && (remote == "torrent" || name == "big") { // the other one may fail at -J8
		return failed
	}
	sent := p.flock.sent() - before
	all, err := os.ReadDir(filepath.Join(p.dir, name))
	if err != nil {
		return err
	}
	came := 0
	for _, file := range all {
		if _, err := os.Stat(filepath.Join(p.dir, name, file.Name())); err == nil {
			came++
		}
	}
	what := strings.Join([]string{remote, name, jobs}, " ")
	p.sheet.add(what+" time", took)
	p.sheet.add(what+" files", float64(came))
	p.sheet.add(what+" sent", float64(sent)/float64(size))
	return p.annex("drop", "-q", "--force", name)
}
