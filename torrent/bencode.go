package torrent

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
)

const (
	maxDepth  = 64      // of lists and dictionaries in each other
	maxValues = 2 << 20 // keys counted: a torrent of 100,000 files has about a million
)

// valid returns nil if b is one bencoded value: integers that fit into 64
// bits and are written in the only way, no key twice, nothing behind it, and
// no more values or depth than a parser can stand. Keys may be unsorted, since
// there are torrents whose keys are. It takes a few bytes of memory a key.
func valid(b []byte) error {
	s := scan{b: b}
	for {
		if err := s.step(); err != nil {
			return fmt.Errorf("parse bencode at byte %d: %w", s.at, err)
		}
		if len(s.open) == 0 {
			break
		}
	}
	if s.at != len(b) {
		return fmt.Errorf("parse bencode at byte %d: %d bytes follow the end", s.at, len(b)-s.at)
	}
	return nil
}

// scan is how far valid got.
type scan struct {
	b          []byte
	at, values int
	open       []frame
	keys       []span // of all open dictionaries
}

// frame is a list or dictionary whose end was not seen yet.
type frame struct {
	dict, unsorted bool
	value          bool // a key was read, its value was not
	keys           int  // where its own begin
}

type span struct{ from, to int32 }

var errTruncated = errors.New("it ends too early")

// step reads a string, an integer, or one end of a list or dictionary.
func (s *scan) step() error {
	if s.at >= len(s.b) {
		return errTruncated
	}
	c := s.b[s.at]
	if c == 'e' {
		return s.close()
	}
	if s.values++; s.values > maxValues {
		return fmt.Errorf("more than %d values", maxValues)
	}
	top := &frame{}
	if n := len(s.open); n > 0 {
		top = &s.open[n-1]
	}
	switch {
	case c >= '0' && c <= '9':
		return s.text(top)
	case top.dict && !top.value:
		return errors.New("a key is not a string")
	}
	top.value = false
	switch c {
	case 'i':
		return s.integer()
	case 'l', 'd':
		if len(s.open) == maxDepth {
			return fmt.Errorf("more than %d lists and dictionaries in each other", maxDepth)
		}
		s.open = append(s.open, frame{dict: c == 'd', keys: len(s.keys)})
		s.at++
		return nil
	}
	return errors.New("no value begins so")
}

// close ends what was opened last.
func (s *scan) close() error {
	n := len(s.open) - 1
	if n < 0 {
		return errors.New("no value begins so")
	}
	top := s.open[n]
	if top.value {
		return errors.New("a key has no value")
	}
	own := s.keys[top.keys:]
	if top.unsorted {
		slices.SortFunc(own, func(x, y span) int { return bytes.Compare(s.b[x.from:x.to], s.b[y.from:y.to]) })
		for i, key := range own[1:] {
			if bytes.Equal(s.b[own[i].from:own[i].to], s.b[key.from:key.to]) {
				return fmt.Errorf("key %.32q is there twice", s.b[key.from:key.to])
			}
		}
	}
	s.open, s.keys = s.open[:n], s.keys[:top.keys]
	s.at++
	return nil
}

// text reads a string: a key, where top wants one.
func (s *scan) text(top *frame) error {
	length, digits := textLength(s.b[s.at:])
	from := s.at + digits + 1
	switch {
	case digits == 0:
		return errors.New("a string has a bad length")
	case length > len(s.b)-from:
		return errTruncated
	}
	to := from + length
	s.at = to
	if !top.dict || top.value {
		top.value = false
		return nil
	}
	if own := s.keys[top.keys:]; len(own) > 0 {
		last := own[len(own)-1]
		switch order := bytes.Compare(s.b[last.from:last.to], s.b[from:to]); {
		case order == 0:
			return fmt.Errorf("key %.32q is there twice", s.b[from:to])
		case order > 0:
			top.unsorted = true
		}
	}
	s.keys = append(s.keys, span{int32(from), int32(to)})
	top.value = true
	return nil
}

// textLength reads the length of the string that b begins with, and how many
// digits it has: none if it is malformed or a billion.
func textLength(b []byte) (length, digits int) {
	for digits < len(b) && digits < 9 && b[digits] >= '0' && b[digits] <= '9' {
		length = length*10 + int(b[digits]-'0')
		digits++
	}
	if digits == len(b) || b[digits] != ':' || digits > 1 && b[0] == '0' {
		return 0, 0
	}
	return length, digits
}

// integer reads i...e.
func (s *scan) integer() error {
	const longest = len("-9223372036854775808")
	rest := s.b[s.at+1:]
	n := bytes.IndexByte(rest[:min(len(rest), longest+1)], 'e')
	if n < 0 {
		return errors.New("an integer has no end or too many digits")
	}
	written := string(rest[:n])
	number, err := strconv.ParseInt(written, 10, 64)
	if err != nil || strconv.FormatInt(number, 10) != written {
		return fmt.Errorf("%q is no integer of 64 bits", written)
	}
	s.at += n + 2
	return nil
}

// value is a bencoded value that has passed valid; so its methods take no care.
type value []byte

// kind is 's' of a string, 'i' of an integer, 'l' of a list, 'd' of a dictionary.
func (v value) kind() byte {
	if v[0] >= '0' && v[0] <= '9' {
		return 's'
	}
	return v[0]
}

// size is how many bytes the value takes that v begins with.
func (v value) size() int {
	at, depth := 0, 0
	for {
		switch c := v[at]; c {
		case 'd', 'l':
			depth++
			at++
		case 'e':
			depth--
			at++
		case 'i':
			at += bytes.IndexByte(v[at:], 'e') + 1
		default:
			length, digits := textLength(v[at:])
			at += digits + 1 + length
		}
		if depth == 0 {
			return at
		}
	}
}

// text returns what is in a string.
func (v value) text() (string, bool) {
	length, digits := textLength(v)
	return string(v[digits+min(digits, 1):][:length]), digits > 0
}

func (v value) integer() (int64, bool) {
	if v[0] != 'i' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v[1:len(v)-1]), 10, 64)
	return n, err == nil
}

// list yields what is in a list: nothing, if v is none.
func (v value) list() iter.Seq[value] {
	return func(yield func(value) bool) {
		if v[0] != 'l' {
			return
		}
		for rest := v[1:]; rest[0] != 'e'; {
			n := rest.size()
			if !yield(rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// dict yields what is in a dictionary, in the order that it has: nothing, if v is none.
func (v value) dict() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		if v[0] != 'd' {
			return
		}
		for rest := v[1:]; rest[0] != 'e'; {
			n := rest.size()
			key, _ := rest[:n].text()
			rest = rest[n:]
			n = rest.size()
			if !yield(key, rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}
