package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

var columns = []string{"what", "median", "min..max", "ratio", "min..max", "to", "bar", "met?"}

// printTable writes figures as a table that reads as text and as Markdown.
func printTable(w io.Writer, figures []figure) {
	rows := [][]string{columns}
	for _, f := range figures {
		rows = append(rows, f.cells())
	}
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for n, row := range rows {
		printRow(w, row, widths)
		if n == 0 {
			line := make([]string, len(columns))
			for i := range line {
				line[i] = strings.Repeat("-", widths[i])
			}
			printRow(w, line, widths)
		}
	}
	for _, f := range figures {
		if f.Note != "" {
			fmt.Fprintf(w, "%s: %s\n", f.What, f.Note)
		}
	}
}

func printRow(w io.Writer, row []string, widths []int) {
	for i, cell := range row {
		fmt.Fprintf(w, "| %-*s ", widths[i], cell)
	}
	fmt.Fprintln(w, "|")
}

func (f figure) cells() []string {
	cells := []string{f.What, "", "", "", "", f.To, "", f.verdict()}
	if len(f.Values) > 0 {
		cells[1] = short(median(f.Values)) + " " + f.Unit
		cells[2] = spread(f.Values)
	}
	if len(f.Ratios) > 0 {
		cells[3], cells[4] = short(median(f.Ratios)), spread(f.Ratios)
	}
	if f.Bar != 0 {
		sign := "<= "
		if f.Floor {
			sign = ">= "
		}
		cells[6] = sign + short(f.Bar)
	}
	return cells
}

func spread(values []float64) string {
	return short(slices.Min(values)) + ".." + short(slices.Max(values))
}

// short writes a number with three digits, or all before the point.
func short(v float64) string {
	digits := 2
	switch {
	case v >= 100 || v <= -100:
		digits = 0
	case v >= 10 || v <= -10:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
