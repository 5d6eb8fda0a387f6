package torrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long a server of .torrent files is waited for at most.
const patience = time.Minute

// resolve finds the metainfo of a link's torrent: as kept by an earlier call, else from where the
// link says that it is, else from peers. It keeps what it finds.
func (e *engine) resolve(ctx context.Context, link Link) (*Metainfo, error) {
	key := link.key()
	if key != "" {
		if meta, err := readMetainfo(filepath.Join(e.path(link), "info.torrent")); err == nil && meta.Link(-1).key() == key {
			return meta, nil
		}
	}
	meta, err := e.find(ctx, link)
	if err != nil {
		return nil, err
	}
	if found := meta.Link(-1); !same(link.Hash, found.Hash) || !same(link.HashV2, found.HashV2) {
		return nil, fmt.Errorf("find torrent %s: what was found is another one, %s", key, found.key())
	}
	return meta, e.keep(meta)
}

func same(wanted, found string) bool { return wanted == "" || wanted == found }

func (e *engine) find(ctx context.Context, link Link) (meta *Metainfo, err error) {
	switch {
	case link.Path != "":
		return readMetainfo(link.Path)
	case link.Source != "":
		meta, err = fetchMetainfo(ctx, link.Source, min(patience, e.set.Stall))
		if err == nil || link.key() == "" {
			return meta, err
		}
	}
	meta, peersErr := askPeers(ctx, link, e.set)
	return meta, joinErrors(peersErr, err)
}

// joinErrors is the first error with the reason for having come to it.
func joinErrors(err, before error) error {
	if err == nil || before == nil || err.Error() == before.Error() {
		return err
	}
	return fmt.Errorf("%w (and %w)", err, before)
}

// keep stores a metainfo for later calls. Nothing half-written is ever there under its name.
func (e *engine) keep(meta *Metainfo) error {
	text, err := meta.Bytes()
	if err != nil {
		return fmt.Errorf("keep metainfo: %w", err)
	}
	dir := e.path(meta.Link(-1))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep metainfo: %w", err)
	}
	f, err := os.CreateTemp(dir, "info-*")
	if err != nil {
		return fmt.Errorf("keep metainfo: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // unless it is renamed
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep metainfo: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, "info.torrent")); err != nil {
		return fmt.Errorf("keep metainfo: %w", err)
	}
	return nil
}

// readMetainfo reads a .torrent file.
func readMetainfo(path string) (*Metainfo, error) {
	f, err := os.Open(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: there is no such file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	defer f.Close()
	meta, err := parseFrom(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return meta, nil
}

// fetchMetainfo gets a .torrent from a web server. Errors leave the path out: it may hold a passkey.
func fetchMetainfo(ctx context.Context, source string, patience time.Duration) (*Metainfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, errors.New("get .torrent: the link is no http URL")
	}
	req.Header.Set("User-Agent", "git-annex-remote-torrent")
	resp, err := http.DefaultClient.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if err != nil && strings.Contains(err.Error(), "Location") { // it is quoted, and may hold a passkey
		err = errors.New("the server sends to what is no URL")
	}
	if err != nil {
		return nil, fmt.Errorf("get .torrent from %s: %w", req.URL.Host, late(err, patience))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get .torrent from %s: the server says %s", req.URL.Host, resp.Status)
	}
	meta, err := parseFrom(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("get .torrent from %s: %w", req.URL.Host, late(err, patience))
	}
	return meta, nil
}

// late says in plain words that a server was too slow.
func late(err error, patience time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it has not come in %v", patience)
	}
	return err
}

func parseFrom(r io.Reader) (*Metainfo, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxMetainfo+1))
	if err != nil {
		return nil, err
	}
	return ParseMetainfo(text)
}
