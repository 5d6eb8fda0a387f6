package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"
)

//go:embed page.html
var pageText string

// page is what the page of status --html shows.
type page struct {
	*status
	When    string
	Verdict string // a sentence
	Good    bool
	Bars    []bar
	Cells   []cell
	Left    int // whole files without a cell
	Grades  []grade
}

// bar is what we have on a backend and what is free, in percent of the largest.
type bar struct {
	backendStatus
	Ours, Rest float64
	Space      string
	Says       string // whether it answers, and did
}

// cell is one file of the redundancy map.
type cell struct {
	Colour int
	Title  string
}

// grade is how many files may lose so many more backends, -1 for those that
// cannot be had.
type grade struct {
	Spare, Colour, Files int
	Text                 string
}

// colour of a file that may lose so many more backends: 0 is the worst, 4 is
// for 3 and more.
func colour(spare int) int { return min(spare+1, 4) }

// maxCells keeps the page light: the most endangered files come first.
const maxCells = 4000

// writePage writes the status as a page that needs nothing else.
func writePage(w io.Writer, s *status, now time.Time) error {
	p := &page{status: s, When: now.Format("2006-01-02 15:04 MST"), Good: true}
	p.Verdict = fmt.Sprintf("All %d files are whole", s.Objects)
	if s.Whole < int(s.Objects) {
		p.Good, p.Verdict = false, fmt.Sprintf("%d of %d files are not whole", int(s.Objects)-s.Whole, s.Objects)
	} else if err := s.trouble(); err != nil {
		p.Good, p.Verdict = false, p.Verdict+", but "+err.Error()
	}
	p.addBars(now)
	p.addCells()
	t, err := template.New("page").Funcs(template.FuncMap{
		"size": func(n int64) string { return size(&n) }, "speed": speed, "when": when,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

func (p *page) addBars(now time.Time) {
	var most int64 = 1
	for _, b := range p.Backends {
		most = max(most, b.Used+orZero(b.Free))
	}
	percent := func(n int64) float64 { return float64(n) / float64(most) * 100 }
	for _, b := range p.Backends {
		text := size(&b.Used) + " stored here, free: " + size(b.Free)
		p.Bars = append(p.Bars, bar{backendStatus: b, Ours: percent(b.Used), Rest: percent(orZero(b.Free)), Space: text, Says: b.contact(now)})
	}
}

func orZero(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

func (p *page) addCells() {
	files := map[int]int{}
	for _, f := range p.files {
		spare := max(f.Spare, -1)
		if f.Lost {
			spare = -1
		}
		files[spare]++
		if len(p.Cells) < maxCells {
			p.Cells = append(p.Cells, cell{colour(spare), fmt.Sprintf("%s, %s: %s", f.Key, size(&f.Size), f)})
		} else {
			p.Left++
		}
	}
	for _, spare := range slices.Sorted(maps.Keys(files)) {
		text := fmt.Sprintf("%d more backends may be lost", spare)
		if spare < 0 {
			text = "cannot be had now"
		}
		p.Grades = append(p.Grades, grade{spare, colour(spare), files[spare], text})
	}
}
