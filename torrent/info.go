package torrent

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/anacrolix/torrent/merkle"
	"github.com/anacrolix/torrent/metainfo"
)

// What kind of value the library must find under these keys: 's', 'i', 'l' or
// 'd'. It would make do with a list of one where it wants something else.
var (
	infoKinds = map[string]byte{"piece length": 'i', "pieces": 's', "name": 's', "name.utf-8": 's', "length": 'i', "files": 'l', "attr": 's', "meta version": 'i', "file tree": 'd'}
	fileKinds = map[string]byte{"length": 'i', "path": 'l', "path.utf-8": 'l', "attr": 's'}
	leafKinds = map[string]byte{"length": 'i', "pieces root": 's', "attr": 's'}
)

// maxTreeBytes bounds the sum of the lengths of all directories of a file tree,
// each with what is in it: the library copies each.
const maxTreeBytes = 128 << 20

func checkKinds(v value, kinds map[string]byte) error {
	if v.kind() != 'd' {
		return errors.New("not a dictionary")
	}
	for key, field := range v.dict() {
		if want := kinds[key]; want != 0 && field.kind() != want {
			return fmt.Errorf("%q has a value of the wrong type", key)
		}
	}
	return nil
}

// shape is what the library's parser does not tell.
type shape struct {
	length, files bool     // are there
	tree          []string // attributes of the files of the file tree
	copied, paths int      // bytes so far of all directories, of all paths
}

// checkShape makes sure that the library's parser will find an info dictionary
// of bounded size.
func checkShape(info value) (*shape, error) {
	if err := checkKinds(info, infoKinds); err != nil {
		return nil, fmt.Errorf("info dictionary: %w", err)
	}
	s := &shape{}
	for key, v := range info.dict() {
		switch key {
		case "length":
			s.length = true
		case "files":
			s.files = true
			n := 0
			for file := range v.list() {
				if n++; n > maxFiles {
					return nil, errTooManyFiles
				}
				if err := checkKinds(file, fileKinds); err != nil {
					return nil, fmt.Errorf("file %d: %w", n, err)
				}
			}
		case "file tree":
			if err := s.walk(v, 0); err != nil {
				return nil, fmt.Errorf("file tree: %w", err)
			}
		}
	}
	return s, nil
}

var errTooManyFiles = fmt.Errorf("it has more than %d files", maxFiles)

// walk reads a directory of the file tree (BEP 52): a dictionary of names, in
// order, each with another directory or, under the name "", with a file.
func (s *shape) walk(dir value, above int) error {
	if s.copied += len(dir); s.copied > maxTreeBytes {
		return errors.New("too large and too deep")
	}
	last := ""
	for name, v := range dir.dict() {
		if name <= last { // "" too
			return fmt.Errorf("name %.64q is not in order, or is a file and a directory", name)
		}
		last = name
		if v.kind() != 'd' {
			return fmt.Errorf("%.64q is not a dictionary", name)
		}
		path := above + len(name) + 1
		into := s.walk
		if bytes.HasPrefix(v, []byte("d0:")) {
			into = s.leaf
		}
		if err := into(v, path); err != nil {
			return err
		}
	}
	if last == "" {
		return errors.New("a directory is empty")
	}
	return nil
}

// leaf reads a file of the file tree.
func (s *shape) leaf(v value, path int) error {
	file := v[len("d0:") : len(v)-1]
	if file.size() != len(file) {
		return errors.New("a file is a directory too")
	}
	if err := checkKinds(file, leafKinds); err != nil {
		return fmt.Errorf("a file: %w", err)
	}
	var length int64
	var root, attr string
	for key, v := range file.dict() {
		switch key {
		case "length":
			length, _ = v.integer()
		case "pieces root":
			root, _ = v.text()
		case "attr":
			attr, _ = v.text()
		}
	}
	if len(root) != sha256.Size && (length != 0 || root != "") {
		return fmt.Errorf("a file has a pieces root of %d bytes", len(root))
	}
	if s.tree = append(s.tree, attr); len(s.tree) > maxFiles {
		return errTooManyFiles
	}
	if s.paths += path; s.paths > MaxMetainfo { // a small tree can have long paths
		return fmt.Errorf("the paths of all files together have more than %d bytes", MaxMetainfo)
	}
	return nil
}

// checkVersion makes sure that the dictionary is whole for its version, and
// that pieces have a good length.
func checkVersion(info *metainfo.Info, s *shape) error {
	length := info.PieceLength
	switch {
	case info.MetaVersion < 0 || info.MetaVersion > 2:
		return fmt.Errorf("version %d is not known", info.MetaVersion)
	case info.HasV2() != (s.tree != nil):
		return errors.New("version 2 and a file tree belong together")
	case info.HasV1() && s.length == s.files:
		return errors.New("it must have either a length or files")
	case s.files && len(info.Files) == 0:
		return errors.New("it has no files")
	case length < 1 || length > maxPieceLength:
		return fmt.Errorf("pieces of %d bytes: must be 1 to %d", length, maxPieceLength)
	case info.HasV2() && (length < blockLength || length&(length-1) != 0):
		return fmt.Errorf("pieces of %d bytes: must be a power of two from %d on", length, blockLength)
	}
	return nil
}

// listing is the files of one version.
type listing struct {
	files  []File
	total  int64 // bytes
	pieces int64
}

func (l *listing) add(components []string, size int64, attr string) error {
	path, err := joinPath(components)
	if err != nil {
		return err
	}
	if size < 0 || size > maxSize-l.total {
		return fmt.Errorf("file %.64q: a size of %d bytes is negative or too large", path, size)
	}
	l.total += size
	l.files = append(l.files, File{Index: len(l.files), Path: path, Size: size, Pad: strings.ContainsAny(attr, "pl")})
	return nil
}

// listV1 checks the files and hashes of version 1.
func listV1(info *metainfo.Info) (*listing, error) {
	l := &listing{}
	for fi := range info.UpvertedV1Files() {
		components := fi.BestPath()
		if len(info.Files) == 0 {
			components, fi.Attr = []string{info.BestName()}, info.Attr
		}
		if err := l.add(components, fi.Length, fi.Attr); err != nil {
			return nil, err
		}
	}
	l.pieces = ceil(l.total, info.PieceLength)
	if int64(len(info.Pieces)) != l.pieces*sha1.Size {
		return nil, fmt.Errorf("%d bytes of hashes for %d pieces", len(info.Pieces), l.pieces)
	}
	return l, nil
}

// listV2 checks the files of version 2, whose attributes are tree.
func listV2(info *metainfo.Info, tree []string) (*listing, error) {
	l := &listing{}
	for fi := range info.UpvertedFilesIter() {
		if err := l.add(fi.BestPath(), fi.Length, tree[len(l.files)]); err != nil { // both are sorted
			return nil, err
		}
		pieces := ceil(fi.Length, info.PieceLength)
		if pieces > 1 && !info.HasV1() { // "piece request order has {} and pending pieces has ..."
			return nil, fmt.Errorf("file %.64q has %d pieces, which the BitTorrent library gets only from torrents of version 1 or hybrid ones, and this is of version 2 alone", l.files[len(l.files)-1].Path, pieces)
		}
		l.pieces += pieces
	}
	return l, nil
}

func ceil(size, length int64) int64 { return (size + length - 1) / length }

// checkLoad bounds what the library takes time, memory and numbers for.
func (l *listing) checkLoad(info *metainfo.Info) error {
	switch {
	case l.pieces > maxPieces:
		return fmt.Errorf("%d pieces, more than %d", l.pieces, maxPieces)
	case l.pieces*ceil(info.PieceLength, blockLength) > maxBlocks:
		return fmt.Errorf("%d pieces of %d bytes: more than 64 TiB", l.pieces, info.PieceLength)
	case l.pieces*int64(len(l.files)) > maxPairs:
		return fmt.Errorf("%d pieces and %d files: too many of both", l.pieces, len(l.files))
	}
	return nil
}

// checkHybrid makes sure that both versions have the same files in the same
// pieces; version 1 has padding between them.
func checkHybrid(info *metainfo.Info, v1, v2 *listing) error {
	if v1.pieces != v2.pieces {
		return fmt.Errorf("%d pieces in version 1, %d in version 2", v1.pieces, v2.pieces)
	}
	old, now := slices.Collect(info.UpvertedV1Files()), slices.Collect(info.UpvertedFilesIter())
	n := 0
	for i, f := range v1.files {
		if strings.Contains(old[i].Attr, "p") {
			continue
		}
		if n == len(now) || f.Path != v2.files[n].Path || f.Size != v2.files[n].Size || f.Size > 0 && old[i].TorrentOffset != now[n].TorrentOffset {
			return fmt.Errorf("file %.64q is another one, or elsewhere, in version 2", f.Path)
		}
		n++
	}
	if n != len(v2.files) {
		return fmt.Errorf("file %.64q is not in version 1", v2.files[n].Path)
	}
	return nil
}

// checkLayers makes sure that the piece layers that are there have the hashes
// they should have, and keeps no others.
func (m *Metainfo) checkLayers() error {
	layers := m.MI.PieceLayers
	m.MI.PieceLayers = map[string]string{}
	perPiece, pads := ceil(m.Info.PieceLength, blockLength), int64(0)
	pad := metainfo.HashForPiecePad(m.Info.PieceLength)
	for fi := range m.Info.UpvertedFilesIter() {
		pieces := ceil(fi.Length, m.Info.PieceLength)
		if pieces <= 1 {
			continue
		}
		root := string(fi.PiecesRoot.Value[:])
		layer, found := layers[root]
		if found {
			pads += perPiece
		}
		if pads > maxPads {
			return fmt.Errorf("too many files with piece layers, for pieces of %d bytes", m.Info.PieceLength)
		}
		if err := checkLayer(fi.PiecesRoot.Value, layer, found, pieces, pad); err != nil {
			return fmt.Errorf("file %.64q: %w", strings.Join(fi.BestPath(), "/"), err)
		}
		if found {
			m.MI.PieceLayers[root] = layer
		}
	}
	return nil
}

func checkLayer(root [sha256.Size]byte, layer string, found bool, pieces int64, pad [sha256.Size]byte) error {
	switch {
	case !found && pieces%512 == 1: // it asks peers for 512 hashes, and panics when it shall ask for 1
		return fmt.Errorf("%d pieces and no piece layers, which the BitTorrent library cannot ask peers for; give a .torrent that has them", pieces)
	case !found:
		return nil
	case int64(len(layer)) != pieces*sha256.Size:
		return fmt.Errorf("%d bytes of piece layers for %d pieces", len(layer), pieces)
	}
	hashes, err := merkle.CompactLayerToSliceHashes(layer)
	if err != nil || merkle.RootWithPadHash(hashes, pad) != root {
		return errors.New("its piece layers do not have its pieces root")
	}
	return nil
}
