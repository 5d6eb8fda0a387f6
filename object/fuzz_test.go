package object

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"shardraid/manifest"
	"shardraid/vault"
)

// FuzzJournal damages the journal of an interrupted store. What is read of it
// is whole lines from its beginning, written and read back the same, and a
// line written behind them counts.
func FuzzJournal(f *testing.F) {
	line := func(value any) string {
		text, err := json.Marshal(value)
		if err != nil {
			f.Fatal(err)
		}
		return string(text) + "\n"
	}
	head := journalHead{1, time.Unix(1700000000, 5).UTC(), vault.Incarnation{7}, 1 << 20, 128 << 10, 2, 1}
	seg := manifest.Segment{Length: 128 << 10, Nonce: [12]byte{1}, Shards: []manifest.Shard{
		{Backend: strings.Repeat("a", 13), Copy: manifest.CopyID{2}, Tag: [16]byte{3}, Hash: "md5:00"}, {Tag: [16]byte{4}}}}
	f.Add([]byte(line(head)), 0)
	f.Add([]byte(line(head)+line(journalSegment{0, seg})+line(journalSegment{3, seg})), 3)
	f.Add([]byte(line(head)+line(journalSegment{0, seg})+`{"index":1,`), -1)
	f.Add([]byte(line(head)+strings.TrimSuffix(line(journalSegment{0, seg}), "\n")), 1)
	f.Add([]byte(line(head)+line(journalSegment{0, seg})+line(journalEnd{true})), 1)
	f.Add([]byte("null\n{}\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, index int) {
		head, segments, end := parseJournal(data)
		if head == nil {
			if end != 0 || len(segments) > 0 {
				t.Fatalf("no head, yet %d segments, end %d", len(segments), end)
			}
			return
		}
		good := data[:end]
		if head.Version != 1 || end == 0 || good[end-1] != '\n' || len(segments) >= bytes.Count(good, []byte("\n")) {
			t.Fatalf("head %+v, %d segments, end %d of %q", head, len(segments), end, data)
		}
		next, _, more := bytes.Cut(data[end:], []byte("\n"))
		if more && json.Unmarshal(next, new(journalLine)) == nil {
			t.Fatalf("line %q does not count", next)
		}
		added := line(journalSegment{index, seg})
		if segments == nil { // ended
			if _, segs, e := parseJournal(append(bytes.Clone(good), added...)); segs != nil || e != end+len(added) {
				t.Fatalf("after the end: %+v, %d", segs, e)
			}
			return
		}
		segments[index] = seg
		h, segs, e := parseJournal(append(bytes.Clone(good), added+"x"...))
		if !reflect.DeepEqual(h, head) || !reflect.DeepEqual(segs, segments) || e != end+len(added) {
			t.Fatalf("reads back as %+v, %+v, %d, want %+v, %+v, %d", h, segs, e, head, segments, end+len(added))
		}
		again := line(head)
		for i, seg := range segments {
			again += line(journalSegment{i, seg})
		}
		h, segs, e = parseJournal([]byte(again))
		if h == nil || !h.Started.Equal(head.Started) || e != len(again) || !reflect.DeepEqual(segs, segments) {
			t.Fatalf("is written and read back as %+v, %+v, %d, want %+v, %+v, %d", h, segs, e, head, segments, len(again))
		}
	})
}
