package object

import (
	"context"
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
)

// rivals are two layouts that follow the same one and do not know each other.
func rivals(t testing.TB) (x, y versions) {
	x = newVersions(t, 2, 1, 3, 2, 1, 3)
	y = x
	y.second, y.claim = x.again(t)
	return x, y
}

// Of two applies at once at most one succeeds, and then it is in force; else
// the layout of before is.
func TestTwoClaimsAtOnce(t *testing.T) {
	for name, at := range map[string]backendtest.Fault{
		"after the first has looked":       {Op: "put", Call: 1},
		"while the first marks":            {Op: "put", Call: 2},
		"when the first has marked":        {Op: "list", Call: 2},
		"when the first ends the old ones": {Op: "remove", Call: 1},
	} {
		t.Run(name, func(t *testing.T) {
			x, y := rivals(t)
			r := newVersionRig(t, x)
			data := bytesOf(1, 5000)
			r.mustPut(testKey, data)
			first, second := r.moved(x.second), r.moved(y.second)
			var errY error
			at.Do = backendtest.Run(func() { errY = second.Claim(ctx, y.claim) })
			first.faulty[1].Add(at)
			errX := first.Claim(ctx, x.claim)
			first.faulty[1].Verify(t)
			inForce := 0
			for _, c := range []struct {
				r   *rig
				err error
			}{{first, errX}, {second, errY}} {
				here, err := c.r.Check(ctx, testKey, c.r.job())
				if c.err == nil && !here {
					t.Errorf("a claim succeeded, and check says %v", err)
				}
				if !here && err == nil {
					t.Error("absent")
				}
				if here {
					inForce++
				}
			}
			if here, err := r.Check(ctx, testKey, r.job()); !here && err == nil {
				t.Error("absent under the old layout")
			} else if here {
				inForce++
			}
			if inForce != 1 || errX == nil && errY == nil {
				t.Errorf("%d layouts are in force: %v; %v", inForce, errX, errY)
			}
		})
	}
}

// A backend that moves leaves no place behind where a clone with the earlier
// layout could go on.
func TestFormerPlaceIsLeft(t *testing.T) {
	v := newVersions(t, 2, 1, 3, 2, 1, 3)
	r := newVersionRig(t, v)
	r.mustPut(testKey, bytesOf(1, 5000))
	moved := r.fork(t) // all three have a new place
	var former []Former
	for i, b := range v.first.Backends {
		former = append(former, Former{Name: b.Name, Remote: b.Remote, ID: b.ID, Store: r.mem[i]})
	}
	v.claim.Former = former
	hollow := r.fork(t) // only what is in the root was copied
	for name := range hollow.mem[0].Files() {
		if strings.Contains(name, "/") {
			hollow.mem[0].Delete(name)
		}
	}
	if err := hollow.under(v.second).Claim(ctx, v.claim); err == nil || !strings.Contains(err.Error(), "copy them first") {
		t.Errorf("the objects stayed behind: %v", err)
	}
	down := v.claim
	down.Former = append([]Former(nil), former...)
	faulty := backendtest.NewFaulty(r.mem[2])
	faulty.Down(errDown)
	down.Former[2].Store = faulty
	if err := moved.under(v.second).Claim(ctx, down); err == nil || !strings.Contains(err.Error(), "--gone b2") {
		t.Errorf("a former place is down: %v", err)
	}
	r.mustCheck(testKey, true)
	if err := moved.under(v.second).Claim(ctx, v.claim); err != nil {
		t.Fatal(err)
	}
	if err := r.put("other", bytesOf(2, 5000)); err == nil {
		t.Error("stored at places that were left")
	}
	moved.moved(v.second).mustCheck(testKey, true)
}

// A place is told from that of another backend of the same remote: nobody must
// be advised to empty it.
func TestPlaceOfAnotherBackend(t *testing.T) {
	v := newVersions(t, 2, 1, 3, 2, 1, 4)
	r := newVersionRig(t, v)
	r.mustPut(testKey, bytesOf(1, 5000))
	r.mem[3], r.mem[1] = r.mem[1], backendtest.NewMemory() // as if renamed, and its name used again
	err := r.under(v.second).Claim(ctx, v.claim)
	if err == nil || !strings.Contains(err.Error(), "b3: ") || !strings.Contains(err.Error(), "is the place of another backend of this remote") || strings.Contains(err.Error(), "empty this one") {
		t.Errorf("error %v", err)
	}
}

// A removed object does not come back when a later layout asks for more
// tombstones than were needed then.
func TestRemovedBeforeParityWasRaised(t *testing.T) {
	for _, size := range []int{100, 5000} {
		v := newVersions(t, 1, 1, 3, 1, 2, 4)
		r := newVersionRig(t, v)
		r.mustPut(testKey, bytesOf(1, size))
		holder := 0
		for len(r.stored(holder, testKey, manifest.KindManifest)) == 0 {
			holder++
		}
		r.faulty[holder].Down(errDown)
		err := r.Remove(ctx, testKey, r.job())
		if (err == nil) != (size == 100) { // of the other one a shard may be left, and k = 1
			t.Fatalf("%d bytes: remove: %v", size, err)
		}
		r.faulty[holder].Up()
		if err := r.under(v.second).Claim(ctx, v.claim); err != nil {
			t.Fatal(err)
		}
		now := r.moved(v.second)
		if _, err := now.get(testKey); err == nil {
			t.Errorf("%d bytes: a removed object came back", size)
		}
		now.mustCheck(testKey, false)
		if err := now.List(ctx, now.job(), func(l Listed) { t.Errorf("%s is listed", l.Key) }); err != nil {
			t.Error(err)
		}
	}
}

// A claim that is cancelled while it looks again takes its marks back.
func TestClaimCancelledLate(t *testing.T) {
	v := newVersions(t, 2, 1, 3, 2, 1, 4)
	r := newVersionRig(t, v)
	before := r.snapshot()
	now := r.moved(v.second)
	ctx, cancel := context.WithCancel(ctx)
	now.faulty[1].Add(backendtest.Fault{Op: "list", Call: 2, Do: backendtest.Run(cancel)})
	if err := now.Claim(ctx, v.claim); err == nil {
		t.Error("claimed")
	}
	if after := r.snapshot(); len(after) != len(before) {
		t.Errorf("%d files, before %d", len(after), len(before))
	}
}
