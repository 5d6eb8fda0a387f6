package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// meter leads connections on to a server, whose address may change, and
// counts what comes back.
type meter struct {
	net.Listener
	target atomic.Value // string
	bytes  atomic.Int64
}

func newMeter(ts *testscript.TestScript) *meter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	m := &meter{Listener: l}
	ts.Defer(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.pass(c)
		}
	}()
	return m
}

func (m *meter) address() string     { return m.Addr().String() }
func (m *meter) lead(address string) { m.target.Store(address) }

// pass ends when one of both sides does: neither waits for the other.
func (m *meter) pass(client net.Conn) {
	defer client.Close()
	target, _ := m.target.Load().(string)
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	over := make(chan struct{}, 2)
	go func() {
		io.Copy(server, client)
		over <- struct{}{}
	}()
	go func() {
		io.Copy(io.MultiWriter(client, m), server)
		over <- struct{}{}
	}()
	<-over
}

func (m *meter) Write(p []byte) (int, error) {
	m.bytes.Add(int64(len(p)))
	return len(p), nil
}

// carried: carried NAME MOST fails if a server has sent more bytes than that
// since the last call; carried NAME forgets.
func carried(ts *testscript.TestScript, _ bool, args []string) {
	s := reals(ts)[args[0]]
	sent := s.meter.bytes.Swap(0)
	ts.Logf("%s has sent %d bytes", args[0], sent)
	if len(args) == 1 {
		return
	}
	most, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if sent > most {
		ts.Fatalf("%s has sent %d bytes, more than %d", args[0], sent, most)
	}
}

// costs is what the servers of each kind took at most.
var costs = struct {
	sync.Mutex
	of map[string]cost
}{of: map[string]cost{}}

type cost struct {
	starts   int
	took     time.Duration // of all starts
	rss, pss int64         // KiB, of all processes of one server
}

func note(kind string, took time.Duration, pids []int) {
	costs.Lock()
	defer costs.Unlock()
	c := costs.of[kind]
	if took > 0 {
		c.starts++
		c.took += took
	}
	var rss, pss int64
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			switch fields[0] {
			case "Rss:":
				rss += n
			case "Pss:":
				pss += n
			}
		}
	}
	c.rss, c.pss = max(c.rss, rss), max(c.pss, pss)
	costs.of[kind] = c
}

// printCosts prints what the servers took.
func printCosts() {
	costs.Lock()
	defer costs.Unlock()
	names := []string{}
	for name := range costs.of {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Printf("%-12s %7s %12s %12s %12s\n", "server", "starts", "s a start", "RSS, MiB", "PSS, MiB")
	for _, name := range names {
		c := costs.of[name]
		fmt.Printf("%-12s %7d %12.2f %12d %12d\n", name, c.starts, c.took.Seconds()/float64(max(c.starts, 1)), c.rss>>10, c.pss>>10)
	}
}
