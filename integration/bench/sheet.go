package main

import "slices"

// sheet holds what a scenario measures: for each name one value a run.
type sheet map[string][]float64

func (s sheet) add(name string, value float64) { s[name] = append(s[name], value) }

// figure is one line of a table.
type figure struct {
	What   string
	Unit   string
	Values []float64
	To     string    `json:",omitempty"` // what the ratios are to
	Ratios []float64 `json:",omitempty"` // one a run
	Bar    float64   `json:",omitempty"` // of the median of ratios, or of values if there are none
	Floor  bool      `json:",omitempty"` // the bar is the least that is good
	Peer   bool      `json:",omitempty"` // not ours
	Note   string    `json:",omitempty"`
}

// ours is a line about us, peers one about somebody else.
func (s sheet) ours(what, unit, name string) figure {
	return figure{What: what, Unit: unit, Values: s[name]}
}

func (s sheet) peers(what, unit, name string) figure {
	return figure{What: what, Unit: unit, Values: s[name], Peer: true}
}

// over adds the ratio of the figure to another value of the same runs.
func (f figure) over(to string, others []float64) figure {
	f.To, f.Ratios = to, quotients(f.Values, others)
	return f
}

// under adds the ratio of another value of the same runs to the figure: how
// many times faster, where both are times.
func (f figure) under(to string, others []float64) figure {
	f.To, f.Ratios = to, quotients(others, f.Values)
	return f
}

func (f figure) atLeast(bar float64) figure {
	f.Bar, f.Floor = bar, true
	return f
}

func (f figure) atMost(bar float64) figure {
	f.Bar, f.Floor = bar, false
	return f
}

func (f figure) note(text string) figure {
	f.Note = text
	return f
}

// judged are the values that the bar is for.
func (f figure) judged() []float64 {
	if f.To != "" {
		return f.Ratios
	}
	return f.Values
}

// verdict is whether the bar is met, "" where there is none.
func (f figure) verdict() string {
	values := f.judged()
	if f.Bar == 0 || len(values) == 0 {
		return ""
	}
	m := median(values)
	if f.Floor && m >= f.Bar || !f.Floor && m <= f.Bar {
		return "yes"
	}
	return "NO"
}

// quotients divides run by run.
func quotients(a, b []float64) []float64 {
	var q []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			q = append(q, a[i]/b[i])
		}
	}
	return q
}

func same(n int, value float64) []float64 { return slices.Repeat([]float64{value}, n) }

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
