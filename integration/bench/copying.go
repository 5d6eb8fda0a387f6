package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// copyingName is the name by which git-annex calls this program to be the
// special remote that only copies to a directory: what the protocol costs
// whatever the remote does.
const copyingName = "git-annex-remote-copying"

// copying is that remote. It returns the exit code.
func copying(r io.Reader, w io.Writer) int {
	c := &copier{lines: bufio.NewScanner(r), out: w}
	c.say("VERSION 1")
	for c.lines.Scan() {
		command, rest, _ := strings.Cut(c.lines.Text(), " ")
		c.answer(command, rest)
	}
	return 0
}

type copier struct {
	lines *bufio.Scanner
	out   io.Writer
	dir   string
}

func (c *copier) say(words ...string) { fmt.Fprintln(c.out, strings.Join(words, " ")) }

func (c *copier) answer(command, rest string) {
	switch command {
	case "INITREMOTE", "PREPARE":
		c.say("GETCONFIG directory")
		c.lines.Scan()
		c.dir = strings.TrimPrefix(c.lines.Text(), "VALUE ")
		c.reply(os.MkdirAll(c.dir, 0o755), command, "")
	case "TRANSFER":
		direction, rest, _ := strings.Cut(rest, " ")
		key, file, _ := strings.Cut(rest, " ")
		from, to := file, filepath.Join(c.dir, key)
		if direction == "RETRIEVE" {
			from, to = to, from
		}
		c.reply(copyFile(from, to), command, direction+" "+key)
	case "CHECKPRESENT":
		_, err := os.Stat(filepath.Join(c.dir, rest))
		c.reply(err, command, rest)
	case "REMOVE":
		err := os.Remove(filepath.Join(c.dir, rest))
		if os.IsNotExist(err) {
			err = nil
		}
		c.reply(err, command, rest)
	default:
		c.say("UNSUPPORTED-REQUEST")
	}
}

func (c *copier) reply(err error, command, what string) {
	switch {
	case err == nil:
		c.say(strings.TrimSpace(command + "-SUCCESS " + what))
	case command == "CHECKPRESENT":
		c.say("CHECKPRESENT-FAILURE", what)
	default:
		c.say(command+"-FAILURE", what, err.Error())
	}
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}
