package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// progress counts on the terminal how much of something long is done. It is
// silent where standard error is no terminal.
type progress struct {
	out         io.Writer // nil where it is silent
	verb        string
	done, total int
	bytes       int64
	begun, last time.Time
}

func startProgress(cmd *cobra.Command, verb string, total int) *progress {
	p := &progress{verb: verb, total: total, begun: time.Now()}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 && cmd.ErrOrStderr() == os.Stderr {
		p.out = os.Stderr
	}
	return p
}

// step counts one file, of which so many bytes were dealt with. It is called by
// one goroutine at a time.
func (p *progress) step(bytes int64) {
	p.done++
	p.bytes += bytes
	if p.out == nil || time.Since(p.last) < 200*time.Millisecond {
		return
	}
	p.last = time.Now()
	took := time.Since(p.begun)
	left := time.Duration(float64(took) / float64(p.done) * float64(p.total-p.done))
	rate := float64(p.bytes) / took.Seconds()
	fmt.Fprintf(p.out, "\r%s %d of %d files, %s, %s, %v left \033[K", p.verb, p.done, p.total, size(&p.bytes), speed(rate), left.Round(time.Second))
}

// end clears the line.
func (p *progress) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
