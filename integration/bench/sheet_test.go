package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestFigure(t *testing.T) {
	s := sheet{"us": {2, 4, 3}, "peer": {8, 8, 9}}
	f := s.ours("we", "s", "us").under("them", s["peer"]).atLeast(3)
	if m := median(f.Ratios); m != 3 || f.verdict() != "yes" {
		t.Errorf("%v, %s", f.Ratios, f.verdict())
	}
	if v := s.ours("we", "s", "us").over("them", s["peer"]).atMost(0.3).verdict(); v != "NO" {
		t.Error(v)
	}
	if v := s.ours("we", "s", "us").atMost(3).verdict(); v != "yes" {
		t.Error(v)
	}
	if v := s.peers("they", "s", "peer").verdict(); v != "" {
		t.Error(v)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 3: {3}, 2.5: {4, 1, 2, 3}, 2: {9, 2, 1}} {
		if got := median(values); got != want {
			t.Errorf("%v: %v", values, got)
		}
	}
}

func TestIdealTime(t *testing.T) {
	// half at 60, a quarter at 50, a quarter at 40
	got := idealTime(600, 60, []event{{0.5, 50, nil}, {0.75, 40, nil}})
	if math.Abs(got-(5+3+3.75)) > 1e-9 {
		t.Error(got)
	}
}

func TestTableAndPlot(t *testing.T) {
	s := sheet{"us": {2, 4, 3}, "peer": {80, 8, 9}}
	figures := []figure{
		s.ours("we & <you>", "s", "us").under("them", s["peer"]).atLeast(3).note("so"),
		s.peers("they", "s", "peer"),
		s.ours("not run", "s", "nothing"),
	}
	var table bytes.Buffer
	printTable(&table, figures)
	if text := table.String(); !strings.Contains(text, "| we & <you> | 3.00 s | 2.00..4.00 | 3.00  | 2.00..40.0 | them | >= 3.00 | yes  |") {
		t.Error(text)
	}
	all := []result{{Name: "a", Title: "b", Figures: figures}}
	drawn := plot(all)
	if !bytes.Equal(drawn, plot(all)) {
		t.Error("two plots of the same differ")
	}
	for d := xml.NewDecoder(bytes.NewReader(drawn)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
