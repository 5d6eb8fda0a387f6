package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 920
	labelWidth = 490
	barWidth   = 240
	rowHeight  = 18
	groupSpace = 34
	barHeight  = 10

	mostShown = 8 // a longer bar is cut off
)

const plotHead = `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="11">
<style>
.page{fill:#fff}.text{fill:#222}.head{fill:#222;font-weight:bold}.dim{fill:#666}.ours{fill:#3a7bd5}.peer{fill:#9aa3ad}.spread{stroke:#222}.bar{stroke:#d9480f;stroke-width:2}
@media (prefers-color-scheme:dark){.page{fill:#161b22}.text,.head{fill:#e6e6e6}.dim{fill:#9a9a9a}.ours{fill:#5b9bf0}.peer{fill:#6b7580}.spread{stroke:#e6e6e6}.bar{stroke:#ff922b}}
</style>
<rect class="page" width="100%%" height="100%%"/>
`

// plotResults draws the ratios of all results, once all are there.
func plotResults(results, file string) error {
	all, err := loadResults(results)
	if err != nil || len(all) < len(scenarios) {
		return err
	}
	if err := mkdir(filepath.Dir(file)); err != nil {
		return err
	}
	return os.WriteFile(file, plot(all), 0o644)
}

// plot draws for each result its ratios as bars, with their spread and with
// what is good enough.
func plot(all []result) []byte {
	var body bytes.Buffer
	y := 16
	text(&body, "text", 12, y, "Ratios of "+machines(all)+": median as a bar (blue: shardraid, grey: peers), spread as a line, what is asked for as an orange mark.")
	for _, r := range all {
		rows := slices.DeleteFunc(slices.Clone(r.Figures), func(f figure) bool { return len(f.Ratios) == 0 })
		if len(rows) == 0 {
			continue
		}
		y += groupSpace
		text(&body, "head", 12, y, r.Name+": "+r.Title)
		text(&body, "dim", plotWidth-190, y, fmt.Sprintf("%s, %s, %d runs", r.Machine.Program, r.Machine.Date, r.Runs))
		y += 6
		most := axis(rows)
		for _, f := range rows {
			plotRow(&body, f, y, most)
			y += rowHeight
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, plotHead, plotWidth, y+14)
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// axis is the largest ratio that a group shows.
func axis(rows []figure) float64 {
	most := 1.0
	for _, f := range rows {
		most = max(most, slices.Max(f.Ratios), f.Bar)
	}
	return min(most, mostShown)
}

func plotRow(w *bytes.Buffer, f figure, y int, most float64) {
	x := func(ratio float64) float64 { return labelWidth + barWidth*min(ratio, most)/most }
	class := "ours"
	if f.Peer {
		class = "peer"
	}
	m, low, high := median(f.Ratios), slices.Min(f.Ratios), slices.Max(f.Ratios)
	middle := y + rowHeight/2
	fmt.Fprintf(w, `<text class="text" x="%d" y="%d" text-anchor="end">%s <tspan class="dim">/ %s</tspan></text>`+"\n", labelWidth-6, middle+4, html.EscapeString(f.What), html.EscapeString(f.To))
	fmt.Fprintf(w, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", class, labelWidth, middle-barHeight/2, x(m)-labelWidth, barHeight)
	fmt.Fprintf(w, `<line class="spread" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", x(low), x(high), middle, middle)
	if f.Bar != 0 {
		fmt.Fprintf(w, `<line class="bar" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", x(f.Bar), x(f.Bar), middle-7, middle+7)
	}
	label := fmt.Sprintf("%s (%s)", short(m), spread(f.Ratios))
	switch {
	case f.Bar != 0 && f.Floor:
		label += ", asked ≥ " + short(f.Bar)
	case f.Bar != 0:
		label += ", asked ≤ " + short(f.Bar)
	}
	text(w, "text", labelWidth+barWidth+10, middle+4, label)
}

// machines are where the results come from.
func machines(all []result) string {
	var names []string
	for _, r := range all {
		if name := fmt.Sprintf("%s, %d cores", r.Machine.CPU, r.Machine.Cores); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, "; ")
}

func text(w *bytes.Buffer, class string, x, y int, s string) {
	fmt.Fprintf(w, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", class, x, y, html.EscapeString(s))
}
