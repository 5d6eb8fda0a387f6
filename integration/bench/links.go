package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const linkSpeed = 10 * mB

// links compares one object over several links with the same over one link by
// plain rclone, at a round trip of so many milliseconds.
func links(ms int) func(*bench, sheet) ([]figure, error) {
	return func(b *bench, s sheet) ([]figure, error) {
		rtt := time.Duration(ms) * time.Millisecond
		t, err := newLinksTrial(b, rtt)
		if err != nil {
			return nil, err
		}
		defer t.rig.close()
		for run := range b.runs {
			if err := t.run(s, run); err != nil {
				return nil, err
			}
		}
		return linksFigures(s), nil
	}
}

func linksFigures(s sheet) []figure {
	up, down := s["one up"], s["one down"]
	const one = "one link, rclone"
	return []figure{
		s.peers("one link up, rclone copyto", "s", "one up"),
		s.ours("4+2 over 6 up", "s", "six up").under(one, up).atLeast(3.9),
		s.ours("4+4 over 8 up", "s", "eight up").under(one, up).atLeast(3.85),
		s.peers("chunker over union of 6 up, rclone gitannex", "s", "union up").under(one, up),
		s.peers("6 rclone at once, a sixth each, up", "s", "rig up").under(one, up).note("what rig and machine allow at all; 6.00 were perfect"),
		s.peers("one link down, rclone copyto", "s", "one down"),
		s.ours("4+2 over 6 down", "s", "six down").under(one, down).atLeast(5.4),
		s.ours("4+4 over 8 down", "s", "eight down").under(one, down).atLeast(7),
		s.peers("chunker over union of 6 down, rclone gitannex", "s", "union down").under(one, down),
		s.peers("6 rclone at once, a sixth each, down", "s", "rig down").under(one, down),
	}
}

// linksTrial is the rig with all that is compared on it.
type linksTrial struct {
	rig               *rig
	size              int64
	source            string
	six, eight, union *remote
}

func newLinksTrial(b *bench, rtt time.Duration) (t *linksTrial, err error) {
	t = &linksTrial{size: b.bytes(256 * miB)}
	var upstreams []string
	for i := range 6 {
		upstreams = append(upstreams, fmt.Sprintf("link%d:union", i+1))
	}
	union := "[union]\ntype = union\nupstreams = " + strings.Join(upstreams, " ") + "\ncreate_policy = rand\n\n" +
		"[chunks]\ntype = chunker\nremote = union:\nchunk_size = " + fmt.Sprint((t.size+5)/6) + "B\n"
	if t.rig, err = b.newRig(equal(8, speed{bytes: linkSpeed, rtt: rtt}), union); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.rig.close()
		}
	}()
	for _, l := range t.rig.links[:6] {
		if err := os.Mkdir(filepath.Join(l.dir, "union"), 0o755); err != nil {
			return nil, err
		}
	}
	t.source = filepath.Join(t.rig.dir, "source")
	if err := writeRandom(t.source, t.size, b.seed); err != nil {
		return nil, err
	}
	if t.six, err = t.rig.raid("six", 4, 2, 6, t.rig.onLinks(6, "six")); err != nil {
		return nil, err
	}
	if t.eight, err = t.rig.raid("eight", 4, 4, 8, t.rig.onLinks(8, "eight")); err != nil {
		return nil, err
	}
	t.union, err = t.rig.builtin("peer", "chunks", "")
	return t, err
}

// run measures each once, one after another.
func (t *linksTrial) run(s sheet, run int) error {
	if err := errors.Join(t.single(s, run), t.sixths(s, run)); err != nil {
		return err
	}
	for _, v := range []struct {
		name   string
		remote *remote
	}{{"six", t.six}, {"eight", t.eight}, {"union", t.union}} {
		if err := t.pair(s, v.name, v.remote, run); err != nil {
			return err
		}
	}
	return nil
}

// single measures plain rclone over one link.
func (t *linksTrial) single(s sheet, run int) error {
	place := fmt.Sprintf("link1:plain/%d", run)
	up, err := seconds(func() error { return t.rig.run(t.rig.dir, "rclone", "copyto", t.source, place) })
	if err != nil {
		return err
	}
	back := t.rig.back()
	defer os.Remove(back)
	down, err := seconds(func() error { return t.rig.run(t.rig.dir, "rclone", "copyto", place, back) })
	if err != nil {
		return err
	}
	s.add("one up", up)
	s.add("one down", down)
	if err := sameFiles(t.source, back); err != nil {
		return err
	}
	return t.rig.run(t.rig.dir, "rclone", "deletefile", place)
}

// sixths measures what the rig allows: plain rclone over each of six links at
// once, with a sixth of the bytes.
func (t *linksTrial) sixths(s sheet, run int) error {
	source := filepath.Join(t.rig.dir, "sixth")
	if err := writeRandom(source, (t.size+5)/6, t.rig.b.seed); err != nil {
		return err
	}
	place := func(i int) string { return fmt.Sprintf("link%d:sixth/%d", i+1, run) }
	back := func(i int) string { return fmt.Sprintf("%s%d", t.rig.back(), i) }
	all := func(do func(i int) []string) (float64, error) {
		return seconds(func() error {
			return atOnce(6, 6, func(i int) error { return t.rig.run(t.rig.dir, "rclone", do(i)...) })
		})
	}
	up, err := all(func(i int) []string { return []string{"copyto", source, place(i)} })
	if err != nil {
		return err
	}
	down, err := all(func(i int) []string { return []string{"copyto", place(i), back(i)} })
	if err != nil {
		return err
	}
	s.add("rig up", up)
	s.add("rig down", down)
	for i := range 6 {
		if err := errors.Join(sameFiles(source, back(i)), os.Remove(back(i))); err != nil {
			return err
		}
	}
	_, err = all(func(i int) []string { return []string{"deletefile", place(i)} })
	return err
}

// pair measures a store, and a get by another process.
func (t *linksTrial) pair(s sheet, name string, m *remote, run int) error {
	key := keyOf(t.size, name, run)
	up, err := m.timedStore(key, t.source)
	if err != nil {
		return err
	}
	down, err := m.timedGet(key, t.source, nil)
	if err != nil {
		return err
	}
	s.add(name+" up", up)
	s.add(name+" down", down)
	return m.with(func(p *session) error { return p.remove(key) })
}

// keyOf makes a git-annex key.
func keyOf(size int64, name string, n int) string {
	return fmt.Sprintf("SHA256-s%d--%s-%d", size, name, n)
}

// back is where to get files to.
func (r *rig) back() string { return filepath.Join(r.dir, "back") }

// timedStore stores by a new process. Its start counts, since that of plain
// rclone does, and its end does not.
func (m *remote) timedStore(key, source string) (took float64, err error) {
	return m.timed(func(p *session) error { return p.store(key, source) })
}

// timedGet gets by a new process and compares with the source.
func (m *remote) timedGet(key, source string, progress func(int64)) (took float64, err error) {
	back := m.rig.back()
	defer os.Remove(back)
	took, err = m.timed(func(p *session) error { return p.retrieve(key, back, progress) })
	if err != nil {
		return 0, err
	}
	return took, sameFiles(source, back)
}

func (m *remote) timed(f func(*session) error) (took float64, err error) {
	begin := time.Now()
	err = m.with(func(p *session) error {
		err := f(p)
		took = time.Since(begin).Seconds()
		return err
	})
	return took, err
}
