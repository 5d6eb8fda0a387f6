package object

import (
	"context"
	"errors"
	"slices"
	"testing"

	"shardraid/manifest"
)

// statusRig stores four objects on 2+2 of 5 and returns the backends of each that has
// shards.
func statusRig(t *testing.T) (r *rig, at func(key string, n int) int) {
	r = newRig(t, 2, 2, 5)
	r.patient()
	for _, key := range []string{"whole", "poor", "lost"} {
		r.mustPut(key, bytesOf(1, 5000))
	}
	r.mustPut("small", bytesOf(1, 100))
	return r, func(key string, n int) int { return r.index(r.manifestOf(key).Backends()[n]) }
}

func TestStatus(t *testing.T) {
	r, at := statusRig(t)
	r.lose(at("poor", 0), "poor", manifest.KindShard)
	for n := range 3 {
		r.lose(at("lost", n), "lost", manifest.KindShard)
	}
	st, err := r.Status(ctx, r.job())
	if err != nil || st.Unsure != nil {
		t.Fatal(err, st.Unsure)
	}
	if st.Objects != 4 || st.Bytes != 15100 || st.Whole != 2 || st.Lost != 1 || st.Unreadable != 0 || len(st.Degraded) != 1 || st.Degraded[1] != 1 || st.Usable != -1 {
		t.Errorf("%+v", st)
	}
	var used int64
	for i, b := range st.Backends {
		if b.Err != nil || b.Free != -1 { // memory does not say
			t.Errorf("%+v", b)
		}
		for name, content := range r.mem[i].Files() {
			if _, root := manifest.ParseRootName(name); !root {
				used += int64(len(content))
			}
		}
		used -= b.Used
	}
	if used != 0 {
		t.Errorf("%d bytes more are used than it says", used)
	}

	down := at("whole", 0)
	r.faulty[down].Down(errDown)
	if st, err = r.Status(ctx, r.job()); err != nil || st.Unsure != nil || !errors.Is(st.Backends[down].Err, errDown) || st.Whole > 1 || st.Lost+st.Unreadable != 1 {
		t.Errorf("one is down: %v, %+v", err, st)
	}
	for i := range 3 {
		r.faulty[i].Down(errDown)
	}
	if st, err = r.Status(ctx, r.job()); err != nil || st.Unsure == nil || st.Lost > 0 {
		t.Errorf("more than m are down: %v, %+v", err, st)
	}
}

func TestRepairAll(t *testing.T) {
	r, at := statusRig(t)
	r.lose(at("poor", 0), "poor", manifest.KindShard)
	r.lose(at("whole", 1), "whole", manifest.KindShard)
	keys := []string{"whole", "poor", "lost", "small", "never stored"}
	tally := func(findings []Finding) (whole, absent int) {
		for _, f := range findings {
			if !slices.Contains(keys, f.Key) {
				t.Errorf("%s was not asked for", f.Key)
			}
			if f.Err == nil && f.Health.Whole() {
				whole++
			}
			if errors.Is(f.Err, ErrAbsent) {
				absent++
			}
		}
		return whole, absent
	}
	var findings []Finding
	each := func(f Finding) { findings = append(findings, f) }
	if err := r.ScrubAll(ctx, keys, ScrubOptions{}, r.job(), each); err != nil {
		t.Error(err)
	}
	if whole, absent := tally(findings); whole != 2 || absent != 1 || len(findings) != 5 {
		t.Errorf("scrub: %+v", findings)
	}
	findings = nil
	if err := r.RepairAll(ctx, keys, RepairOptions{}, r.job(), each); err != nil {
		t.Error(err)
	}
	if whole, absent := tally(findings); whole != 4 || absent != 1 || len(findings) != 5 {
		t.Errorf("repair: %+v", findings)
	}

	stopped, stop := context.WithCancelCause(ctx)
	findings = nil
	err := r.ScrubAll(stopped, keys, ScrubOptions{}, r.job(), func(f Finding) {
		findings = append(findings, f)
		stop(errDown)
	})
	if !errors.Is(err, errDown) || len(findings) != 1 {
		t.Errorf("stopped after the first: %v, %d of %d", err, len(findings), len(keys))
	}
}
