package torrent

import (
	"cmp"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a link may hold. A canonical one stays below maxLink by all the others.
const (
	maxLink     = 64 << 10 // bytes
	maxURLs     = 20       // trackers, as many web seeds, as many peers
	maxURL      = 1024     // bytes of one of them, escaped
	maxLinkName = 1024     // bytes of the torrent's name
)

// Link says where a torrent, and which of its files, can be found.
type Link struct {
	// Hash is that of version 1, HashV2 that of version 2, of the info
	// dictionary: 40 and 64 digits of lower-case hex, or "".
	Hash, HashV2 string
	Name         string   // of the torrent; may be anything
	Trackers     []string // http, https, udp, ws or wss URLs
	WebSeeds     []string // http or https URLs
	Peers        []string // HOST:PORT
	Source       string   // http or https URL of a .torrent, or ""
	Path         string   // of a .torrent on this machine, or ""
	Index        int      // of the file in the torrent; -1 if the link does not say
}

var (
	trackerSchemes = []string{"http", "https", "udp", "ws", "wss"}
	webSchemes     = []string{"http", "https"}

	schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)
	hostPattern   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)
	numberPattern = regexp.MustCompile(`\.[0-9]{1,9}$`)
)

// Claims tells whether the remote is for a URL, by its syntax alone: torrent:
// and anything, a magnet link with a BitTorrent hash, an http or https URL or
// a path, relative or absolute, that ends in .torrent. [ParseLink] tells what
// is wrong with one that is claimed.
func Claims(url string) bool {
	rest, ours := cutTorrent(url)
	scheme := schemeOf(rest)
	switch {
	case ours:
		return true
	case scheme == "magnet":
		for key, text := range parameters(rest) {
			if key == "xt" && hasAnyPrefix(strings.ToLower(text), "urn:btih:", "urn:btmh:") {
				return true
			}
		}
		return false
	case scheme == "":
		return isTorrentFile(rest)
	default:
		return checkURL(rest, webSchemes) == nil && isTorrentURL(rest)
	}
}

// ParseLink reads what [Claims] claims. Of more than 20 trackers, web seeds or
// peers the first ones are kept. Errors do not quote URLs, which may hold
// passkeys.
func ParseLink(url string) (Link, error) {
	if len(url) > maxLink {
		return Link{}, fmt.Errorf("read link: it has more than %d bytes", maxLink)
	}
	link, err := parseLink(url)
	if err != nil {
		return Link{}, fmt.Errorf("read link: %w", err)
	}
	return link, nil
}

func parseLink(url string) (Link, error) {
	rest, ours := cutTorrent(url)
	link := Link{Index: -1}
	switch scheme := schemeOf(rest); scheme {
	case "magnet":
		err := link.readMagnet(rest)
		return link, err
	case "http", "https":
		if !ours && !isTorrentURL(rest) {
			return link, errors.New("its path does not end in .torrent: write torrent: before it if it is one all the same")
		}
		if err := checkURL(rest, webSchemes); err != nil {
			return link, fmt.Errorf("the URL %w", err)
		}
		link.Source = rest
		return link, nil
	case "":
		if !isTorrentFile(rest) || strings.ContainsFunc(rest, unicode.IsControl) {
			return link, errors.New("neither a magnet link, nor an http or https URL, nor a path that ends in .torrent")
		}
		link.Path = rest
		return link, nil
	default:
		return link, fmt.Errorf("scheme %.16q is not magnet, http or https (write ./ before a path with a colon)", scheme)
	}
}

// cutTorrent takes torrent: and spaces away.
func cutTorrent(url string) (rest string, found bool) {
	const scheme = "torrent:"
	url = strings.TrimSpace(url)
	if len(url) < len(scheme) || !strings.EqualFold(url[:len(scheme)], scheme) {
		return url, false
	}
	return strings.TrimSpace(url[len(scheme):]), true
}

func schemeOf(url string) string {
	return strings.ToLower(strings.TrimSuffix(schemePattern.FindString(url), ":"))
}

func isTorrentFile(path string) bool {
	return strings.HasSuffix(strings.ToLower(path), ".torrent")
}

func isTorrentURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && isTorrentFile(u.Path)
}

func hasAnyPrefix(text string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}

// parameters yields what is behind the ? of a magnet link, unescaped where it
// is well escaped; numbers behind names (tr.1) are dropped.
func parameters(magnet string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		_, query, _ := strings.Cut(magnet, "?")
		for pair := range strings.SplitSeq(query, "&") {
			key, escaped, _ := strings.Cut(pair, "=")
			text, err := url.QueryUnescape(escaped)
			if err != nil {
				text = escaped
			}
			if text != "" && !yield(numberPattern.ReplaceAllString(strings.ToLower(key), ""), text) {
				return
			}
		}
	}
}

func (l *Link) readMagnet(magnet string) error {
	for key, text := range parameters(magnet) {
		var err error
		switch key {
		case "xt":
			err = l.addHash(text)
		case "dn":
			l.Name = linkName(text)
		case "tr":
			l.Trackers, err = add(l.Trackers, "tracker", text, isURL(trackerSchemes))
		case "ws":
			l.WebSeeds, err = add(l.WebSeeds, "web seed", text, isURL(webSchemes))
		case "x.pe":
			l.Peers, err = add(l.Peers, "peer", text, checkPeer)
		case "xs":
			if err = checkURL(text, webSchemes); err != nil {
				err = fmt.Errorf("the source (xs=) %w", err)
			}
			l.Source = cmp.Or(l.Source, text)
		case "so":
			err = l.addIndex(text)
		}
		if err != nil {
			return err
		}
	}
	return l.checkHashes()
}

// addHash reads urn:btih: with 40 digits of hex or 32 of base32, or urn:btmh:
// with the multihash of a SHA2-256.
func (l *Link) addHash(urn string) error {
	var hash *string
	text, found := strings.CutPrefix(strings.ToLower(urn), "urn:btih:")
	if found {
		hash = &l.Hash
		if b, err := base32.StdEncoding.DecodeString(strings.ToUpper(text)); err == nil && len(b) == 20 {
			text = hex.EncodeToString(b)
		}
		if b, err := hex.DecodeString(text); err != nil || len(b) != 20 {
			return fmt.Errorf("urn:btih: and %d characters are no hash: it takes 40 digits of hex or 32 of base32", len(text))
		}
	} else if text, found = strings.CutPrefix(text, "urn:btmh:"); found {
		hash = &l.HashV2
		text, found = strings.CutPrefix(text, "1220") // SHA2-256, 32 bytes
		if b, err := hex.DecodeString(text); !found || err != nil || len(b) != 32 {
			return errors.New("urn:btmh: is followed by something else than 1220 and 64 digits of hex")
		}
	} else {
		return nil // of another network
	}
	if *hash != "" && *hash != text {
		return errors.New("it has two hashes of the same kind")
	}
	*hash = text
	return nil
}

// checkHashes also refuses hashes that end the program in the library.
func (l *Link) checkHashes() error {
	const none = "0000000000000000000000000000000000000000"
	switch {
	case l.Hash == none || strings.HasPrefix(l.HashV2, none):
		return errors.New("its hash is zero")
	case l.HashV2 != "" && strings.HasPrefix(l.HashV2, l.Hash):
		l.Hash = "" // the beginning of the other, which some write as well
	case l.Hash == "" && l.HashV2 == "" && l.Source == "":
		return errors.New("it has no hash: write xt=urn:btih: and 40 digits of hex")
	}
	return nil
}

func (l *Link) addIndex(text string) error {
	index, err := strconv.ParseUint(text, 10, 32)
	switch {
	case err != nil:
		return fmt.Errorf("so=%.16q: give one index of a file, from 0 on; for several files give a link each", text)
	case index >= maxFiles:
		return fmt.Errorf("so=%d: no torrent may have as many files", index)
	case l.Index >= 0 && l.Index != int(index):
		return errors.New("so= is there twice: give one index of a file")
	}
	l.Index = int(index)
	return nil
}

// add appends one more of a kind, if there is room.
func add(list []string, kind, text string, check func(string) error) ([]string, error) {
	if len(list) == maxURLs || slices.Contains(list, text) {
		return list, nil
	}
	if err := check(text); err != nil {
		return nil, fmt.Errorf("%s %d %w", kind, len(list)+1, err)
	}
	return append(list, text), nil
}

// linkName returns a name that can be shown, or "".
func linkName(name string) string {
	if len(name) > maxLinkName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return ""
	}
	return name
}

func isURL(schemes []string) func(string) error {
	return func(text string) error { return checkURL(text, schemes) }
}

// checkURL returns what is wrong with a URL, without the URL.
func checkURL(text string, schemes []string) error {
	if len(url.QueryEscape(text)) > maxURL {
		return fmt.Errorf("has more than %d bytes", maxURL)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("holds spaces or control characters")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return errors.New("is no URL of a server")
	}
	if !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("has scheme %.16q instead of %s", u.Scheme, strings.Join(schemes, ", "))
	}
	return nil
}

func checkPeer(text string) error {
	host, port, err := net.SplitHostPort(text)
	number, portErr := strconv.ParseUint(port, 10, 16)
	address, addrErr := netip.ParseAddr(host)
	if err != nil || portErr != nil || number == 0 || addrErr != nil && !hostPattern.MatchString(host) || address.Zone() != "" {
		return fmt.Errorf("%.64q is not HOST:PORT", text)
	}
	return nil
}

// String returns the canonical form, without spaces: torrent:magnet:?... From
// one with a hash or Source [ParseLink] makes the same link again. It is only
// for this machine where it has a Path.
func (l Link) String() string {
	if l.Path != "" {
		return "torrent:" + l.Path
	}
	var pairs []string
	add := func(key string, texts ...string) {
		for _, text := range texts[:min(len(texts), maxURLs)] {
			if text != "" {
				pairs = append(pairs, key+"="+strings.ReplaceAll(url.QueryEscape(text), "+", "%20"))
			}
		}
	}
	if l.Hash != "" {
		pairs = append(pairs, "xt=urn:btih:"+l.Hash)
	}
	if l.HashV2 != "" {
		pairs = append(pairs, "xt=urn:btmh:1220"+l.HashV2)
	}
	add("dn", l.Name)
	add("tr", l.Trackers...)
	add("ws", l.WebSeeds...)
	add("x.pe", l.Peers...)
	add("xs", l.Source)
	if l.Index >= 0 {
		pairs = append(pairs, "so="+strconv.Itoa(l.Index))
	}
	return "torrent:magnet:?" + strings.Join(pairs, "&")
}
