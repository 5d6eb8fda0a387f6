package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shardraid/backends"
	"shardraid/clone"
	"shardraid/object"
)

func (a *app) statusCommand() *cobra.Command {
	var file string
	cmd := a.withoutGit(&cobra.Command{
		Use: "status", Short: "how are the backends and what is stored?", Args: cobra.NoArgs,
		Long: "Lists every backend, and shows what is stored and free there, how many files are whole, how much more fits, and what is left to do. It goes by what backends list, and reads one copy of each manifest.\n\nThe exit code is 0 if every file can be had and all backends answer that are not off.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.status(cmd)
			if err != nil {
				return err
			}
			if file != "" {
				err = s.save(file)
			} else {
				err = a.result(cmd, s, s.print)
			}
			if err != nil {
				return err
			}
			return s.trouble()
		},
	})
	cmd.Flags().StringVar(&file, "html", "", "write a page for a browser to this file instead")
	return a.withJSON(cmd)
}

// status is what the command shows; sizes are in bytes, speeds in bytes per
// second.
type status struct {
	Backends []backendStatus `json:"backends"`
	Data     int             `json:"data"`
	Parity   int             `json:"parity"`
	Objects  int64           `json:"objects"`
	Bytes    int64           `json:"bytes"`
	Usable   *int64          `json:"usable"`   // null where no backend says how much is free
	Unlisted string          `json:"unlisted"` // why there may be more objects; "" if there are not
	Whole    int             `json:"whole"`
	Degraded map[int]int     `json:"degraded"` // objects, by how many more backends may be lost
	NotNow   int             `json:"not_now"`  // objects that cannot be had now
	Lost     int             `json:"lost"`     // objects that cannot come back
	Pending  int             `json:"pending"`  // objects that this clone has stored with shards missing
	Scrubbed clone.Scrubbed  `json:"scrubbed"` // by this clone

	files []object.Health // the most endangered first
}

type backendStatus struct {
	Name   string       `json:"name"`
	Domain string       `json:"domain"`
	State  string       `json:"state"`
	Error  string       `json:"error"` // "" if it answers
	Files  int64        `json:"files"`
	Used   int64        `json:"used"`
	Free   *int64       `json:"free"` // null where neither it nor its limit says
	Speed  object.Speed `json:"speed"`

	backends.Contact // as this clone has seen it
}

func (a *app) status(cmd *cobra.Command) (*status, error) {
	s := &status{}
	known := map[string]clone.Known{}
	err := a.onPool(cmd, func(pool *clone.Pool) error {
		st, err := pool.Status(cmd.Context(), a.job(cmd))
		if err != nil {
			return err
		}
		if a.repo != nil {
			pool.Remember()
			known = a.repo.dir.Known()
			s.Scrubbed = a.repo.dir.Scrubbed()
			s.Pending, _ = object.Pending(a.repo.dir.Journal()) // nothing is lost by not knowing
		}
		s.Data, s.Parity = st.Data, st.Parity
		s.Objects, s.Bytes, s.Usable = st.Objects, st.Bytes, ifKnown(st.Usable)
		s.Whole, s.Degraded, s.NotNow, s.Lost = st.Whole, st.Degraded, st.Unreadable, st.Lost
		s.files = st.Each
		slices.SortFunc(s.files, byDanger)
		if st.Unsure != nil {
			s.Unlisted = st.Unsure.Error()
		}
		for _, b := range st.Backends {
			s.Backends = append(s.Backends, backendStatus{
				Name: b.Name, Domain: b.Domain, State: string(b.State), Error: errorText(b.Err),
				Files: b.Files, Used: b.Used, Free: ifKnown(b.Free), Speed: known[b.ID].Speed, Contact: known[b.ID].Contact,
			})
		}
		return nil
	})
	return s, err
}

// save writes the status as a page.
func (s *status) save(file string) error {
	var page bytes.Buffer
	if err := writePage(&page, s, time.Now()); err != nil {
		return err
	}
	return os.WriteFile(file, page.Bytes(), 0o644)
}

// ifKnown returns nil for what is below 0, which means not known.
func ifKnown(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func (s *status) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "backend\tstate\tfiles\tused\tfree\tup\tdown\t")
	for _, b := range s.Backends {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", b.Name, b.State, b.Files, size(&b.Used), size(b.Free), speed(b.Speed.Up), speed(b.Speed.Down), b.contact(time.Now()))
	}
	t.Flush()
	fmt.Fprintf(w, "\n%d files, %s, stored %d+%d", s.Objects, size(&s.Bytes), s.Data, s.Parity)
	if s.Usable != nil {
		fmt.Fprintf(w, "; %s more fit", size(s.Usable))
	}
	fmt.Fprintln(w)
	if s.Unlisted != "" {
		fmt.Fprintf(w, "there may be more: %s\n", s.Unlisted)
	}
	fmt.Fprintf(w, "\n%6d whole\n", s.Whole)
	for _, spare := range slices.Backward(slices.Sorted(maps.Keys(s.Degraded))) {
		fmt.Fprintf(w, "%6d not whole: %d more backends may be lost\n", s.Degraded[spare], spare)
	}
	fmt.Fprintf(w, "%6d cannot be had now\n%6d lost\n", s.NotNow, s.Lost)
	if s.Pending > 0 {
		fmt.Fprintf(w, "%6d stored here with shards missing, to be filled in with the next transfers\n", s.Pending)
	}
	fmt.Fprintf(w, "\nlast scrub by this clone: %s; with every shard read: %s\n", when(s.Scrubbed.Listed), when(s.Scrubbed.Read))
}

// recently is how long a failure of a backend that answers now is told of.
const recently = 7 * 24 * time.Hour

// contact says in words whether the backend answers, and did.
func (b *backendStatus) contact(now time.Time) string {
	switch {
	case b.Error != "" && b.State != "off" && !b.Answered.IsZero():
		return b.Error + "; last answered " + when(b.Answered)
	case b.Error == "" && !b.Failed.IsZero() && now.Sub(b.Failed) < recently:
		return "answers; failed last " + when(b.Failed) + ": " + b.Failure
	}
	return b.Error
}

// trouble is what somebody should look after.
func (s *status) trouble() error {
	if s.Lost+s.NotNow > 0 {
		return fmt.Errorf("%d of %d files cannot be had now", s.Lost+s.NotNow, s.Objects)
	}
	if s.Unlisted != "" {
		return errors.New(s.Unlisted)
	}
	var silent []string
	for _, b := range s.Backends {
		if b.Error != "" && b.State != "off" {
			silent = append(silent, b.Name)
		}
	}
	if len(silent) > 0 {
		return fmt.Errorf("backends do not answer: %s; what will not come back gets state: off in the layout, then shardraid repair --lost NAME", strings.Join(silent, ", "))
	}
	return nil
}

func size(n *int64) string {
	if n == nil {
		return "?"
	}
	v, unit := float64(*n), 0
	for v >= 1024 && unit < 5 {
		v, unit = v/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", *n)
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[unit-1])
}

func speed(rate float64) string {
	if rate == 0 {
		return "-"
	}
	n := int64(rate)
	return size(&n) + "/s"
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}
