package object

import (
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
	"shardraid/vault"
)

// A store whose incarnation is removed or collected while its manifest is
// being written does not succeed with it.
func TestStoreHonoursVerdicts(t *testing.T) {
	for kind, seal := range map[manifest.Kind]func(*vault.Vault, vault.ObjectID, vault.Incarnation) ([]byte, error){
		manifest.KindDoom: manifest.SealDoom, manifest.KindTombstone: manifest.SealTombstone,
	} {
		r := newRig(t, 2, 1, 3)
		var doomed vault.Incarnation
		isManifest := func(name string) bool {
			n := r.name(0, name)
			if doomed.IsZero() && n.Kind == manifest.KindManifest {
				doomed = n.Incarnation
			}
			return n.Kind == manifest.KindManifest
		}
		r.faulty[0].Add(backendtest.Fault{Op: "put", Match: isManifest, Call: 1, Do: backendtest.Run(func() {
			message, err := seal(r.vault, r.vault.ObjectID(testKey), doomed)
			if err != nil {
				t.Error(err)
			}
			for i, b := range r.pool {
				r.mem[i].Set(b.path(r.vault.ObjectID(testKey), manifest.Name{Incarnation: doomed, Kind: kind}), message)
			}
		})})
		data := bytesOf(1, 5000)
		r.mustPut(testKey, data)
		r.faulty[0].Verify(t)
		r.mustCheck(testKey, true)
		r.mustGet(testKey, data)
	}
}

// A store whose manifest stands on m backends only is no success, whatever the
// backends have said.
func TestStoreNeedsManifests(t *testing.T) {
	for _, size := range []int{10, 5000} {
		r := newRig(t, 2, 1, 3)
		for i := range 2 {
			isManifest := func(name string) bool { return r.name(i, name).Kind == manifest.KindManifest }
			r.faulty[i].Add(backendtest.Fault{Op: "put", Match: isManifest, Do: backendtest.Drop()})
		}
		if err := r.put(testKey, bytesOf(1, size)); err == nil || !strings.Contains(err.Error(), "read back: ") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// The marker of an earlier layout under the name of the present one's proves
// nothing.
func TestMarkerOfAnotherLayout(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	for i := range 2 {
		message, err := manifest.SealMarker(r.vault, r.pool[i].ID, "another layout")
		if err != nil {
			t.Fatal(err)
		}
		r.mem[i].Set(r.pool[i].marker, message)
	}
	if here, err := r.Check(ctx, testKey, r.job()); err == nil || !strings.Contains(err.Error(), "marker") {
		t.Errorf("check: %v, %v", here, err)
	}
}
