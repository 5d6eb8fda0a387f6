package torrent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	lib "github.com/anacrolix/torrent"

	"shardraid/annex"
)

// seed gives the annexed files that are here and come from torrents to others, until ctx ends or all
// torrents have reached the ratio (-1: the one of the settings). It prints a line for each torrent to
// out when it is ready, and to warn what cannot be seeded.
func seed(ctx context.Context, ratio float64, out, warn io.Writer) error {
	gitDir, err := git(ctx, "", "rev-parse", "--absolute-git-dir")
	if err != nil {
		return err
	}
	set, err := seedSettings(ctx, ratio)
	if err != nil {
		return err
	}
	e := newEngine(set, gitDir)
	e.atPort = true
	defer e.close()
	files, err := filesHere(ctx)
	if err != nil {
		return err
	}
	var all []*seeded
	for _, group := range byTorrent(files) {
		w, err := e.share(ctx, group, warn)
		if errors.Is(err, syscall.EADDRINUSE) && len(all) == 0 { // the others want the same
			return fmt.Errorf("seed: %w", err)
		}
		if err != nil {
			fmt.Fprintln(warn, "seed:", err)
			continue
		}
		all = append(all, w)
		fmt.Fprintf(out, "seeding %s on %d (%d of %d files)\n", w.t.Name(), w.port, w.files, len(w.meta.Files))
	}
	if ctx.Err() == nil && len(all) == 0 {
		return errors.New("seed: nothing here comes from a torrent that can be seeded")
	}
	return give(ctx, all, set.Ratio, out)
}

// seeded is a swarm that is given files which are here.
type seeded struct {
	*swarm
	port, files int
	bytes       int64
}

// give waits until each torrent has reached the ratio.
func give(ctx context.Context, all []*seeded, ratio float64, out io.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(all) > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var left []*seeded
		for _, w := range all {
			stats := w.t.Stats()
			if ratio > 0 && float64(stats.BytesWrittenData.Int64()) >= ratio*float64(w.bytes) {
				fmt.Fprintf(out, "done with %s at ratio %g\n", w.t.Name(), ratio)
				w.drop()
			} else {
				left = append(left, w)
			}
		}
		all = left
	}
	return nil
}

// here is a content of this clone that a link is known for.
type here struct {
	key  annex.Key
	path string // of the object
	link Link
}

// share enters the swarm of a torrent with files of it that are here. What cannot be shared is told to
// warn.
func (e *engine) share(ctx context.Context, files []here, warn io.Writer) (*seeded, error) {
	w, err := e.join(ctx, files[0].link)
	if err != nil {
		return nil, err
	}
	all := &seeded{swarm: w}
	check, lent := map[int]bool{}, map[int]bool{}
	for _, f := range files {
		index, err := w.pick(f.link, sizeOf(f.key))
		if err == nil {
			err = w.lend(index, f.path, check)
		}
		if err != nil {
			fmt.Fprintf(warn, "seed: %s: %v\n", f.key, err)
			continue
		}
		lent[index] = true
	}
	for _, i := range slices.Sorted(maps.Keys(check)) {
		if err := w.verify(ctx, i); err != nil {
			return nil, err
		}
	}
	for index := range lent {
		if f := w.t.Files()[index]; w.canGive(f, lent) {
			all.files++
			all.bytes += f.Length()
		}
	}
	if all.files == 0 {
		return nil, fmt.Errorf("verify files of torrent %s: no piece of it is whole here", w.t.Name())
	}
	client, err := e.client(w.meta.Private)
	if err != nil {
		return nil, err
	}
	all.port = client.LocalPort()
	return all, nil
}

// canGive tells whether all of a file can be given, but for pieces that it shares with files which are not
// lent: nobody can tell whether those are right.
func (w *swarm) canGive(f *lib.File, lent map[int]bool) bool {
	some := f.Length() == 0
	for i := f.BeginPieceIndex(); i < f.EndPieceIndex(); i++ {
		if w.store.isWhole(i) {
			some = true
		} else if w.allLent(i, lent) {
			return false
		}
	}
	return some
}

// allLent tells whether all files that have bytes in a piece are lent.
func (w *swarm) allLent(piece int, lent map[int]bool) bool {
	for index, f := range w.t.Files() {
		if f.Length() > 0 && f.BeginPieceIndex() <= piece && piece < f.EndPieceIndex() && !lent[index] && !w.meta.Files[index].Pad {
			return false
		}
	}
	return true
}

// lend makes a file of this clone, which is only read, the home of its own pieces, and copies what it
// has of the others. The pieces that are to be verified are added to check.
func (w *swarm) lend(index int, path string, check map[int]bool) error {
	f := w.t.Files()[index]
	own := w.own(f)
	t, held, err := w.store.open(path, os.O_RDONLY, f.Offset(), f.Length(), own)
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	w.mu.Lock()
	w.done = append(w.done, t)
	w.mu.Unlock()
	for i := held.first; i < held.end; i++ {
		check[i] = true
	}
	length := w.store.length
	for i := f.BeginPieceIndex(); i < f.EndPieceIndex(); i++ {
		if own.first <= i && i < own.end {
			continue
		}
		check[i] = true
		begin, end := max(int64(i)*length, f.Offset()), min(int64(i+1)*length, f.Offset()+f.Length())
		part := make([]byte, end-begin)
		if _, err := t.file.ReadAt(part, begin-f.Offset()); err != nil {
			return fmt.Errorf("read file: %w", err)
		}
		if _, err := w.store.data.WriteAt(part, begin); err != nil {
			return fmt.Errorf("share file: %w", err)
		}
	}
	return nil
}

// byTorrent groups files by the torrent, or the source of one, that they are of.
func byTorrent(files []here) [][]here {
	at := map[string]int{}
	var groups [][]here
	for _, f := range files {
		name := f.link.torrent()
		n, ok := at[name]
		if !ok {
			n = len(groups)
			at[name] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], f)
	}
	return groups
}

// filesHere asks git-annex which contents that are here have links to torrents.
func filesHere(ctx context.Context) (files []here, err error) {
	text, err := git(ctx, "", "annex", "whereis", "--all", "--in=here", "--json")
	if err != nil && text == "" { // it fails, too, where all other copies are untrusted
		return nil, err
	}
	var keys strings.Builder
	for line := range strings.Lines(text) {
		var said struct {
			Key     string
			Whereis []struct{ URLs []string }
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			return nil, fmt.Errorf("parse git annex whereis: %w", err)
		}
		var urls []string
		for _, place := range said.Whereis {
			urls = append(urls, place.URLs...)
		}
		links, _ := linksFrom(urls, func(url string) bool { return strings.HasPrefix(url, "torrent:") }) // others may be of another remote
		for _, link := range bestOfEach(links) {
			files = append(files, here{key: annex.Key(said.Key), link: link})
			keys.WriteString(said.Key + "\n")
		}
	}
	paths, err := git(ctx, keys.String(), "annex", "contentlocation", "--batch")
	if err != nil {
		return nil, err
	}
	for i, path := range strings.Split(paths, "\n") {
		if i < len(files) && path != "" {
			if files[i].path, err = filepath.Abs(path); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(files, func(f here) bool { return f.path == "" }), nil
}

// bestOfEach returns one link to each torrent, one that says which file if there is one.
func bestOfEach(links []Link) (best []Link) {
	for _, link := range links {
		same := func(l Link) bool { return l.torrent() == link.torrent() }
		if i := slices.IndexFunc(best, same); i < 0 {
			best = append(best, link)
		} else if best[i].Index < 0 {
			best[i] = link
		}
	}
	return best
}

// torrent names a link's torrent by what the link says of it.
func (l Link) torrent() string {
	if l.key() != "" {
		return l.key()
	}
	return l.Source
}

// seedSettings are those of the first torrent remote, over which those of the clone go.
func seedSettings(ctx context.Context, ratio float64) (settings, error) {
	text := map[string]string{}
	remotes, err := git(ctx, "", "show", "git-annex:remote.log")
	if err != nil {
		return settings{}, err
	}
	for line := range strings.Lines(remotes) {
		if !strings.Contains(line, " externaltype=torrent ") {
			continue
		}
		for _, field := range strings.Fields(line) {
			if name, value, ok := strings.Cut(field, "="); ok {
				text[name] = value
			}
		}
		break
	}
	local, err := cloneSettings(ctx)
	if err != nil {
		return settings{}, err
	}
	override(text, local)
	set, err := parseSettings(text)
	set.Seeding = true
	if ratio >= 0 {
		set.Ratio = ratio
	}
	return set, err
}

// git runs git with a text on stdin, and returns what it prints.
func git(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	text := strings.TrimSuffix(string(out), "\n")
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
			return text, fmt.Errorf("run git %s: %.300s", args[0], first)
		}
		return text, fmt.Errorf("run git %s: %w", args[0], err)
	}
	return text, nil
}
