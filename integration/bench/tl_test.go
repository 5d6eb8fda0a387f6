package main
import ("testing";"context";"path/filepath";"os";"fmt";"time")
func TestTL(t *testing.T) {
	if os.Getenv("TR") == "" { t.Skip() }
	os.Chdir("../..")
	wd, _ := os.Getwd()
	b := &bench{ctx: context.Background(), dir: t.TempDir(), bin: filepath.Join(wd, "bin"), tools: filepath.Join(wd, ".cache/bin"), runs: 1, scale: 1}
	rtt := time.Duration(0)
	if os.Getenv("TR") == "50" { rtt = smallTrip }
	r, err := b.newRig(equal(6, speed{linkSpeed, rtt}))
	if err != nil { t.Fatal(err) }
	defer r.close()
	m, err := r.raid("raid", 4, 2, 6, r.onLinks(6, "raid"))
	if err != nil { t.Fatal(err) }
	src := filepath.Join(r.dir, "source")
	if err := writeRandom(src, 256*miB, 1); err != nil { t.Fatal(err) }
	err = m.with(func(p *session) error {
		stop := make(chan bool); done := make(chan bool)
		began := time.Now()
		go func() {
			defer close(done)
			var last [6]int64
			for {
				select { case <-stop: return; case <-time.After(100*time.Millisecond): }
				line := fmt.Sprintf("%5d", time.Since(began).Milliseconds())
				for i, l := range r.links { u, _ := l.bytes(); line += fmt.Sprintf(" %5d", (u-last[i])/1000); last[i] = u }
				fmt.Fprintln(os.Stderr, line)
			}
		}()
		err := p.store(keyOf(256*miB, "x", 1), src)
		close(stop); <-done
		fmt.Fprintln(os.Stderr, "TOOK", time.Since(began))
		return err
	})
	if err != nil { t.Fatal(err) }
	fmt.Fprintln(os.Stderr, r.calls())
}
