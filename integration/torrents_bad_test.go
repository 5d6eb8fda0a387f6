package integration

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func nap() { time.Sleep(50 * time.Millisecond) }

// badPeer: badpeer NAME garbage|corrupt|mute TORRENT listens as a peer that
// sends noise; or says that it has all and sends wrong blocks; or takes what
// comes and never answers. It sets NAME_PEER. Each has a host of its own, since
// one that is found to lie gets banned by that.
func badPeer(ts *testscript.TestScript, _ bool, args []string) {
	name, kind := args[0], args[1]
	p := &peer{gate: newGate(ts), t: theTorrent(ts, args[2])}
	p.gate.addr = strings.Replace(p.gate.addr, "127.0.0.1", fmt.Sprint("127.0.0.", 2+len(theSwarm(ts).peers)), 1)
	ts.Defer(p.gate.shut)
	theSwarm(ts).peers[name] = p
	ts.Setenv(name+"_PEER", p.address())
	with := map[string]func(net.Conn){
		"garbage": func(c net.Conn) { io.Copy(c, rand.Reader) },
		"mute":    func(c net.Conn) { io.Copy(io.Discard, c) },
		"corrupt": func(c net.Conn) { wrongBlocks(c, p.t) },
	}[kind]
	if with == nil {
		ts.Fatalf("badpeer: what is %s?", kind)
	}
	p.gate.serve(ts, func(c net.Conn) {
		defer c.Close()
		with(c)
	})
}

const handshake = "\x13BitTorrent protocol"

// wrongBlocks says that it has all of a torrent and sends noise for it. It
// takes part in no encryption: who begins with that must begin again.
func wrongBlocks(c net.Conn, t *aTorrent) {
	hello := make([]byte, 68)
	if _, err := io.ReadFull(c, hello); err != nil || string(hello[:20]) != handshake {
		return
	}
	hash, _ := hex.DecodeString(t.hash)
	fmt.Fprintf(c, "%s%s%s%s", handshake, make([]byte, 8), hash, "-XX0000-corruptcorru")
	pieces := t.pieces()
	field := make([]byte, (pieces+7)/8)
	for i := range pieces {
		field[i/8] |= 0x80 >> (i % 8)
	}
	message(c, 5, field)
	for head := make([]byte, 4); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		body := make([]byte, min(binary.BigEndian.Uint32(head), 1<<20))
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		switch {
		case len(body) == 1 && body[0] == 2: // interested
			message(c, 1, nil)
		case len(body) == 13 && body[0] == 6: // request
			block := make([]byte, 8+binary.BigEndian.Uint32(body[9:]))
			copy(block, body[1:9])
			rand.Read(block[8:])
			message(c, 7, block)
		}
	}
}

func message(w io.Writer, kind byte, body []byte) {
	w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+1)), append([]byte{kind}, body...)...))
}

// pieces is how many a torrent has.
func (t *aTorrent) pieces() int {
	total := 0
	filepath.WalkDir(t.data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += int(info.Size())
			}
		}
		return err
	})
	return (total + t.piece - 1) / t.piece
}

// badTorrents: badtorrents DIR writes .torrent files that nobody should follow.
func badTorrents(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	for name, text := range badOnes(ts.Getenv("WORK")) {
		ts.Check(os.WriteFile(filepath.Join(dir, name+".torrent"), []byte(text), 0o644))
	}
}

func badOnes(work string) map[string]string {
	one := strings.Repeat("x", 20) // the hash of one piece
	single := func(name string, length, piece int, pieces string) string {
		return fmt.Sprintf("d4:infod6:lengthi%de4:name%s12:piece lengthi%de6:pieces%see", length, text(name), piece, text(pieces))
	}
	several := func(name string, files string) string {
		return fmt.Sprintf("d4:infod5:filesl%se4:name%s12:piece lengthi65536e6:pieces%see", files, text(name), text(one))
	}
	file := func(length int, path ...string) string {
		parts := ""
		for _, part := range path {
			parts += text(part)
		}
		return fmt.Sprintf("d6:lengthi%de4:pathl%see", length, parts)
	}
	return map[string]string{
		"climbs":       several("x", file(5, "..", "..", "climbed")),
		"climbing":     single("../climbed", 5, 65536, one),
		"dots":         single("..", 5, 65536, one),
		"absolute":     single(work+"/climbed", 5, 65536, one),
		"absolutepart": several("x", file(5, work+"/climbed")),
		"git":          several(".git", file(5, "config")),
		"gitbelow":     several("x", file(5, ".git", "hooks", "post-checkout")),
		"gitcase":      several("x", file(5, ".GIT", "config")),
		"noname":       single("", 5, 65536, one),
		"nopath":       several("x", file(5)),
		"nofiles":      several("x", ""),
		"huge":         single("huge", 1<<62, 65536, one),
		"overflow":     several("x", file(1<<62, "a")+file(1<<62, "b")+file(1<<62, "c")),
		"negative":     single("negative", -5, 65536, one),
		"zeropiece":    single("zeropiece", 5, 0, one),
		"minuspiece":   single("minuspiece", 5, -1, one),
		"hugepiece":    single("hugepiece", 5, 1<<62, one),
		"fewpieces":    single("fewpieces", 65536*3, 65536, one),
		"oddpieces":    single("oddpieces", 5, 65536, one[1:]),
		"bomb":         "d4:info" + strings.Repeat("l", 2<<20) + strings.Repeat("e", 2<<20) + "e",
		"longstring":   "d4:info999999999999:x",
		"longnumber":   "d4:infod6:lengthi" + strings.Repeat("9", 1<<20) + "eee",
		"million":      several("x", strings.Repeat(file(0, "a"), 1000000)),
		"noinfo":       "d8:announce3:abce",
		"infolist":     "d4:infolee",
		"cut":          single("cut", 5, 65536, one)[:60],
		"words":        "this is not a torrent\n",
		"page":         "<!DOCTYPE html><html><body>Not found</body></html>",
		"empty":        "",
	}
}

// text is a string of bencode.
func text(s string) string { return fmt.Sprint(len(s), ":", s) }
