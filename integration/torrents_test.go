package integration

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// swarm is what a script has made of torrents: nothing of it leaves loopback,
// and no program in it runs DHT, local peer discovery or port forwarding.
type swarm struct {
	torrents map[string]*aTorrent
	peers    map[string]*peer // also those that are dead or bad
	counts   map[string]*meter
	tracker  *aTracker
	ours     map[string]*exec.Cmd // what seeds in a directory
}

// aTorrent is a .torrent and what it is of.
type aTorrent struct {
	name, file, data string
	hash             string // hex
	piece            int    // bytes
	trackers         []string
}

type swarmKey struct{}

func newSwarm() *swarm {
	return &swarm{torrents: map[string]*aTorrent{}, peers: map[string]*peer{}, counts: map[string]*meter{}, ours: map[string]*exec.Cmd{}}
}

func theSwarm(ts *testscript.TestScript) *swarm { return ts.Value(swarmKey{}).(*swarm) }

// torrentCommands are what scripts about torrents can do beside the others.
func torrentCommands(commands map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	commands["torrent"] = makeTorrent
	commands["link"] = makeLink
	commands["seeder"] = startSeeder
	commands["stopseeder"] = stopSeeder
	commands["tracker"] = startTracker
	commands["announced"] = announced
	commands["web"] = web
	commands["badpeer"] = badPeer
	commands["badtracker"] = badTracker
	commands["badtorrents"] = badTorrents
	commands["sent"] = sent
	commands["awaitsent"] = awaitSent
	commands["slay"] = slay
	commands["fails"] = fails
	commands["refused"] = refused
	commands["aria2"] = leech
	commands["ours"] = startOurs
	commands["stopours"] = stopOurs
	return commands
}

// makeTorrent: torrent NAME [-private] [-piece SIZE] [-webseed URL] [-tracker
// URL] PATH makes $WORK/NAME.torrent of a file or a directory, and sets
// NAME_HASH. The tracker of the script, if there is one, takes it on.
func makeTorrent(ts *testscript.TestScript, _ bool, args []string) {
	name, args := args[0], args[1:]
	t := &aTorrent{name: name, file: filepath.Join(ts.Getenv("WORK"), name+".torrent")}
	piece := 64 << 10
	make := []string{"-d", "-o", t.file}
	for len(args) > 1 {
		switch args[0] {
		case "-private":
			make, args = append(make, "-p"), args[1:]
			continue
		case "-piece":
			piece = size(ts, args[1])
		case "-webseed":
			make = append(make, "-w", args[1])
		case "-tracker":
			make, t.trackers = append(make, "-a", args[1]), append(t.trackers, args[1])
		default:
			ts.Fatalf("torrent: what is %s?", args[0])
		}
		args = args[2:]
	}
	t.data, t.piece = ts.MkAbs(args[0]), piece
	make = append(make, "-l", strconv.Itoa(bits.Len(uint(piece))-1), t.data)
	if out, err := exec.Command(program(ts, "mktorrent"), make...).CombinedOutput(); err != nil {
		ts.Fatalf("mktorrent %v: %v\n%s", make, err, out)
	}
	t.hash = infoHash(must(os.ReadFile(t.file)))
	ts.Setenv(name+"_HASH", t.hash)
	theSwarm(ts).torrents[name] = t
	if tracker := theSwarm(ts).tracker; tracker != nil {
		tracker.admit(ts, t.hash)
	}
}

// size reads 5M, 64KiB or 1000.
func size(ts *testscript.TestScript, text string) int {
	number := strings.TrimRight(text, "iBKMG")
	n, err := strconv.Atoi(number)
	ts.Check(err)
	switch strings.TrimSuffix(text[len(number):], "iB") {
	case "K":
		n <<= 10
	case "M":
		n <<= 20
	case "G":
		n <<= 30
	}
	return n
}

// infoHash is the hash of what the key info of a .torrent has. It is found
// without the library that is tested.
func infoHash(torrent []byte) string {
	for at := 1; at < len(torrent) && torrent[at] != 'e'; {
		value := bencodeEnd(torrent, at)
		end := bencodeEnd(torrent, value)
		if string(torrent[at:value]) == "4:info" {
			sum := sha1.Sum(torrent[value:end])
			return hex.EncodeToString(sum[:])
		}
		at = end
	}
	return ""
}

// bencodeEnd is where a value ends that begins at i, in bencode that is well
// formed.
func bencodeEnd(b []byte, i int) int {
	switch b[i] {
	case 'i':
		return i + strings.IndexByte(string(b[i:]), 'e') + 1
	case 'l', 'd':
		for i++; b[i] != 'e'; {
			i = bencodeEnd(b, i)
		}
		return i + 1
	default:
		colon := i + strings.IndexByte(string(b[i:]), ':')
		n, _ := strconv.Atoi(string(b[i:colon]))
		return colon + 1 + n
	}
}

// makeLink: link VARIABLE [-file N] [-source URL] [-raw] NAME [PEER…] sets a
// variable to a magnet link of a torrent with the addresses of peers; -raw
// leaves the torrent: before it out.
func makeLink(ts *testscript.TestScript, _ bool, args []string) {
	variable, args := args[0], args[1:]
	prefix, more := "torrent:", ""
	for strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-raw":
			prefix, args = "", args[1:]
			continue
		case "-file":
			more += "&so=" + args[1]
		case "-source":
			more += "&xs=" + url.QueryEscape(args[1])
		case "-tracker":
			more += "&tr=" + url.QueryEscape(args[1])
		}
		args = args[2:]
	}
	t := theTorrent(ts, args[0])
	for _, name := range args[1:] {
		more += "&x.pe=" + thePeer(ts, name).address()
	}
	ts.Setenv(variable, fmt.Sprintf("%smagnet:?xt=urn:btih:%s&dn=%s%s", prefix, t.hash, t.name, more))
}

func theTorrent(ts *testscript.TestScript, name string) *aTorrent {
	t := theSwarm(ts).torrents[name]
	if t == nil {
		ts.Fatalf("no torrent %s", name)
	}
	return t
}

// gate is an address that stays while what is behind it comes and goes: it
// refuses connections while it is shut, and counts the bytes that come back.
type gate struct {
	meter *meter // whose Listener is there while it is open
	addr  string
}
