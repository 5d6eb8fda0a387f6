package object

import (
	"context"
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// unclaimed returns a rig without markers.
func unclaimed(t *testing.T) *rig {
	r := newRig(t, 2, 1, 3)
	for i := range r.mem {
		r.mem[i].Delete(r.pool[i].marker)
	}
	return r
}

func TestClaimEmptiness(t *testing.T) {
	foreign := manifest.MarkerName(testVault().Names(manifest.NewBackendID()), "")
	for name, c := range map[string]struct {
		files []string
		want  string // "" is success
	}{
		"empty":                       {nil, ""},
		"somebody's file":             {[]string{"photo.jpg"}, "photo.jpg"},
		"somebody's folder":           {[]string{"a/b"}, "not empty"},
		"foreign marker alone":        {[]string{foreign}, ""},
		"foreign marker with content": {[]string{foreign, "ab/cdef/x"}, "another shardraid remote"},
		"its own marker, damaged":     {[]string{"own"}, "marker"},
	} {
		t.Run(name, func(t *testing.T) {
			r := unclaimed(t)
			for _, file := range c.files {
				if file == "own" {
					file = r.pool[1].marker
				}
				r.mem[1].Set(file, []byte("x"))
			}
			err := r.Claim(ctx, Claim{})
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				r.mustPut(testKey, bytesOf(1, 5000))
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "b1") {
				t.Errorf("error %v, want one that names b1 and %q", err, c.want)
			}
			r.wantFiles(0, len(c.files), 0)
		})
	}
}

// wantFiles checks how many files there are on each backend.
func (r *rig) wantFiles(counts ...int) {
	r.t.Helper()
	for i, want := range counts {
		if got := r.mem[i].Names(); len(got) != want {
			r.t.Errorf("%s holds %v, want %d files", r.pool[i].Name, got, want)
		}
	}
}

func TestClaimSamePlace(t *testing.T) {
	r := unclaimed(t)
	r.pool[2].store = backendtest.NewFaulty(r.mem[0])
	err := r.Claim(ctx, Claim{})
	if err == nil || !strings.Contains(err.Error(), "same place") {
		t.Errorf("claimed: %v", err)
	}
	r.wantFiles(0, 0, 0)
}

func TestClaimDown(t *testing.T) {
	for name, fault := range map[string]backendtest.Fault{
		"down":       {Do: backendtest.ErrorInstead(errDown)},
		"puts fail":  failPuts(),
		"not stored": {Op: "put", Do: backendtest.Drop()},
		"altered":    {Op: "put", Do: backendtest.FlipBit()},
	} {
		t.Run(name, func(t *testing.T) {
			r := unclaimed(t)
			r.faulty[1].Add(fault)
			if err := r.Claim(ctx, Claim{}); err == nil || !strings.Contains(err.Error(), "b1") {
				t.Errorf("claimed: %v", err)
			}
			r.wantFiles(0, 0, 0)
		})
	}
}

// A set-up that is interrupted takes its markers away.
func TestClaimCancelled(t *testing.T) {
	r := unclaimed(t)
	ctx, cancel := context.WithCancel(ctx)
	r.faulty[1].Add(backendtest.Fault{Op: "put", Do: backendtest.Run(cancel)})
	if err := r.Claim(ctx, Claim{}); err == nil {
		t.Error("claimed")
	}
	r.wantFiles(0, 0, 0)
}

// Claiming again what is claimed, with objects in it, changes nothing.
func TestClaimAgain(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	puts := r.faultyPuts()
	if err := r.Claim(ctx, Claim{}); err != nil {
		t.Error(err)
	}
	if r.faultyPuts() > puts {
		t.Error("something was written")
	}
	r.faulty[1].Down(errDown)
	if err := r.Claim(ctx, Claim{}); err == nil {
		t.Error("claimed while b1 is down")
	}
	r.faulty[1].Up()
	r.mustGet(testKey, data)
	r.mustCheck(testKey, true)
}
