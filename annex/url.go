package annex

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// maxURLs is how many URLs of one key are taken.
const maxURLs = 10_000

// URLRemote is a [Remote] that can get contents by URL, for `git annex addurl`
// and what follows from it: git-annex records the URL it claimed, and Retrieve
// finds it with [Session.URLs]. A URL is one line that is not empty; it may
// hold spaces.
type URLRemote interface {
	Remote
	// ClaimURL tells whether the URL is for this remote. It must not use the
	// network, since each addurl asks each remote, nor rely on Prepare.
	ClaimURL(url string) bool
	// CheckURL lists what the URL leads to, without getting it. One Content
	// without a URL is what lies at the URL itself; others have URLs of their
	// own, which git-annex records instead, also of only one. No Content is an
	// error, as is what does not fit.
	CheckURL(ctx context.Context, s *Session, url string) ([]Content, error)
}

// Content is what a URL leads to. Where URL is set, neither it nor Name may be
// empty or hold what [unicode.IsSpace] calls a space, of which git-annex knows
// more than the one of ASCII.
//
// In a name, git-annex puts "_" for a slash, a punctuation mark or symbol other
// than "." and "-", and for either of these at the beginning. Two names that
// are then the same become one file with both URLs, unless their sizes differ:
// so names of one list must be distinct even then.
type Content struct {
	URL  string
	Size int64  // in bytes, -1 if that is not known
	Name string // of a file, may be empty and hold spaces where URL is empty
}

// claimURL answers CLAIMURL.
func (sv *server) claimURL(url string) []string {
	if remote, ok := sv.remote.(URLRemote); ok && isURL(url) && remote.ClaimURL(url) {
		return []string{"CLAIMURL-SUCCESS"}
	}
	return []string{"CLAIMURL-FAILURE"}
}

// checkURL answers CHECKURL.
func (sv *server) checkURL(ctx context.Context, s *Session, req request) []string {
	remote, ok := sv.remote.(URLRemote)
	if !ok {
		return req.failure(errors.New("this remote has no URLs"))
	}
	if !isURL(req.url) {
		return req.failure(fmt.Errorf("check URL %q: it is empty or not one line", req.url))
	}
	contents, err := remote.CheckURL(ctx, s, req.url)
	if err != nil {
		return req.failure(err)
	}
	if len(contents) == 1 && contents[0].URL == "" {
		return []string{"CHECKURL-CONTENTS " + contents[0].size() + " " + contents[0].Name}
	}
	line, err := multiLine(contents)
	if err != nil {
		return req.failure(err)
	}
	return []string{line}
}

// multiLine is the reply that lists contents with URLs of their own. git-annex
// takes it apart at any space.
func multiLine(contents []Content) (string, error) {
	if len(contents) == 0 {
		return "", errors.New("list contents: there are none")
	}
	words := []string{"CHECKURL-MULTI"}
	for _, c := range contents {
		for _, word := range []string{c.URL, c.Name} {
			if !isWord(word) || strings.ContainsFunc(word, unicode.IsSpace) {
				return "", fmt.Errorf("list contents: URL %q or name %q is empty or holds a space", c.URL, c.Name)
			}
		}
		words = append(words, c.URL, c.size(), c.Name)
	}
	return strings.Join(words, " "), nil
}

// size is the size as git-annex reads it.
func (c Content) size() string {
	if c.Size < 0 {
		return "UNKNOWN"
	}
	return strconv.FormatInt(c.Size, 10)
}

// URLs returns the URLs that git-annex has recorded for a key and that begin
// with the prefix, which may be empty; those recorded as URIs, too. More than
// 10,000, or more than 64 MiB of them, are an error.
func (s *Session) URLs(key Key, prefix string) ([]string, error) {
	if !isWord(string(key)) || !isLine(prefix) {
		return nil, fmt.Errorf("ask GETURLS: key %q is not one word, or prefix %q not one line", key, prefix)
	}
	if err := s.begin("GETURLS", string(key), prefix); err != nil {
		return nil, err
	}
	defer s.end()
	var urls []string
	count, size := 0, 0
	for {
		url, err := s.reply("VALUE", "GETURLS")
		switch {
		case err != nil:
			return nil, err
		case url != "": // also too many are read: they would pass for requests
			count, size = count+1, size+len(url)
			if count <= maxURLs && size <= maxReply {
				urls = append(urls, url)
			}
		case len(urls) < count:
			return nil, fmt.Errorf("ask GETURLS %s: %d URLs of %d bytes are too many: take some away with git annex rmurl", key, count, size)
		default:
			return urls, nil
		}
	}
}

// SetURLPresent records a URL from which anybody can get the key's content
// without this remote, by HTTP.
func (s *Session) SetURLPresent(key Key, url string) error {
	return s.tellURL("SETURLPRESENT", key, url)
}

// SetURLMissing takes back SetURLPresent. It does not reach a URL that ClaimURL
// claimed: that is recorded as a URI, which git-annex keeps apart.
func (s *Session) SetURLMissing(key Key, url string) error {
	return s.tellURL("SETURLMISSING", key, url)
}

// SetURIPresent records a URL from which the remote that claims it can get the
// key's content. It is the right one for each URL that ClaimURL claims, HTTP
// ones among them; addurl itself does the same for those that it was given.
func (s *Session) SetURIPresent(key Key, url string) error {
	return s.tellURI("PRESENT", key, url)
}

// SetURIMissing takes back SetURIPresent, and what addurl recorded of a URL
// that ClaimURL claimed.
func (s *Session) SetURIMissing(key Key, url string) error {
	return s.tellURI("MISSING", key, url)
}

// tellURI has git-annex note a claimed URL. To send SETURI with what is no URI
// ends the session, yet addurl records such: as URLs after a colon.
func (s *Session) tellURI(what string, key Key, url string) error {
	if isURL(url) && !isURI(url) {
		return s.tellURL("SETURL"+what, key, ":"+url)
	}
	return s.tellURL("SETURI"+what, key, url)
}

func (s *Session) tellURL(command string, key Key, url string) error {
	if !isWord(string(key)) || !isURL(url) {
		return fmt.Errorf("send %s: key %q is not one word, or URL %q is empty or not one line", command, key, url)
	}
	return s.tell(command, string(key), url)
}

// isURL tells whether a text can be a URL that git-annex asks for or is told.
func isURL(s string) bool { return s != "" && isLine(s) }

// uriChar is what may be anywhere in a URI's path and query, besides slashes.
const uriChar = "(?:[A-Za-z0-9._~!$&'()*+,;=:@?-]|%[0-9A-Fa-f]{2})"

// uriForm is that of plain URIs. What may be in some places alone is left out.
var uriForm = regexp.MustCompile("^[A-Za-z][A-Za-z0-9+.-]*:" +
	"(?://[A-Za-z0-9.-]*(?::[0-9]+)?(?:[/?]|$)|/?(?:" + uriChar + "|$))(?:" + uriChar + "|/)*$")

// isURI tells whether git-annex surely takes a text for a URI.
func isURI(s string) bool { return uriForm.MatchString(s) }
