package object

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"shardraid/erasure"
	"shardraid/manifest"
)

// spoil does something to the shards on a backend.
var spoils = map[string]func(r *rig, i int, paths []string){
	"corrupt": func(r *rig, i int, paths []string) {
		for _, path := range paths {
			r.mem[i].Corrupt(path)
		}
	},
	"truncated": func(r *rig, i int, paths []string) {
		for _, path := range paths {
			r.mem[i].Set(path, r.mem[i].Files()[path][:100])
		}
	},
	"longer": func(r *rig, i int, paths []string) {
		for _, path := range paths {
			r.mem[i].Set(path, append(r.mem[i].Files()[path], 0))
		}
	},
	"swapped": func(r *rig, i int, paths []string) { // each is the next segment's
		files := r.mem[i].Files()
		for n, path := range paths {
			r.mem[i].Set(path, files[paths[(n+1)%len(paths)]])
		}
	},
}

func TestSpoiledShards(t *testing.T) {
	for mode, spoil := range spoils {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			whole := newRig(t, 4, 2, 6)
			data := bytesOf(1, 4*256<<10) // four equal segments
			whole.mustPut(testKey, data)
			for bad := 1; bad <= 4; bad++ {
				r := whole.fork(t)
				for i := range bad {
					spoil(r, i, r.stored(i, testKey, manifest.KindShard))
				}
				if bad <= 2 {
					r.mustGet(testKey, data)
					r.wantDamaged(mode, bad)
					continue
				}
				got, err := r.get(testKey)
				if err == nil || !bytes.HasPrefix(data, got) {
					t.Errorf("%d backends: %v, %d bytes", bad, err, len(got))
					continue
				}
				for i := range bad {
					if !strings.Contains(err.Error(), r.pool[i].Name) {
						t.Errorf("%d backends: the error does not name %s: %v", bad, r.pool[i].Name, err)
					}
				}
			}
		})
	}
}

// wantDamaged makes sure that nobody but the first bad backends was accused:
// all of those which were read.
func (r *rig) wantDamaged(mode string, bad int) {
	r.t.Helper()
	for _, name := range r.damages {
		if !slices.Contains([]string{"b0", "b1"}[:bad], name) {
			r.t.Errorf("%s: %s is accused", mode, name)
		}
	}
	if sized := mode == "corrupt" || mode == "swapped"; sized && len(r.damages) == 0 && r.gate.did("get", manifest.KindShard) > 16 {
		r.t.Errorf("%s: nobody is told", mode)
	}
}

// One segment lost in the middle: what is before it is right, what is after it
// is not written.
func TestLostSegment(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	data := bytesOf(1, 10*128<<10)
	r.mustPut(testKey, data)
	for i := range 2 {
		for _, path := range r.stored(i, testKey, manifest.KindShard) {
			if r.name(i, path).Segment == 5 {
				r.mem[i].Corrupt(path)
			}
		}
	}
	got, err := r.get(testKey)
	if err == nil || !bytes.Equal(got, data[:5*128<<10]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err != nil && !strings.Contains(err.Error(), "segment 5") {
		t.Errorf("the error does not name the segment: %v", err)
	}
}

// A provider copies an object's files under another object's name.
func TestCopiedObject(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	for _, size := range []int{100, 5000} {
		key, other := fmt.Sprint("from", size), fmt.Sprint("to", size)
		r.mustPut(key, bytesOf(1, size))
		for i, b := range r.pool {
			from, to := b.names.Dir(r.vault.ObjectID(key)), b.names.Dir(r.vault.ObjectID(other))
			for name, data := range r.mem[i].Files() {
				if rest, ok := strings.CutPrefix(name, from); ok {
					r.mem[i].Set(to+rest, data)
				}
			}
		}
		if here, _, getErr := r.mustBeSound(other); here || getErr == nil {
			t.Errorf("%d bytes: the copy is believed: %v, %v", size, here, getErr)
		}
		r.mustPut(other, bytesOf(2, size))
		r.mustGet(other, bytesOf(2, size))
		r.mustGet(key, bytesOf(1, size))
	}
}

// A tombstone is believed for what it says, not for its name.
func TestFalseTombstones(t *testing.T) {
	r := newRig(t, 4, 2, 6)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	m := r.manifestOf(testKey)
	otherInc, _ := manifest.SealTombstone(r.vault, m.Object, manifest.NewIncarnation())
	otherObject, _ := manifest.SealTombstone(r.vault, r.vault.ObjectID("other"), m.Incarnation)
	doom, _ := manifest.SealDoom(r.vault, m.Object, m.Incarnation)
	manifestCopy, _ := m.Seal(r.vault)
	for what, message := range map[string][]byte{
		"nothing": nil, "garbage": bytesOf(1, 900), "of another incarnation": otherInc,
		"of another object": otherObject, "doom marker": doom, "manifest": manifestCopy,
	} {
		for i := range r.pool {
			r.mem[i].Set(r.pool[i].path(m.Object, manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindTombstone}), message)
		}
		if here, err := r.Check(ctx, testKey, nil); !here {
			t.Errorf("%s: believed: %v", what, err)
		}
		r.mustGet(testKey, data)
	}
	r.mustRemove(testKey) // the true ones take the false ones' place
	r.start()
	r.mustBeGone(testKey)
}

func (r *rig) mustRemove(key string) {
	r.t.Helper()
	if err := r.Remove(ctx, key, r.job()); err != nil {
		r.t.Errorf("remove: %v", err)
	}
}

// True tombstones on up to m backends are in doubt, on m+1 they hold.
func TestTombstoneQuorum(t *testing.T) {
	for _, size := range []int{100, 5000} {
		r := newRig(t, 4, 2, 6)
		data := bytesOf(1, size)
		r.mustPut(testKey, data)
		m := r.manifestOf(testKey)
		message, err := manifest.SealTombstone(r.vault, m.Object, m.Incarnation)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			r.mem[i].Set(r.pool[i].path(m.Object, manifest.Name{Incarnation: m.Incarnation, Kind: manifest.KindTombstone}), message)
			if i == 2 {
				r.mustBeGone(testKey)
				continue
			}
			if here, err := r.Check(ctx, testKey, nil); here || err == nil {
				t.Errorf("%d tombstones: %v, %v", i+1, here, err)
			}
			r.mustGet(testKey, data)
		}
	}
}

// forge replaces shard j by a false one whose tag fits, as a helper could who
// has the tag key, in all copies of the manifest.
func (r *rig) forge(key string, wrong ...int) {
	r.t.Helper()
	m := r.manifestOf(key)
	for _, j := range wrong {
		seg := &m.Segments[0]
		i := r.index(seg.Shards[j].Backend)
		path := r.stored(i, key, manifest.KindShard)[0]
		r.mem[i].Corrupt(path)
		tagger, err := erasure.NewTagger(&seg.TagKey)
		if err != nil {
			r.t.Fatal(err)
		}
		seg.Shards[j].Tag = tagger.Tag(j, r.mem[i].Files()[path])
	}
	for i := range r.pool {
		for _, path := range r.stored(i, key, manifest.KindManifest) {
			message, err := m.Seal(r.vault)
			if err != nil {
				r.t.Fatal(err)
			}
			r.mem[i].Set(path, message)
		}
	}
}

// Shards that are false though their tags fit are found by the seal.
func TestFalseShards(t *testing.T) {
	whole := newRig(t, 4, 2, 6)
	data := bytesOf(1, 5000)
	whole.mustPut(testKey, data)
	for set := range 1 << 6 {
		wrong := bits(set)
		if len(wrong) > 3 {
			continue
		}
		r := whole.fork(t)
		r.forge(testKey, wrong...)
		got, err := r.get(testKey)
		if right := err == nil && bytes.Equal(got, data); right != (len(wrong) <= 2) || err == nil && !right {
			t.Errorf("%v false: %d bytes, %v", wrong, len(got), err)
		}
		if err != nil && len(got) > 0 {
			t.Errorf("%v false: %d bytes are in the file", wrong, len(got))
		}
	}
}

// Design, section 5: the backend of a false shard is named.
func TestFalseShardIsNamed(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	r.forge(testKey, 0)
	r.faulty[r.index(r.manifestOf(testKey).Segments[0].Shards[2].Backend)].Add(slowGets()) // so that it is read
	if _, err := r.get(testKey); err != nil {
		t.Fatal(err)
	}
	want := r.pool[r.index(r.manifestOf(testKey).Segments[0].Shards[0].Backend)].Name
	if !slices.Equal(r.damages, []string{want}) {
		t.Errorf("damaged: %v, want %s; said: %q", r.damages, want, r.infos)
	}
}

// A shard was moved: its record alone says where it is.
func TestMoved(t *testing.T) {
	r := newRig(t, 2, 1, 5)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	m := r.manifestOf(testKey)
	free := slices.IndexFunc(r.pool, func(b *member) bool { return !slices.Contains(m.Backends(), b.ID) })
	for j, sh := range m.Segments[0].Shards[:2] { // two of three: more than m
		from := r.index(sh.Backend)
		path := r.stored(from, testKey, manifest.KindShard)[0]
		name := r.name(from, path)
		name.Copy = manifest.NewCopyID()
		r.mem[free].Set(r.pool[free].path(m.Object, name), r.mem[from].Files()[path])
		r.mem[from].Delete(path)
		r.putMove(manifest.Move{Object: m.Object, Incarnation: m.Incarnation, Shard: uint8(j), Backend: r.pool[free].ID, Copy: name.Copy})
		free = (slices.Index(r.pool, r.pool[free]) + 1) % len(r.pool)
		for slices.Contains(m.Backends(), r.pool[free].ID) {
			free = (free + 1) % len(r.pool)
		}
	}
	r.mustGet(testKey, data)
	r.mustCheck(testKey, true)
	r.mustRemove(testKey)
	r.mustBeGone(testKey)
	if n := r.count(testKey, manifest.KindShard) + r.count(testKey, manifest.KindMove); n > 0 {
		t.Errorf("%d files are left", n)
	}
}

func (r *rig) putMove(move manifest.Move) {
	for i := range r.parity + 1 {
		message, err := manifest.SealMoves(r.vault, []manifest.Move{move})
		if err != nil {
			r.t.Fatal(err)
		}
		name := manifest.Name{Incarnation: move.Incarnation, Kind: manifest.KindMove, Copy: manifest.NewCopyID()}
		r.mem[i].Set(r.pool[i].path(move.Object, name), message)
	}
}
