package torrent

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// MaxMetainfo is how many bytes a .torrent may have.
const MaxMetainfo = 32 << 20

// What a torrent may be. The library takes time and memory for each piece and
// file whether it is wanted or not.
const (
	maxFiles       = 100_000
	maxPieceLength = 64 << 20
	maxPieces      = 1 << 20
	maxSize        = 1 << 50
	maxBlocks      = 1<<32 - 1 // of 16 KiB; the library counts them in 32 bits
	blockLength    = 16 << 10
	maxPairs       = 1 << 31 // of pieces and files: it looks for the files of each piece one by one
	maxPads        = 1 << 25 // blocks of a piece, for each file that has piece layers: it hashes them anew
)

// Metainfo is a torrent that has passed all checks: neither what is in it nor
// its names can harm the library or leave a directory.
type Metainfo struct {
	MI      *metainfo.MetaInfo // for the library: only URLs of known schemes, no DHT nodes, no comments
	Info    *metainfo.Info     // as the library understands MI.InfoBytes
	Files   []File             // in the order of the library's Torrent.Files
	Private bool               // peers may only come from its trackers, whose URLs may hold passkeys

	// Hash and HashV2 are lower-case hex: 40 digits for versions 1 and hybrid,
	// 64 digits for versions 2 and hybrid, else "".
	Hash, HashV2 string
}

// File is a file of a torrent.
type File struct {
	Index int    // in [Metainfo] Files
	Path  string // slash-separated, below the torrent's own folder; of a single file the name
	Size  int64  // bytes
	Pad   bool   // nobody wants it: padding, or a symbolic link (BEP 47)
}

// ParseMetainfo reads a .torrent.
func ParseMetainfo(b []byte) (*Metainfo, error) {
	m := &Metainfo{}
	err := checkBytes(b)
	if err == nil {
		m.MI, err = readOuter(b)
	}
	if err == nil {
		err = m.readInfo()
	}
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	return m, nil
}

// ParseInfo reads the info dictionary that belongs to a magnet link. Whether it
// has the link's hash is for the caller to see.
func ParseInfo(info []byte) (*Metainfo, error) {
	m := &Metainfo{MI: &metainfo.MetaInfo{InfoBytes: slices.Clone(info)}}
	err := checkBytes(info)
	if err == nil {
		err = m.readInfo()
	}
	if err != nil {
		return nil, fmt.Errorf("read info dictionary: %w", err)
	}
	return m, nil
}

func checkBytes(b []byte) error {
	if len(b) > MaxMetainfo {
		return fmt.Errorf("it has more than %d MiB", MaxMetainfo>>20)
	}
	if len(b) == 0 || b[0] != 'd' {
		return errors.New("it is no .torrent, but something else")
	}
	return valid(b)
}

// readOuter reads what is around the info dictionary, all of which is optional.
func readOuter(b value) (*metainfo.MetaInfo, error) {
	mi := &metainfo.MetaInfo{}
	var urls urlLists
	for key, v := range b.dict() {
		switch key {
		case "info":
			mi.InfoBytes = slices.Clone(bencode.Bytes(v))
		case "announce":
			urls.announce = v
		case "announce-list":
			urls.tiers = v
		case "url-list":
			urls.seeds = v
		case "piece layers":
			mi.PieceLayers = map[string]string{}
			for root, layer := range v.dict() {
				if mi.PieceLayers[root], _ = layer.text(); len(root) != sha256.Size {
					return nil, errors.New("piece layers: a key is no hash")
				}
			}
		}
	}
	if mi.InfoBytes == nil {
		return nil, errors.New("it is no torrent: it has no info dictionary")
	}
	mi.AnnounceList, mi.UrlList = urls.trackers(), urls.webSeeds()
	return mi, nil
}

// urlLists are the URLs of a torrent as they are in it, or nil.
type urlLists struct{ announce, tiers, seeds value }

// trackers returns the tiers of trackers: what cannot be one is left out.
func (u *urlLists) trackers() (tiers metainfo.AnnounceList) {
	var all []string
	tier := func(v value) {
		before := len(all)
		all = keepURLs(all, v, trackerSchemes)
		if len(all) > before {
			tiers = append(tiers, slices.Clip(all[before:]))
		}
	}
	if u.tiers != nil {
		for v := range u.tiers.list() {
			tier(v)
		}
	}
	if len(tiers) == 0 { // BEP 12: else it does not count
		tier(u.announce)
	}
	return tiers
}

func (u *urlLists) webSeeds() []string { return keepURLs(nil, u.seeds, webSchemes) }

// keepURLs appends a URL, or a list of them, as far as they are good and there
// is room.
func keepURLs(list []string, v value, schemes []string) []string {
	if v == nil {
		return list
	}
	one := func(v value) {
		if text, ok := v.text(); ok {
			if longer, err := add(list, "", text, isURL(schemes)); err == nil {
				list = longer
			}
		}
	}
	one(v)
	for v := range v.list() {
		one(v)
	}
	return list
}

// readInfo reads and checks MI.InfoBytes, first what the library's parser does
// not stand, then what it has made of it.
func (m *Metainfo) readInfo() error {
	raw := value(m.MI.InfoBytes)
	shape, err := checkShape(raw)
	if err != nil {
		return err
	}
	var info metainfo.Info
	if err := bencode.Unmarshal(raw, &info); err != nil {
		return fmt.Errorf("parse info dictionary: %w", err)
	}
	m.Info = &info
	m.Private = info.Private != nil && *info.Private
	if err := checkName(info.BestName()); err != nil {
		return fmt.Errorf("the torrent's name %.64q: %w", info.BestName(), err)
	}
	if err := checkVersion(&info, shape); err != nil {
		return err
	}
	files, err := m.list(shape)
	if err != nil {
		return err
	}
	m.Files = files.files
	if err := checkPaths(m.Files); err != nil {
		return err
	}
	if !info.HasV2() {
		m.MI.PieceLayers = nil
		return nil
	}
	m.MI.UrlList = nil // where files begin pieces they end the library: "panic: 16384 >= 5"
	return m.checkLayers()
}

// list checks the files of the versions that there are, and sets their hashes.
func (m *Metainfo) list(s *shape) (files *listing, err error) {
	if m.Info.HasV1() {
		sum := sha1.Sum(m.MI.InfoBytes)
		m.Hash = hex.EncodeToString(sum[:])
		if files, err = listV1(m.Info); err != nil {
			return nil, err
		}
	}
	if m.Info.HasV2() {
		sum := sha256.Sum256(m.MI.InfoBytes)
		m.HashV2 = hex.EncodeToString(sum[:])
		v1 := files
		if files, err = listV2(m.Info, s.tree); err != nil {
			return nil, err
		}
		if v1 != nil {
			if err := checkHybrid(m.Info, v1, files); err != nil {
				return nil, err
			}
		}
	}
	return files, files.checkLoad(m.Info)
}

// Link returns the canonical link to a file of the torrent, or with index -1 to
// the torrent. It says nothing of the trackers of a private torrent.
func (m *Metainfo) Link(index int) Link {
	l := Link{Hash: m.Hash, HashV2: m.HashV2, Name: m.Info.BestName(), WebSeeds: slices.Clone([]string(m.MI.UrlList)), Index: index}
	if !m.Private {
		l.Trackers = slices.Concat(m.MI.AnnounceList...)
	}
	return l
}

// Bytes returns a .torrent from which [ParseMetainfo] makes the same again.
func (m *Metainfo) Bytes() ([]byte, error) {
	b, err := bencode.Marshal(m.MI)
	if err != nil {
		return nil, fmt.Errorf("write torrent: %w", err)
	}
	return b, nil
}
