package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/net/webdav"
)

// hashing is a file system that tells the SHA-1 of its files.
type hashing struct {
	webdav.FileSystem

	mu    sync.Mutex
	known map[version]string
}

// version is a file as it was at a time.
type version struct {
	name string
	size int64
	at   time.Time
}

func (h *hashing) OpenFile(ctx context.Context, name string, flag int, perm os.FileMode) (webdav.File, error) {
	f, err := h.FileSystem.OpenFile(ctx, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &hashed{f, h, name}, nil
}

// hashed is a file with a property that webdav.Handler serves.
type hashed struct {
	webdav.File
	of   *hashing
	name string
}

func (f *hashed) DeadProps() (map[xml.Name]webdav.Property, error) {
	sum, err := f.sum()
	if sum == "" || err != nil {
		return nil, err
	}
	name := xml.Name{Space: "ME:", Local: "sha1hex"}
	return map[xml.Name]webdav.Property{name: {XMLName: name, InnerXML: []byte(sum)}}, nil
}

func (f *hashed) Patch([]webdav.Proppatch) ([]webdav.Propstat, error) { return nil, fs.ErrPermission }

// sum is the hash, "" of a directory.
func (f *hashed) sum() (string, error) {
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return "", err
	}
	v := version{f.name, info.Size(), info.ModTime()}
	f.of.mu.Lock()
	sum, ok := f.of.known[v]
	f.of.mu.Unlock()
	if ok {
		return sum, nil
	}
	hash := sha1.New()
	if _, err := io.Copy(hash, f.File); err != nil {
		return "", err
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	f.of.mu.Lock()
	f.of.known[v] = sum
	f.of.mu.Unlock()
	return sum, nil
}
