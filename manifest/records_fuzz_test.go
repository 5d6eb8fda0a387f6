package manifest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"shardraid/vault"
)

// clearEnvelope leaves bodies in the clear: these targets are after the
// parsers behind OpenPGP.
type clearEnvelope struct{}

func (clearEnvelope) Seal(kind string, body []byte) ([]byte, error) {
	return append([]byte(kind+"\n"), body...), nil
}

func (clearEnvelope) Open(kind string, message []byte) ([]byte, error) {
	body, ok := bytes.CutPrefix(message, []byte(kind+"\n"))
	if !ok {
		return nil, fmt.Errorf("%w: not a %s", vault.ErrRecord, kind)
	}
	return body, nil
}

// goldenVault is the same in every process of a fuzzer.
func goldenVault(f *testing.F) *vault.Vault {
	f.Helper()
	data, err := os.ReadFile("testdata/records.json")
	if err != nil {
		f.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		f.Fatal(err)
	}
	card, err := vault.ParseCard(g.Card)
	if err != nil {
		f.Fatal(err)
	}
	doc, err := base64.StdEncoding.DecodeString(g.Vault)
	if err != nil {
		f.Fatal(err)
	}
	v, err := vault.Parse(doc, card)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// must returns what a Seal made.
func must(f *testing.F) func([]byte, error) []byte {
	return func(message []byte, err error) []byte {
		if err != nil {
			f.Fatal(err)
		}
		return message
	}
}

// FuzzOpenMoves: what is read is of the right incarnation, leads somewhere,
// and is written and read back the same.
func FuzzOpenMoves(f *testing.F) {
	v, must := goldenVault(f).WithEnvelope(clearEnvelope{}), must(f)
	id, inc := vault.ObjectID{1}, vault.Incarnation{2}
	first := Move{id, inc, 3, 4, strings.Repeat("a", 13), CopyID{5}, "md5:00"}
	second := Move{id, inc, 1<<32 - 1, 254, strings.Repeat("7", 13), CopyID{6}, ""}
	f.Add(must(SealMoves(v, []Move{first})))
	f.Add(must(SealMoves(v, []Move{second, first, second})))
	f.Add(must(SealMoves(v, []Move{first, {Object: id, Incarnation: inc, Backend: "../aaaaaaaaaa"}})))
	f.Add(must(SealMoves(v, []Move{{Object: id, Incarnation: vault.Incarnation{3}, Backend: first.Backend}})))
	f.Fuzz(func(t *testing.T, message []byte) {
		moves, err := OpenMoves(v, id, inc, message)
		if err != nil {
			declared(t, err)
			return
		}
		for _, m := range moves {
			if m.Object != id || m.Incarnation != inc || !backendID.MatchString(m.Backend) || len(m.Hash) > 200 {
				t.Fatalf("move %+v", m)
			}
		}
		var wire moved
		if list := bytes.SplitAfter(message, []byte(`"also":[`)); len(list) == 2 && json.NewDecoder(bytes.NewReader(list[1])).Decode(&wire) == nil && len(moves) > 1 {
			if second := moves[1]; wire != (moved{second.Segment, second.Shard, second.Backend, second.Copy, second.Hash}) {
				t.Fatalf("move %+v, from %+v", second, wire)
			}
		}
		again, err := SealMoves(v, moves)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenMoves(v, id, inc, again); err != nil || !reflect.DeepEqual(got, moves) {
			t.Fatalf("reads back as %+v, %v, want %+v", got, err, moves)
		}
		if owner, err := ObjectOf(v, Name{Kind: KindMove}, message); err != nil || owner != id {
			t.Fatalf("owner %v, %v", owner, err)
		}
	})
}

// FuzzOpenVerdict: a tombstone or doom marker is of one incarnation and one
// kind alone.
func FuzzOpenVerdict(f *testing.F) {
	v, must := goldenVault(f).WithEnvelope(clearEnvelope{}), must(f)
	id, inc := vault.ObjectID{1}, vault.Incarnation{2}
	tomb, doom := must(SealTombstone(v, id, inc)), must(SealDoom(v, id, inc))
	f.Add(tomb)
	f.Add(doom)
	f.Add(must(SealTombstone(v, vault.ObjectID{2}, inc)))
	f.Fuzz(func(t *testing.T, message []byte) {
		errs := map[Kind]error{KindTombstone: OpenTombstone(v, id, inc, message), KindDoom: OpenDoom(v, id, inc, message)}
		if errs[KindTombstone] == nil && errs[KindDoom] == nil {
			t.Fatal("both tombstone and doom marker")
		}
		for kind, err := range errs {
			owner, ownerErr := ObjectOf(v, Name{Kind: kind}, message)
			if ownerErr != nil {
				declared(t, ownerErr)
			}
			if err != nil {
				declared(t, err)
				continue
			}
			if ownerErr != nil || owner != id {
				t.Fatalf("owner %v, %v", owner, ownerErr)
			}
			_, body, _ := bytes.Cut(message, []byte("\n"))
			var got map[string]string
			want := map[string]string{"object": id.String(), "incarnation": inc.String()}
			if err := json.Unmarshal(body, &got); err != nil || !maps.Equal(got, want) {
				t.Fatalf("verdict %q", message)
			}
		}
	})
}

// FuzzReadMarker: a marker is of this vault and names one backend and layout.
func FuzzReadMarker(f *testing.F) {
	v, must := goldenVault(f).WithEnvelope(clearEnvelope{}), must(f)
	id, hash := strings.Repeat("a", 13), strings.Repeat("0f", 32)
	f.Add(must(SealMarker(v, id, hash)), id)
	f.Add(must(SealMarker(v, id, "")), id)
	f.Add([]byte(markerKind+"\n"+`{"vault":"AA","backend":"b"}`), "b")
	f.Fuzz(func(t *testing.T, message []byte, id string) {
		backend, layout, err := ReadMarker(v, message)
		hash, errOpen := OpenMarker(v, id, message)
		if err != nil {
			declared(t, err)
		}
		if errOpen != nil {
			declared(t, errOpen)
		}
		if (errOpen == nil) != (err == nil && backend == id) || errOpen == nil && hash != layout {
			t.Fatalf("marker of %q, %q: %v; as that of %q: %q, %v", backend, layout, err, id, hash, errOpen)
		}
		if err != nil {
			return
		}
		again, err := SealMarker(v, backend, layout)
		if err != nil {
			t.Fatal(err)
		}
		if b, l, err := ReadMarker(v, again); err != nil || b != backend || l != layout {
			t.Fatalf("reads back as %q, %q, %v, want %q, %q", b, l, err, backend, layout)
		}
	})
}
