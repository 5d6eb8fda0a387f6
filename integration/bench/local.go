package main

import "fmt"

// local stores and gets one large file through git-annex, on local disks.
func local(b *bench, s sheet) ([]figure, error) {
	names := []string{"raid", "none", "copying", "rclone", "crypt", "shared"}
	err := b.onRepo(func(p *repo, run int) error {
		dir := fmt.Sprintf("large%d", run)
		if err := p.addFiles(dir, 1, b.bytes(giB), b.seed+uint64(run)); err != nil {
			return err
		}
		for _, name := range names {
			if err := p.measure(s, name, dir, ""); err != nil {
				return err
			}
		}
		return p.annex("drop", "-q", "--force", dir)
	})
	if err != nil {
		return nil, err
	}
	figures := []figure{
		s.ours("store, 4+2", "s", "raid up").over("directory, none", s["none up"]).atMost(2),
		s.ours("store, 4+2", "s", "raid up").over("rclone gitannex, local", s["rclone up"]),
		s.ours("store, 4+2", "s", "raid up").over("rclone gitannex, crypt", s["crypt up"]).atMost(1.0 / 3),
		s.ours("store, 4+2", "s", "raid up").over("directory, shared", s["shared up"]).atMost(0.1),
		s.ours("get, 4+2", "s", "raid down").over("a remote that only copies", s["copying down"]).atMost(1.15),
		s.ours("get, 4+2", "s", "raid down").over("rclone gitannex, local", s["rclone down"]),
		s.ours("get, 4+2", "s", "raid down").over("rclone gitannex, crypt", s["crypt down"]),
		s.ours("get, 4+2", "s", "raid down").over("directory, shared", s["shared down"]),
	}
	return append(figures, peerFigures(s, "", names[1:])...), nil
}

// titles are what the remotes of newRepo are.
var titles = map[string]string{
	"none": "directory, none", "shared": "directory, shared", "copying": "a remote that only copies",
	"rclone": "rclone gitannex, local", "crypt": "rclone gitannex, crypt",
}

// peerFigures are the times of the peers themselves.
func peerFigures(s sheet, prefix string, names []string) (figures []figure) {
	for _, direction := range []string{"up", "down"} {
		verb := map[string]string{"up": "store", "down": "get"}[direction]
		for _, name := range names {
			figures = append(figures, s.peers(prefix+verb+", "+titles[name], "s", prefix+name+" "+direction))
		}
	}
	return figures
}

// onRepo makes a repository with all remotes and lets f use it once a run.
func (b *bench) onRepo(f func(p *repo, run int) error) error {
	r, err := b.diskRig()
	if err != nil {
		return err
	}
	defer r.close()
	p, err := r.newRepo()
	if err != nil {
		return err
	}
	for run := range b.runs {
		if err := f(p, run); err != nil {
			return err
		}
	}
	return nil
}

// localSmall does the same with many small files.
func localSmall(b *bench, s sheet) ([]figure, error) {
	names := []string{"raid", "copying", "rclone"}
	sets := []struct {
		name     string
		files    int
		size     int64
		up, down float64 // bars, as ratios to the remote that only copies
	}{
		{"10 KiB", b.count(1000, 5), 10 * kiB, 1.6, 1.15},
		{"1 MiB", b.count(200, 5), miB, 2.3, 1.15},
	}
	err := b.onRepo(func(p *repo, run int) error {
		for i, set := range sets {
			dir := fmt.Sprintf("small%d-%d", i, run)
			if err := p.addFiles(dir, set.files, set.size, b.seed+uint64(run+1)<<20+uint64(i)<<40); err != nil {
				return err
			}
			for _, name := range names {
				if err := p.measure(s, name, dir, set.name+": "); err != nil {
					return err
				}
			}
			if err := p.annex("drop", "-q", "--force", dir); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, set := range sets {
		prefix := set.name + ": "
		of := func(remote string) []float64 { return s[prefix+remote] }
		store, get := fmt.Sprintf("store %d files of %s, 4+2", set.files, set.name), fmt.Sprintf("get %d files of %s, 4+2", set.files, set.name)
		figures = append(figures,
			s.ours(store, "s", prefix+"raid up").over(titles["copying"], of("copying up")).atMost(set.up),
			s.ours(store, "s", prefix+"raid up").over(titles["rclone"], of("rclone up")).atMost(1.5),
			s.ours(get, "s", prefix+"raid down").over(titles["copying"], of("copying down")).atMost(set.down),
			s.ours(get, "s", prefix+"raid down").over(titles["rclone"], of("rclone down")))
		figures = append(figures, peerFigures(s, prefix, names[1:])...)
	}
	return figures, nil
}
