package object

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shardraid/backends/backendtest"
	"shardraid/manifest"
	"shardraid/vault"
)

const resumeSize = 12*128<<10 + 77 // thirteen segments of 2+1

// interrupted returns a rig whose store of data died after some segments, and
// how many shards it had put.
func interrupted(t *testing.T, data []byte) *rig {
	t.Helper()
	r := newRig(t, 2, 1, 3)
	r.config.Journal = JournalDir(filepath.Join(t.TempDir(), "journal"))
	r.config.Memory = 1 << 20 // a few segments at once
	r.start()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.gate.killAt(6+33, false, cancel) // at most five segments are begun and not done
	if err := r.Put(ctx, testKey, bytes.NewReader(data), int64(len(data)), nil); err == nil {
		t.Fatal("the store was not interrupted")
	}
	r.start()
	return r
}

func (r *rig) journalFile() string {
	return filepath.Join(string(r.config.Journal.(JournalDir)), r.vault.ObjectID(testKey).String())
}

func TestResumeSaves(t *testing.T) {
	data := bytesOf(1, resumeSize)
	r := interrupted(t, data)
	text, err := os.ReadFile(r.journalFile())
	if err != nil {
		t.Fatal(err)
	}
	_, done, _ := parseJournal(text)
	if len(done) == 0 {
		t.Fatal("no segment is in the journal")
	}
	r.mustCheck(testKey, false)
	r.mustPut(testKey, data)
	if n := r.gate.did("put", manifest.KindShard); n != 3*(13-len(done)) {
		t.Errorf("%d shards were put, %d of 13 segments were in the journal", n, len(done))
	}
	r.mustGet(testKey, data)
	r.mustCheck(testKey, true)
	if left, err := r.config.Journal.Names(); err != nil || len(left) > 0 {
		t.Errorf("left in the journal after success: %v, %v", left, err)
	}
}

// What the journal says is not believed where anything differs.
func TestResumeOther(t *testing.T) {
	data := bytesOf(1, resumeSize)
	for name, change := range map[string]func(r *rig, data []byte) []byte{
		"source changed at its beginning": func(r *rig, data []byte) []byte { data[0] ^= 1; return data },
		"source changed at its end":       func(r *rig, data []byte) []byte { data[len(data)-1] ^= 1; return data },
		"source is longer":                func(r *rig, data []byte) []byte { return append(data, 1) },
		"source is inlined":               func(r *rig, data []byte) []byte { return data[:100] },
		"garbage": func(r *rig, data []byte) []byte {
			r.setJournal(func([]byte) []byte { return bytesOf(3, 3000) })
			return data
		},
		"empty": func(r *rig, data []byte) []byte {
			r.setJournal(func([]byte) []byte { return nil })
			return data
		},
		"last line cut off": func(r *rig, data []byte) []byte {
			r.setJournal(func(old []byte) []byte { return old[:len(old)-10] })
			return data
		},
		"lines of garbage": func(r *rig, data []byte) []byte {
			r.setJournal(func(old []byte) []byte {
				return append(old, "null\n{}\n[]\n{\"index\":-1,\"segment\":{}}\n{\"index\":99,\"segment\":{\"Length\":1}}\n"...)
			})
			return data
		},
		"null": func(r *rig, data []byte) []byte {
			r.setJournal(func([]byte) []byte { return []byte("null\n") })
			return data
		},
		"shards are gone": func(r *rig, data []byte) []byte {
			for i := range r.pool {
				for _, path := range r.stored(i, testKey, manifest.KindShard) {
					r.mem[i].Delete(path)
				}
			}
			return data
		},
		"shards are cut off": func(r *rig, data []byte) []byte {
			spoils["truncated"](r, 1, r.stored(1, testKey, manifest.KindShard))
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := interrupted(t, data)
			now := change(r, bytes.Clone(data))
			r.mustPut(testKey, now)
			r.mustGet(testKey, now)
			r.mustCheck(testKey, true)
		})
	}
}

// overtaken is a Journal that is opened just after something else has happened.
type overtaken struct {
	Journal
	first func()
}

func (j overtaken) Open(name string) (JournalFile, error) {
	j.first()
	return j.Journal.Open(name)
}

// A process has looked, another one of the clone goes on with the interrupted
// store, puts the manifests and dies: the first must not resume that
// incarnation, in which it has seen no manifest.
func TestResumeOvertaken(t *testing.T) {
	data := bytesOf(1, resumeSize)
	r := interrupted(t, data)
	other := &rig{t: t, dir: r.dir, config: r.config, mem: r.mem}
	other.config.Journal = overtaken{r.config.Journal, func() {
		for _, f := range r.faulty {
			f.Add(backendtest.Fault{Op: "list", Call: 2, Do: backendtest.ErrorInstead(errDown)})
		}
		if err := r.put(testKey, data); err == nil {
			t.Fatal("read back from nowhere")
		}
	}}
	other.start()
	other.mustPut(testKey, data)
	incs := map[vault.Incarnation]bool{}
	for i := range r.pool {
		for _, path := range r.stored(i, testKey, manifest.KindManifest) {
			incs[r.name(i, path).Incarnation] = true
		}
	}
	if len(incs) != 2 {
		t.Errorf("manifests of %d incarnations, want 2", len(incs))
	}
	other.mustGet(testKey, data)
}

func (r *rig) setJournal(change func(old []byte) []byte) {
	r.t.Helper()
	old, err := os.ReadFile(r.journalFile())
	if err == nil {
		err = os.WriteFile(r.journalFile(), change(old), 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// The journal tells a thief of the disk nothing.
func TestJournalHoldsNoSecret(t *testing.T) {
	r := interrupted(t, bytesOf(1, resumeSize))
	text, err := os.ReadFile(r.journalFile())
	if err != nil {
		t.Fatal(err)
	}
	head, segments, _ := parseJournal(text)
	if head == nil || len(segments) == 0 {
		t.Fatalf("nothing was journalled: %q", text)
	}
	for i, seg := range segments {
		if seg.TagKey != [32]byte{} {
			t.Errorf("the tag key of segment %d is there", i)
		}
	}
	if strings.Contains(string(text), testKey) {
		t.Error("the key is there")
	}
}

// While one process stores an object another one may, too, without a journal.
func TestJournalLocked(t *testing.T) {
	data := bytesOf(1, resumeSize)
	r := interrupted(t, data)
	j, err := r.openJournal(r.vault.ObjectID(testKey), journalHead{Version: 1})
	if err != nil || j == nil {
		t.Fatal(j, err)
	}
	defer j.close(false)
	r.mustPut(testKey, data)
	r.mustGet(testKey, data)
}
