package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// place is one of two places that real syncthings carry a folder between.
type place struct {
	home, folder, id string
	port             int
	cmd              *exec.Cmd
}

// syncthing: syncthing NAME starts two syncthings that carry a folder between
// the places $WORK/srv/NAME/here and $WORK/srv/NAME/there; syncthing NAME same
// waits until both have the same files.
func syncthing(ts *testscript.TestScript, _ bool, args []string) {
	work, name := ts.Getenv("WORK"), args[0]
	here, there := &place{}, &place{}
	for i, p := range []*place{here, there} {
		side := []string{"here", "there"}[i]
		p.folder, p.home = filepath.Join(work, "srv", name, side), filepath.Join(work, "etc", name, side)
	}
	if len(args) > 1 {
		awaitSame(ts, here.folder, there.folder)
		return
	}
	for _, p := range []*place{here, there} {
		p.port = freePort(ts)
		ts.Check(os.MkdirAll(filepath.Join(p.folder, ".stfolder"), 0o755))
		ts.Check(os.MkdirAll(p.home, 0o700))
		p.run(ts, "generate", "--home="+p.home, "--no-default-folder", "--skip-port-probing")
		p.id = strings.TrimSpace(p.run(ts, "--home="+p.home, "--device-id"))
	}
	began := time.Now()
	here.start(ts, here, there)
	there.start(ts, here, there)
	ts.Check(os.WriteFile(filepath.Join(here.folder, "probe"), []byte("x"), 0o600))
	awaitSame(ts, here.folder, there.folder)
	ts.Check(os.Remove(filepath.Join(here.folder, "probe")))
	awaitSame(ts, here.folder, there.folder)
	note("syncthing x 2", time.Since(began), append(family(here.cmd.Process.Pid), family(there.cmd.Process.Pid)...))
}

func (p *place) run(ts *testscript.TestScript, args ...string) string {
	cmd := exec.Command(program(ts, "syncthing"), args...)
	cmd.Env = append(os.Environ(), "HOME="+p.home, "STNODEFAULTFOLDER=1")
	out, err := cmd.Output()
	if err != nil {
		ts.Fatalf("syncthing %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// start starts one that talks to the other alone: no discovery, no relays, no
// router, no reports.
func (p *place) start(ts *testscript.TestScript, both ...*place) {
	var text strings.Builder
	text.WriteString("<configuration version=\"36\">\n<folder id=\"raid\" path=\"" + p.folder + "\" type=\"sendreceive\" rescanIntervalS=\"5\" fsWatcherEnabled=\"true\" fsWatcherDelayS=\"1\">\n")
	for _, o := range both {
		fmt.Fprintf(&text, "<device id=%q></device>\n", o.id)
	}
	text.WriteString("</folder>\n")
	for _, o := range both {
		fmt.Fprintf(&text, "<device id=%q name=%q><address>tcp://127.0.0.1:%d</address></device>\n", o.id, filepath.Base(o.folder), o.port)
	}
	fmt.Fprintf(&text, "<gui enabled=\"false\"><address>127.0.0.1:0</address></gui>\n<options><listenAddress>tcp://127.0.0.1:%d</listenAddress>\n", p.port)
	for _, off := range []string{"globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled", "startBrowser", "crashReportingEnabled"} {
		fmt.Fprintf(&text, "<%s>false</%s>", off, off)
	}
	text.WriteString("<urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH><reconnectionIntervalS>1</reconnectionIntervalS></options>\n</configuration>\n")
	writeFile(ts, p.home+"/config.xml", "%s", text.String())
	p.cmd = exec.Command(program(ts, "syncthing"), "serve", "--home="+p.home, "--no-browser", "--no-restart", "--no-upgrade", "--no-default-folder")
	p.cmd.Env = append(os.Environ(), "HOME="+p.home)
	log, err := os.Create(p.home + "/log")
	ts.Check(err)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	ts.Check(p.cmd.Start())
	log.Close()
	ts.Defer(func() {
		for _, pid := range family(p.cmd.Process.Pid)[1:] {
			if child, err := os.FindProcess(pid); err == nil {
				child.Kill()
			}
		}
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
}

// awaitSame waits until two folders have the same files, of the same sizes.
func awaitSame(ts *testscript.TestScript, one, two string) {
	var a, b string
	for range 600 {
		a, b = contents(one), contents(two)
		if a == b && a != "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	logs, _ := filepath.Glob(ts.Getenv("WORK") + "/etc/*/*ere/log")
	for _, log := range logs {
		ts.Logf("%s:\n%s", log, must(os.ReadFile(log)))
	}
	ts.Fatalf("%s has\n%s\n%s has\n%s", one, a, two, b)
}

func contents(dir string) string {
	var text strings.Builder
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			inside, _ := filepath.Rel(dir, path)
			size := info.Size()
			if info.IsDir() {
				size = 0
			}
			fmt.Fprintf(&text, "%s %d\n", inside, size)
		}
		return nil
	})
	return text.String()
}
