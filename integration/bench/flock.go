package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// loopbackAlone are the options that let aria2 speak with those alone that it is told of.
var loopbackAlone = []string{"--interface=127.0.0.1", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6=true"}

// flock seeds torrents, each by aria2s behind links. A server has their .torrents and is their tracker.
type flock struct {
	rig     *rig
	dir     string
	seeders map[string][]*seeder // by the name of the torrent
	server  *httptest.Server
}

// seeder is an aria2 that has all of a torrent.
type seeder struct {
	link  *link
	front net.Listener // of the link
	aria  *exec.Cmd
}

// torrent is what is seeded.
type torrent struct {
	hash, url string
	files     []string // NAME/FILE, in the torrent's order
}

func (r *rig) newFlock() (*flock, error) {
	f := &flock{rig: r, dir: filepath.Join(r.dir, "flock"), seeders: map[string][]*seeder{}}
	if err := mkdir(f.dir); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(f.dir)))
	mux.HandleFunc("/announce/{name}", func(w http.ResponseWriter, r *http.Request) {
		var peers []byte
		for _, s := range f.seeders[r.PathValue("name")] {
			at := netip.MustParseAddrPort(s.front.Addr().String())
			peers = binary.BigEndian.AppendUint16(append(peers, at.Addr().AsSlice()...), at.Port())
		}
		fmt.Fprintf(w, "d8:intervali1800e5:peers%d:%se", len(peers), peers)
	})
	f.server = httptest.NewServer(mux)
	return f, nil
}

func (f *flock) close() error {
	f.server.Close()
	var err error
	for _, seeders := range f.seeders {
		for _, s := range seeders {
			s.link.kill()
			err = errors.Join(err, s.front.Close())
			s.aria.Process.Kill() //nolint:errcheck // it has ended
			s.aria.Wait()         //nolint:errcheck // it was killed
		}
	}
	return err
}

// sent is how many bytes have come from all seeders.
func (f *flock) sent() (n int64) {
	for _, seeders := range f.seeders {
		for _, s := range seeders {
			_, down := s.link.bytes()
			n += down
		}
	}
	return n
}

// seed makes a torrent of a directory and seeds it over links of such speeds.
func (f *flock) seed(name string, speeds ...float64) (torrent, error) {
	t := torrent{url: f.server.URL + "/" + name + ".torrent"}
	file := filepath.Join(f.dir, name+".torrent")
	if err := f.rig.run(f.dir, "mktorrent", "-l", "18", "-a", f.server.URL+"/announce/"+name, "-o", file, name); err != nil {
		return t, err
	}
	out, err := exec.Command("aria2c", "--no-conf", "-S", file).Output()
	if err != nil {
		return t, fmt.Errorf("aria2c -S: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if hash, ok := strings.CutPrefix(line, "Info Hash: "); ok {
			t.hash = strings.TrimSpace(hash)
		}
		if _, path, ok := strings.Cut(strings.TrimSpace(line), "|./"); ok {
			t.files = append(t.files, path)
		}
	}
	for _, bytes := range speeds {
		if err := f.start(name, file, bytes); err != nil {
			return t, err
		}
	}
	return t, nil
}

// start starts a seeder, and returns when it seeds.
func (f *flock) start(name, file string, bytes float64) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	l := &link{name: name, up: newBucket(0), down: newBucket(bytes), conns: map[*conn]bool{}}
	config := net.ListenConfig{Control: smallBuffer}
	front, err := config.Listen(f.rig.b.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &seeder{link: l, front: listener{front, l}}
	args := append([]string{"-q", "--no-conf", "--check-integrity=true", "--seed-ratio=0.0", "--bt-max-peers=0", "--auto-save-interval=0",
		"--bt-exclude-tracker=*", "-d", f.dir, fmt.Sprintf("--listen-port=%d", port)}, loopbackAlone...)
	s.aria = exec.CommandContext(f.rig.b.ctx, "aria2c", append(args, file)...)
	if err := s.aria.Start(); err != nil {
		return errors.Join(err, front.Close())
	}
	f.seeders[name] = append(f.seeders[name], s) // which close ends, whether it seeds or not
	back := fmt.Sprintf("127.0.0.1:%d", port)
	go s.serve(back)
	for range 600 { // it listens when it has verified what it has
		if c, err := net.Dial("tcp", back); err == nil {
			return c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("seed %s: aria2 does not listen", name)
}

// serve leads connections over the link to aria2.
func (s *seeder) serve(back string) {
	for {
		c, err := s.front.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			raw, err := net.Dial("tcp", back)
			if err != nil {
				return
			}
			defer raw.Close()
			go func() {
				io.Copy(raw, c) //nolint:errcheck // the other side ends
				raw.Close()
			}()
			io.Copy(c, raw) //nolint:errcheck // one side has ended
		}()
	}
}

// freePort is a port that nobody listened at a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
