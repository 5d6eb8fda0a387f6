package torrent

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/log"
	lib "github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/merkle"
	"github.com/anacrolix/torrent/metainfo"
)

type dict = map[string]any

// sample is a file of a torrent that a test makes.
type sample struct {
	path []string
	data []byte
}

func content(seed, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*seed + i>>8)
	}
	return b
}

const pieceLength = 32 << 10

// several have whole pieces, a part of one, none, and the same data twice.
var several = []sample{
	{[]string{"a b"}, content(3, 3*pieceLength+5)},
	{[]string{"d", "empty"}, nil},
	{[]string{"d", "same"}, content(3, 3*pieceLength+5)},
	{[]string{"d", "x", "small"}, content(5, 100)},
	{[]string{"e"}, content(7, 2*pieceLength)},
}

// make1 makes the fields of version 1: pads only where pad is set.
func make1(files []sample, pad bool) dict {
	var stream []byte
	var list []any
	for _, f := range files {
		if rest := len(stream) % pieceLength; pad && rest > 0 && len(f.data) > 0 {
			list = append(list, dict{"attr": "p", "length": pieceLength - rest, "path": []string{".pad", fmt.Sprint(pieceLength - rest)}})
			stream = append(stream, make([]byte, pieceLength-rest)...)
		}
		list = append(list, dict{"length": len(f.data), "path": f.path})
		stream = append(stream, f.data...)
	}
	pieces, err := metainfo.GeneratePieces(bytes.NewReader(stream), pieceLength, nil)
	if err != nil {
		panic(err)
	}
	info := dict{"name": "torrent", "piece length": pieceLength, "pieces": string(pieces), "files": list}
	if len(files) == 1 {
		delete(info, "files")
		info["name"], info["length"] = files[0].path[0], len(files[0].data)
	}
	return info
}

// make2 adds the fields of version 2.
func make2(files []sample, info dict) (layers dict) {
	tree, layers := dict{}, dict{}
	for _, f := range files {
		dir := tree
		for _, name := range f.path {
			if dir[name] == nil {
				dir[name] = dict{}
			}
			dir = dir[name].(dict)
		}
		leaf := dict{"length": len(f.data)}
		dir[""] = leaf
		if len(f.data) == 0 {
			continue
		}
		h := merkle.NewHash()
		h.Write(f.data) //nolint:errcheck // of a hash
		leaf["pieces root"] = string(h.Sum(nil))
		layer := ""
		for chunk := range slices.Chunk(f.data, pieceLength) {
			h := merkle.NewHash()
			h.Write(chunk) //nolint:errcheck // of a hash
			layer += string(h.SumMinLength(nil, pieceLength))
		}
		if len(layer) > 32 {
			layers[leaf["pieces root"].(string)] = layer
		}
	}
	info["file tree"], info["meta version"] = tree, 2
	return layers
}

// torrentOf makes a .torrent of a kind: v1, v2 or hybrid, as long as it is not marshalled.
func torrentOf(kind string, files []sample) (outer, info dict) {
	info = make1(files, kind == "hybrid")
	outer = dict{"info": info, "announce": "udp://t.example:1/a", "url-list": "http://w.example/", "comment": "x", "creation date": 1}
	if kind != "v1" {
		outer["piece layers"] = make2(files, info)
	}
	if kind == "v2" {
		for _, key := range []string{"pieces", "files", "length"} {
			delete(info, key)
		}
	}
	return outer, info
}

// short are files that a torrent of version 2 alone may have.
var short = []sample{{[]string{"a"}, content(3, pieceLength)}, {[]string{"d", "b"}, nil}, {[]string{"d", "c"}, content(5, 1)}}

// sampleTorrents are torrents that are accepted.
func sampleTorrents(t testing.TB) (all [][]byte) {
	for _, kind := range []string{"v1", "hybrid"} {
		for _, files := range [][]sample{several, several[:1], several[4:], short, {{[]string{"empty"}, nil}}} {
			outer, _ := torrentOf(kind, files)
			all = append(all, bencode.MustMarshal(outer))
		}
	}
	for _, files := range [][]sample{short, short[:1], short[1:2]} {
		outer, info := torrentOf("v2", files)
		info["private"] = 1
		all = append(all, bencode.MustMarshal(outer))
	}
	for _, b := range all {
		if _, err := ParseMetainfo(b); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
	}
	return all
}

func TestMetainfoKinds(t *testing.T) {
	for _, kind := range []string{"v1", "v2", "hybrid"} {
		files := several
		if kind == "v2" {
			files = short
		}
		outer, info := torrentOf(kind, files)
		m, err := ParseMetainfo(bencode.MustMarshal(outer))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		checkMetainfo(t, m)
		if len(m.Files) != len(files) || (m.Hash == "") != (kind == "v2") || (m.HashV2 == "") != (kind == "v1") || m.Private {
			t.Errorf("%s: %+v", kind, m)
		}
		for i, f := range m.Files {
			if f.Index != i || f.Path != strings.Join(files[i].path, "/") || f.Size != int64(len(files[i].data)) || f.Pad {
				t.Errorf("%s: file %+v", kind, f)
			}
		}
		l := m.Link(1)
		seeds := []string{"http://w.example/"}
		if kind != "v1" {
			seeds = nil // they would end the library
		}
		if l.Index != 1 || l.Name != "torrent" || !slices.Equal(l.Trackers, []string{"udp://t.example:1/a"}) || !slices.Equal(l.WebSeeds, seeds) || l.Peers != nil {
			t.Errorf("%s: link %+v", kind, l)
		}
		info["private"] = 1
		if m, err = ParseMetainfo(bencode.MustMarshal(outer)); err != nil || !m.Private || m.Link(-1).Trackers != nil {
			t.Errorf("%s, private: %+v, %v", kind, m, err)
		} else if len(m.MI.AnnounceList) != 1 {
			t.Errorf("%s, private: the library gets no tracker", kind)
		}
		bare, err := ParseInfo(bencode.MustMarshal(info))
		if err != nil || bare.Hash != m.Hash || bare.HashV2 != m.HashV2 || !reflect.DeepEqual(bare.Files, m.Files) || bare.Link(-1).Trackers != nil {
			t.Errorf("%s, info alone: %+v, %v", kind, bare, err)
		}
	}
}

// TestMetainfoSingle names the file of a torrent of one file, whatever the version.
func TestMetainfoSingle(t *testing.T) {
	for _, kind := range []string{"v1", "v2", "hybrid"} {
		outer, info := torrentOf(kind, short[:1])
		m, err := ParseMetainfo(bencode.MustMarshal(outer))
		if err != nil || len(m.Files) != 1 || m.Files[0] != (File{0, "a", pieceLength, false}) {
			t.Errorf("%s: %+v, %v", kind, m, err)
		}
		if kind != "v1" {
			continue
		}
		info["name.utf-8"], info["name"] = "日本", "\x93\xfa\x96{" // Shift JIS
		if m, err = ParseMetainfo(bencode.MustMarshal(outer)); err != nil || m.Files[0].Path != "日本" {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

func TestMetainfoPads(t *testing.T) {
	info := make1(several, true)
	files := info["files"].([]any)
	files[2].(dict)["path.utf-8"] = []string{"é"}
	files[2].(dict)["path"] = []string{"\xe9"}
	files = append(files, dict{"length": 0, "path": []string{"link"}, "attr": "lx", "symlink path": []string{"..", "..", "etc"}})
	info["files"] = files
	m, err := ParseInfo(bencode.MustMarshal(info))
	if err != nil {
		t.Fatal(err)
	}
	checkMetainfo(t, m)
	var got []string
	for _, f := range m.Files {
		got = append(got, fmt.Sprint(f.Index, " ", f.Path, " ", f.Pad))
	}
	want := []string{"0 a b false", "1 d/empty false", "2 é true", "3 d/same false", "4 .pad/32763 true", "5 d/x/small false", "6 .pad/32668 true", "7 e false", "8 link true"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMetainfoURLs(t *testing.T) {
	long := "http://h/" + long("x", maxURL)
	tiers := []any{
		[]string{"udp://a:1", "ftp://b", long, "udp://a:1"}, []string{"javascript:x"}, []any{}, "wss://c", 5, dict{},
		[]any{"http://d", 7, []string{"http://nested"}}, []string{"http://e\n"},
	}
	for _, test := range []struct {
		announce, tiers, seeds any
		want                   string
	}{
		{"udp://x:1", nil, nil, "[[udp://x:1]] []"},
		{"udp://x:1", tiers, []string{"http://s/", "udp://s:1", long, "https://s"}, "[[udp://a:1] [wss://c] [http://d]] [http://s/ https://s]"},
		{"udp://x:1", []any{[]string{"ftp://x"}}, "ftp://s", "[[udp://x:1]] []"},
		{nil, nil, []any{5, []string{"http://s"}, dict{}}, "[] []"},
		{5, 5, 5, "[] []"},
		{[]string{"udp://x:1"}, dict{}, dict{}, "[[udp://x:1]] []"},
	} {
		outer, _ := torrentOf("v1", short)
		delete(outer, "announce")
		delete(outer, "url-list")
		urls := dict{"announce": test.announce, "announce-list": test.tiers, "url-list": test.seeds}
		for key, v := range urls {
			if v != nil {
				outer[key] = v
			}
		}
		outer["nodes"] = []any{[]any{"router.example"}, 3}
		m, err := ParseMetainfo(bencode.MustMarshal(outer))
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		checkMetainfo(t, m)
		if got := fmt.Sprint(m.MI.AnnounceList, m.MI.UrlList); got != test.want || m.MI.Nodes != nil {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
	outer, _ := torrentOf("v1", short)
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf("http://h%d/", i))
	}
	outer["announce-list"], outer["url-list"] = []any{all[:15], all[15:]}, all
	m, err := ParseMetainfo(bencode.MustMarshal(outer))
	if err != nil || len(m.Link(-1).Trackers) != maxURLs || len(m.MI.UrlList) != maxURLs {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMetainfoBytes(t *testing.T) {
	for _, b := range sampleTorrents(t) {
		m, err := ParseMetainfo(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b) // nothing of it is used any more
		checkMetainfo(t, m)
	}
}

// checkMetainfo holds a torrent that was accepted to what is promised, and lets
// the library do what it does with one.
func checkMetainfo(t *testing.T, m *Metainfo) {
	t.Helper()
	for i, f := range m.Files {
		if f.Index != i || f.Size < 0 || f.Size > maxSize {
			t.Fatalf("file %d: %+v", i, f)
		}
		checkSafe(t, f.Path)
	}
	if len(m.Files) == 0 || len(m.Files) > maxFiles || m.Hash == "" && m.HashV2 == "" {
		t.Fatalf("%d files, hashes %q %q", len(m.Files), m.Hash, m.HashV2)
	}
	var real []File // the others may be the same
	for _, f := range m.Files {
		if !f.Pad {
			real = append(real, f)
		}
	}
	checkDistinct(t, real)
	for _, index := range []int{-1, len(m.Files) - 1} {
		checkLink(t, m.Link(index))
	}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseMetainfo(b)
	if err != nil || !reflect.DeepEqual(again.Files, m.Files) || !reflect.DeepEqual(again.Link(3), m.Link(3)) || again.Private != m.Private || !bytes.Equal(again.MI.InfoBytes, m.MI.InfoBytes) {
		t.Fatalf("%+v becomes %+v, %v", m, again, err)
	}
	useLibrary(t, m, b)
}

func useLibrary(t *testing.T, m *Metainfo, b []byte) {
	t.Helper()
	var mi metainfo.MetaInfo
	if err := bencode.Unmarshal(b, &mi); err != nil {
		t.Fatal(err)
	}
	info, err := mi.UnmarshalInfo()
	hash := mi.HashInfoBytes()
	if err != nil || m.Hash != "" && m.Hash != hash.HexString() || info.HasV1() != (m.Hash != "") || info.HasV2() != (m.HashV2 != "") {
		t.Fatalf("hashes %q %q: %v, %v", m.Hash, m.HashV2, hash, err)
	}
	var total, whole int64
	for i, fi := range info.UpvertedFiles() {
		f := m.Files[i]
		if name := fi.DisplayPath(&info); f.Path != name || f.Size != fi.Length || fi.EndPieceIndex(info.PieceLength) > info.NumPieces() || info.HasV2() && f.Size > 0 && !fi.PiecesRoot.Ok {
			t.Fatalf("file %+v is %+v to the library", f, fi)
		}
		total += f.Size
	}
	pieces := info.NumPieces()
	step := max(1, pieces*len(m.Files)/100_000)
	for i := 0; i < pieces; i += step {
		p := info.Piece(i)
		whole += p.Length()
		if p.V1Hash().Ok != info.HasV1() || info.HasV1() && p.V1Length() < p.Length() || p.Offset() < 0 {
			t.Fatalf("piece %d of %d", i, pieces)
		}
	}
	if total != info.TotalLength() || step == 1 && whole != total || pieces > maxPieces {
		t.Fatalf("%d bytes in files, %d in %d pieces", total, whole, pieces)
	}
	info.FileSegmentsIndex()
	if _, err := mi.MagnetV2(); err != nil {
		t.Fatal(err)
	}
	if len(mi.PieceLayers) > 0 {
		complete := len(mi.PieceLayers) == len(m.MI.PieceLayers)
		if err := metainfo.ValidatePieceLayers(mi.PieceLayers, &info.FileTree, info.PieceLength); err != nil && !strings.Contains(err.Error(), "no piece layers for") || !complete {
			t.Fatal(err)
		}
	}
	mi.Write(io.Discard) //nolint:errcheck // must not panic
}

// TestMetainfoInLibrary gives all samples to a client, as nobody has read all
// that it does with one.
func TestMetainfoInLibrary(t *testing.T) {
	config := lib.NewDefaultClientConfig()
	config.NoDHT, config.DisableTrackers, config.DisablePEX, config.DisableUTP, config.NoDefaultPortForwarding = true, true, true, true, true
	config.DisableIPv6, config.ListenPort, config.ListenHost = true, 0, lib.LoopbackListenHost
	config.DefaultStorage = nowhere{} // the library's own makes a file here
	config.Slogger = slog.New(slog.DiscardHandler)
	config.Logger = log.NewLogger()
	config.Logger.SetHandlers(log.DiscardHandler)
	client, err := lib.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, b := range sampleTorrents(t) {
		m, err := ParseMetainfo(b)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := lib.TorrentSpecFromMetaInfoErr(m.MI)
		if err != nil {
			t.Fatal(err)
		}
		if m.Hash == "" { // it panics without
			copy(spec.InfoHash[:], spec.InfoHashV2.Value[:])
			spec.InfoHashV2.SetNone()
		}
		spec.Storage = nowhere{}
		torrent, _, err := client.AddTorrentSpec(spec)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		for i, f := range torrent.Files() {
			if f.DisplayPath() != m.Files[i].Path || f.Length() != m.Files[i].Size {
				t.Errorf("file %+v is %s to the library", m.Files[i], f.DisplayPath())
			}
			f.Download()
			f.State()
		}
		if torrent.BytesMissing() != torrent.Length() {
			t.Errorf("%d bytes of %d are missing", torrent.BytesMissing(), torrent.Length())
		}
		torrent.Drop()
	}
}

type refusal struct {
	why, kind string
	change    func(outer, info dict)
}

func (r refusal) make() (outer dict) {
	samples := several
	if r.kind == "v2" {
		samples = short
	}
	outer, info := torrentOf(r.kind, samples)
	r.change(outer, info)
	return outer
}

func files(info dict) []any { return info["files"].([]any) }

func file(info dict, i int) dict { return files(info)[i].(dict) }

// leaf is a file of the file tree.
func leaf(info dict, path ...string) dict {
	dir := info["file tree"].(dict)
	for _, name := range append(path, "") {
		dir = dir[name].(dict)
	}
	return dir
}

// root is the pieces root of the first of several.
func root(info dict) string { return leaf(info, "a b")["pieces root"].(string) }

var refusals = []refusal{
	{"no info dictionary", "v1", func(o, i dict) { delete(o, "info") }},
	{"not a dictionary", "v1", func(o, i dict) { o["info"] = "x" }},
	{"not a dictionary", "v1", func(o, i dict) { o["info"] = []any{i} }},
	{"a part of the name is empty", "v1", func(o, i dict) { delete(i, "name") }},
	{`the torrent's name ".."`, "v1", func(o, i dict) { i["name"] = ".." }},
	{`the torrent's name ".."`, "v2", func(o, i dict) { i["name"] = ".." }},
	{`the torrent's name "../x"`, "v1", func(o, i dict) { i["name.utf-8"] = "../x" }},
	{"not UTF-8", "v1", func(o, i dict) { i["name"] = "\xff" }},
	{`"name" has a value of the wrong type`, "v1", func(o, i dict) { i["name"] = []string{"x"} }},
	{`"pieces" has a value of the wrong type`, "v1", func(o, i dict) { i["pieces"] = 1 }},
	{`"piece length" has a value of the wrong type`, "v1", func(o, i dict) { i["piece length"] = "1" }},
	{`"files" has a value of the wrong type`, "v1", func(o, i dict) { i["files"] = dict{} }},
	{`"meta version" has a value of the wrong type`, "v2", func(o, i dict) { i["meta version"] = []int{2} }},
	{"pieces of 0 bytes", "v1", func(o, i dict) { i["piece length"] = 0 }},
	{"pieces of 0 bytes", "v2", func(o, i dict) { i["piece length"] = 0 }},
	{"pieces of 0 bytes", "v2", func(o, i dict) { delete(i, "piece length") }},
	{"pieces of -16384 bytes", "v2", func(o, i dict) { i["piece length"] = -16384 }},
	{"pieces of -1 bytes", "v1", func(o, i dict) { i["piece length"] = -1 }},
	{"pieces of 67108865 bytes", "v1", func(o, i dict) { i["piece length"] = maxPieceLength + 1 }},
	{"pieces of 134217728 bytes", "hybrid", func(o, i dict) { i["piece length"] = 2 * maxPieceLength }},
	{"pieces of 8192 bytes: must be a power of two", "v2", func(o, i dict) { i["piece length"] = 8192 }},
	{"pieces of 49152 bytes: must be a power of two", "hybrid", func(o, i dict) { i["piece length"] = 49152 }},
	{"version 3 is not known", "v1", func(o, i dict) { i["meta version"] = 3 }},
	{"version -1 is not known", "v1", func(o, i dict) { i["meta version"] = -1 }},
	{"belong together", "v1", func(o, i dict) { i["meta version"] = 2 }},
	{"belong together", "hybrid", func(o, i dict) { delete(i, "meta version") }},
	{"belong together", "hybrid", func(o, i dict) { i["meta version"] = 1 }},
	{"belong together", "v2", func(o, i dict) { delete(i, "file tree") }},
	{"either a length or files", "v1", func(o, i dict) { delete(i, "files") }},
	{"either a length or files", "v1", func(o, i dict) { i["length"] = 1 }},
	{"either a length or files", "hybrid", func(o, i dict) { delete(i, "files") }},
	{"has no files", "v1", func(o, i dict) { i["files"] = []any{} }},
	{"has no files", "v2", func(o, i dict) { i["files"] = []any{} }},
	{"file 2: not a dictionary", "v1", func(o, i dict) { files(i)[1] = "x" }},
	{`file 2: "length" has a value of the wrong type`, "v1", func(o, i dict) { file(i, 1)["length"] = "x" }},
	{`file 1: "path" has a value of the wrong type`, "v1", func(o, i dict) { file(i, 0)["path"] = "x" }},
	{`file 1: "path.utf-8" has a value of the wrong type`, "v1", func(o, i dict) { file(i, 0)["path.utf-8"] = "x" }},
	{`file 1: "attr" has a value of the wrong type`, "v1", func(o, i dict) { file(i, 0)["attr"] = []string{"p"} }},
	{"parse info dictionary", "v1", func(o, i dict) { file(i, 0)["path"] = []any{dict{}} }},
	{"parse info dictionary", "v1", func(o, i dict) { i["source"] = dict{} }},
	{"a file has no name", "v1", func(o, i dict) { delete(file(i, 0), "path") }},
	{"a file has no name", "v1", func(o, i dict) { file(i, 0)["path"] = []string{} }},
	{`file "../x"`, "v1", func(o, i dict) { file(i, 0)["path"] = []string{"..", "x"} }},
	{`file "/etc"`, "v1", func(o, i dict) { file(i, 0)["path"] = []string{"", "etc"} }},
	{`file "a/../../x": a part of the name holds a slash`, "v1", func(o, i dict) { file(i, 0)["path"] = []string{"a/../../x"} }},
	{`file "../x"`, "v1", func(o, i dict) { file(i, 0)["path.utf-8"] = []string{"..", "x"} }},
	{`file "..": ".." is no name`, "v1", func(o, i dict) { file(i, 0)["path"] = []any{[]string{".."}} }},
	{`file ".git/config"`, "v1", func(o, i dict) { file(i, 0)["path"] = []string{".git", "config"} }},
	{`file ".git/config"`, "v2", func(o, i dict) { i["file tree"].(dict)[".git"] = dict{"config": dict{"": dict{"length": 0}}} }},
	{`file "../x"`, "v2", func(o, i dict) { i["file tree"].(dict)[".."] = dict{"x": dict{"": dict{"length": 0}}} }},
	{"a part of the name holds a slash", "v2", func(o, i dict) { i["file tree"].(dict)["/x"] = dict{"": dict{"length": 0}} }},
	{`"e" is there twice`, "v1", func(o, i dict) { file(i, 0)["path"] = []string{"e"} }},
	{`"d/empty" is a file too`, "v1", func(o, i dict) { file(i, 0)["path"] = []string{"d", "empty", "x"} }},
	{"a size of -1 bytes", "v1", func(o, i dict) { file(i, 1)["length"] = -1 }},
	{"a size of -1 bytes", "v2", func(o, i dict) { leaf(i, "d", "b")["length"], leaf(i, "d", "b")["pieces root"] = -1, long("x", 32) }},
	{"a size of 1125899906842625 bytes", "v1", func(o, i dict) { file(i, 1)["length"] = maxSize + 1 }},
	{"a size of 9223372036854775807 bytes", "v1", func(o, i dict) { file(i, 1)["length"] = int64(1<<63 - 1) }},
	{"a size of 1125899906842624 bytes", "v1", func(o, i dict) { file(i, 1)["length"] = maxSize }},
	{"bytes of hashes for", "v1", func(o, i dict) { i["pieces"] = i["pieces"].(string) + long("x", 20) }},
	{"bytes of hashes for", "v1", func(o, i dict) { i["pieces"] = i["pieces"].(string)[20:] }},
	{"bytes of hashes for", "v1", func(o, i dict) { i["pieces"] = i["pieces"].(string) + "x" }},
	{"bytes of hashes for", "v1", func(o, i dict) { delete(i, "pieces") }},
	{"bytes of hashes for", "v1", func(o, i dict) { file(i, 1)["length"] = 2 * pieceLength }},
	{"bytes of hashes for", "hybrid", func(o, i dict) { i["pieces"] = i["pieces"].(string)[20:] }},
	{"bytes of hashes for", "hybrid", func(o, i dict) { delete(i, "pieces") }},
	{"bytes of hashes for", "v2", func(o, i dict) { i["length"] = 1 }},
	{"either a length or files", "v2", func(o, i dict) { i["pieces"] = long("x", 40) }},
	{"file tree: a directory is empty", "v2", func(o, i dict) { i["file tree"] = dict{} }},
	{"file tree: a directory is empty", "v2", func(o, i dict) { i["file tree"].(dict)["d"] = dict{} }},
	{`file tree: "a" is not a dictionary`, "v2", func(o, i dict) { i["file tree"].(dict)["a"] = "x" }},
	{`file tree: name "" is not in order`, "v2", func(o, i dict) { i["file tree"].(dict)[""] = dict{"length": 0} }},
	{"a file is a directory too", "v2", func(o, i dict) { i["file tree"].(dict)["a"].(dict)["x"] = dict{"": dict{"length": 0}} }},
	{"a file: not a dictionary", "v2", func(o, i dict) { i["file tree"].(dict)["a"].(dict)[""] = 5 }},
	{`a file: "length" has a value of the wrong type`, "v2", func(o, i dict) { leaf(i, "a")["length"] = []int{5} }},
	{`a file: "pieces root" has a value of the wrong type`, "v2", func(o, i dict) { leaf(i, "a")["pieces root"] = []string{long("x", 32)} }},
	{"a pieces root of 31 bytes", "v2", func(o, i dict) { leaf(i, "a")["pieces root"] = long("x", 31) }},
	{"a pieces root of 33 bytes", "v2", func(o, i dict) { leaf(i, "a")["pieces root"] = long("x", 33) }},
	{"a pieces root of 0 bytes", "v2", func(o, i dict) { delete(leaf(i, "a"), "pieces root") }},
	{"a pieces root of 0 bytes", "hybrid", func(o, i dict) { leaf(i, "e")["pieces root"] = "" }},
	{"a pieces root of 1 bytes", "v2", func(o, i dict) { leaf(i, "d", "b")["pieces root"] = "x" }},
	{"in each other", "v2", func(o, i dict) { i["file tree"] = nested(70, "x") }},
	{"too large and too deep", "v2", func(o, i dict) { i["file tree"] = nested(50, long("x", 3<<20)) }},
	{"of version 2 alone", "v2", func(o, i dict) { leaf(i, "a")["length"] = pieceLength + 1 }},
	{"in version 1", "hybrid", func(o, i dict) {
		i["files"] = append(files(i), dict{"length": pieceLength, "path": []string{".pad", "x"}, "attr": "p"})
		i["pieces"] = i["pieces"].(string) + long("x", 20)
	}},
	{"is another one, or elsewhere", "hybrid", func(o, i dict) { file(i, 0)["path"] = []string{"a"} }},
	{"is another one, or elsewhere", "hybrid", func(o, i dict) { file(i, 0)["length"], file(i, 2)["length"] = 3*pieceLength+6, pieceLength-6 }},
	{"is another one, or elsewhere", "hybrid", func(o, i dict) {
		leaf(i, "d", "empty")["length"], leaf(i, "d", "empty")["pieces root"] = 1, long("x", 32)
		leaf(i, "e")["length"] = pieceLength
	}},
	{"is another one, or elsewhere", "hybrid", func(o, i dict) { i["files"] = append(files(i), dict{"length": 0, "path": []string{"z"}}) }},
	{"is not in version 1", "hybrid", func(o, i dict) { i["file tree"].(dict)["z"] = dict{"": dict{"length": 0}} }},
	{"is not in version 1", "hybrid", func(o, i dict) {
		i["files"] = slices.Delete(files(i), 1, 2)
		delete(i["file tree"].(dict)["d"].(dict), "empty")
		i["file tree"].(dict)["zz"] = dict{"": dict{"length": 0}}
	}},
	{"is another one, or elsewhere", "hybrid", func(o, i dict) {
		file(i, 2)["length"], file(i, 4)["length"] = pieceLength-6, pieceLength-4 // d/same begins a byte too early
	}},
	{"a key is no hash", "hybrid", func(o, i dict) { o["piece layers"].(dict)["x"] = "" }},
	{"bytes of piece layers for 4 pieces", "hybrid", func(o, i dict) { o["piece layers"].(dict)[root(i)] = long("x", 96) }},
	{"bytes of piece layers for 4 pieces", "hybrid", func(o, i dict) { o["piece layers"].(dict)[root(i)] = long("x", 129) }},
	{"bytes of piece layers for 4 pieces", "hybrid", func(o, i dict) { o["piece layers"].(dict)[root(i)] = []any{} }},
	{"do not have its pieces root", "hybrid", func(o, i dict) { o["piece layers"].(dict)[root(i)] = long("x", 128) }},
}

func nested(depth int, name string) dict {
	d := dict{"": dict{"length": 0, "x": name}}
	for range depth {
		d = dict{"d": d}
	}
	return d
}

func TestMetainfoRefuses(t *testing.T) {
	for n, r := range refusals {
		t.Run(fmt.Sprintf("%d %s", n, r.why), func(t *testing.T) {
			outer := r.make()
			_, err := ParseMetainfo(bencode.MustMarshal(outer))
			wantError(t, err, r.why)
			wantError(t, err, "read torrent: ")
			if _, err := ParseInfo(bencode.MustMarshal(outer["info"])); err == nil && outer["info"] != nil && outer["piece layers"] == nil {
				t.Error("the info dictionary alone is accepted")
			} else if err != nil {
				wantError(t, err, "read info dictionary: ")
			}
		})
	}
}

// TestMetainfoBombs refuses in little time and memory what is small and would
// need a lot of both.
func TestMetainfoBombs(t *testing.T) {
	many := func(n int) []byte { // files without anything
		return []byte("d4:infod5:filesl" + strings.Repeat("de", n) + "e6:lengthi0e4:name1:x12:piece lengthi1eee")
	}
	var v1, v2 bytes.Buffer
	for i := range maxFiles + 1 {
		fmt.Fprintf(&v1, "d6:lengthi1e4:pathl6:%06dee", i)
		fmt.Fprintf(&v2, "6:%06dd0:d6:lengthi0eee", i)
	}
	paths := v2.String()
	for _, name := range []string{"a", "b", "c", "d"} {
		paths = "200:" + long(name, 200) + "d" + paths + "e"
	}
	pieces := func(n int, length int64) []byte { // of one file
		return fmt.Appendf(nil, "d4:infod6:lengthi%de4:name1:x12:piece lengthi%de6:pieces%d:%see", int64(n)*length, length, 20*n, long("x", 20*n))
	}
	for _, test := range []struct {
		why string
		b   []byte
	}{
		{"more than 32 MiB", make([]byte, MaxMetainfo+1)},
		{"more than 100000 files", many(1_000_000)},
		{"more than 100000 files", []byte("d4:infod5:filesl" + v1.String() + "e4:name1:x12:piece lengthi1e6:pieces0:ee")},
		{"more than 100000 files", []byte("d4:infod9:file treed" + v2.String() + "e12:meta versioni2e4:name1:x12:piece lengthi16384eee")},
		{"paths of all files together", []byte("d4:infod9:file treed" + paths + "e12:meta versioni2e4:name1:x12:piece lengthi16384eee")},
		{"values", []byte("d4:info" + strings.Repeat("l", 60) + strings.Repeat("le", 12_000_000) + strings.Repeat("e", 60) + "e")},
		{"of version 2 alone", bencode.MustMarshal(dict{"info": dict{"name": "x", "piece length": 16384, "meta version": 2, "file tree": dict{"x": dict{"": dict{"length": maxSize, "pieces root": long("x", 32)}}}}})},
		{"1048577 pieces, more than 1048576", pieces(maxPieces+1, 1)},
		{"more than 64 TiB", pieces(maxPieces, maxPieceLength)},
		{"too many of both", manyOfBoth()},
		{"too many files with piece layers", manyLayers()},
	} {
		t.Run(test.why, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, err := ParseMetainfo(test.b)
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			wantError(t, err, test.why)
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 1024 || took > time.Minute {
				t.Errorf("%v and %d MiB for %d bytes", took, used, len(test.b))
			}
		})
	}
}

func manyOfBoth() []byte {
	var list []any
	for i := range 50_000 {
		list = append(list, dict{"length": 1, "path": []string{fmt.Sprint(i)}})
	}
	return bencode.MustMarshal(dict{"info": dict{"name": "x", "piece length": 1, "files": list, "pieces": long("x", 20*50_000)}})
}

// manyLayers has small files that the library would hash gigabytes of zeros for.
func manyLayers() []byte {
	const n, length = 8200, maxPieceLength
	pad := metainfo.HashForPiecePad(length)
	tree, layers, list := dict{}, dict{}, []any{}
	for i := range n {
		var hash [32]byte
		copy(hash[:], fmt.Sprint(i))
		sum := merkle.RootWithPadHash([][32]byte{hash, hash}, pad)
		name := fmt.Sprintf("%05d", i)
		tree[name] = dict{"": dict{"length": 2 * length, "pieces root": string(sum[:])}}
		layers[string(sum[:])] = string(hash[:]) + string(hash[:])
		list = append(list, dict{"length": 2 * length, "path": []string{name}})
	}
	info := dict{"name": "x", "piece length": length, "meta version": 2, "file tree": tree, "files": list, "pieces": long("x", 20*2*n)}
	return bencode.MustMarshal(dict{"info": info, "piece layers": layers})
}

// TestMetainfoLayersFromPeers refuses what the library could not ask peers for.
func TestMetainfoLayersFromPeers(t *testing.T) {
	for pieces, ok := range map[int]bool{1: true, 2: true, 512: true, 513: false, 514: true, 1025: false} {
		size := pieces * pieceLength
		info := dict{
			"name": "x", "piece length": pieceLength, "meta version": 2, "length": size, "pieces": long("x", 20*pieces),
			"file tree": dict{"x": dict{"": dict{"length": size, "pieces root": long("x", 32)}}},
		}
		_, err := ParseInfo(bencode.MustMarshal(info))
		if !ok {
			wantError(t, err, "no piece layers")
		} else if err != nil {
			t.Errorf("%d pieces: %v", pieces, err)
		}
	}
}

// TestMetainfoUnsorted accepts keys in any order, as there are such torrents,
// and hashes the bytes as they are.
func TestMetainfoUnsorted(t *testing.T) {
	info := "d6:pieces20:" + long("h", 20) + "12:piece lengthi16384e4:name1:x6:lengthi5ee"
	m, err := ParseMetainfo([]byte("d4:info" + info + "8:announce11:udp://a:1/be"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum([]byte(info))
	if m.Hash != hex.EncodeToString(sum[:]) || string(m.MI.InfoBytes) != info || m.Files[0] != (File{0, "x", 5, false}) {
		t.Errorf("%+v", m)
	}
	checkMetainfo(t, m)
	for _, bad := range []string{
		"d4:info" + info + "4:info" + info + "e",
		strings.Replace("d4:info"+info+"e", "4:name1:x", "4:name1:x4:name1:y", 1),
	} {
		_, err := ParseMetainfo([]byte(bad))
		wantError(t, err, "is there twice")
	}
	unsorted := "d9:file treed1:bd0:d6:lengthi0eee1:ad0:d6:lengthi0eeee12:meta versioni2e4:name1:x12:piece lengthi16384ee"
	_, err = ParseInfo([]byte(unsorted))
	wantError(t, err, `name "a" is not in order`)
}

// TestMetainfoMutated changes good torrents as nobody but an attacker would, and
// holds what is accepted all the same to the promises.
func TestMetainfoMutated(t *testing.T) {
	accepted, samples := 0, sampleTorrents(t)
	rounds := 3000
	if n, err := strconv.Atoi(os.Getenv("TORRENT_MUTATIONS")); err == nil {
		rounds = n
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		v, _ := decode(samples[r.IntN(len(samples))], 0)
		for range 1 + r.IntN(3) {
			v = mutate(r, v)
		}
		b, err := bencode.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ParseMetainfo(b)
		if err != nil {
			wantError(t, err, "read torrent: ")
			continue
		}
		accepted++
		checkMetainfo(t, m)
		if t.Failed() {
			t.Fatalf("seed %d: %q", seed, b)
		}
	}
	if accepted < rounds/50 {
		t.Errorf("%d of %d accepted: too few to say anything", accepted, rounds)
	}
}

// mutate returns a value with something else at one place.
func mutate(r *rand.Rand, v any) any {
	odd := []any{
		0, 1, -1, 2, 5, 100, 16384, 32768, 65536, pieceLength + 1, 1 << 31, 1 << 32, maxSize, int64(1<<63 - 1), int64(-1 << 63),
		"", "x", "..", ".", "/", "a/b", ".git", "p", "l", "\xff", long("y", 20), long("z", 32), long("w", 64), long("v", 300),
		[]any{}, []any{"x"}, []any{"..", "x"}, []any{[]any{}}, dict{}, dict{"": dict{"length": 0}}, dict{"length": 1, "path": []any{"n"}}, dict{"x": dict{}},
	}
	keys := []string{"", "length", "files", "file tree", "path", "path.utf-8", "name.utf-8", "pieces", "pieces root", "meta version", "attr", "piece length", "private", "x", "..", "piece layers"}
	switch v := v.(type) {
	case dict:
		all := slices.Sorted(maps.Keys(v))
		if len(all) == 0 || r.IntN(12) == 0 {
			v[keys[r.IntN(len(keys))]] = odd[r.IntN(len(odd))]
			return v
		}
		key := all[r.IntN(len(all))]
		switch r.IntN(12) {
		case 0:
			delete(v, key)
		case 1:
			v[keys[r.IntN(len(keys))]] = v[key]
		default:
			v[key] = mutate(r, v[key])
		}
		return v
	case []any:
		if len(v) == 0 {
			return append(v, odd[r.IntN(len(odd))])
		}
		i := r.IntN(len(v))
		switch r.IntN(8) {
		case 0:
			return slices.Concat(v[:i], v[i+1:]) // v may be in two places
		case 1:
			return append(v, v[i])
		default:
			v[i] = mutate(r, v[i])
			return v
		}
	case string:
		if r.IntN(3) == 0 && len(v) > 0 {
			return []any{v[1:], v + v, v + "x", []any{v}}[r.IntN(4)]
		}
	}
	return odd[r.IntN(len(odd))]
}

func FuzzParseMetainfo(f *testing.F) {
	for _, b := range sampleTorrents(f) {
		f.Add(b)
	}
	for _, r := range refusals {
		outer := r.make()
		if b := bencode.MustMarshal(outer); len(b) < 1<<16 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		began := time.Now()
		m, err := ParseMetainfo(b)
		if err != nil {
			wantError(t, err, "read torrent: ")
		} else {
			checkMetainfo(t, m)
		}
		if m, err = ParseInfo(b); err != nil {
			wantError(t, err, "read info dictionary: ")
		} else {
			checkMetainfo(t, m)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
