package torrent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"shardraid/annex"
)

// settings say how this clone takes part in swarms.
type settings struct {
	Host             string   // to listen on, "" for all addresses
	Port             int      // 0 for a free one
	DHT, PEX         bool     // other ways than trackers to find peers
	Nodes            []string // of the distributed hash table to begin with, HOST:PORT; none for well-known ones
	Trackers         bool
	UTP              bool          // besides TCP
	Upload, Download int64         // bytes per second, 0 for no limit
	Seeding          bool          // give to others while getting
	Vouch            bool          // peers count as a copy
	Stall            time.Duration // without progress that ends a get
	Ratio            float64       // of bytes given to bytes of a torrent that ends its seeding, 0 for none
}

// configs are the settings as a user gives them, to initremote, or in one clone by
// git config torrent.NAME.
var configs = []annex.Config{
	{Name: "listen", Description: "HOST:PORT to listen on (:0, a free port of all addresses)"},
	{Name: "dht", Description: "find peers by the distributed hash table: yes, no, or HOST:PORT,... of nodes to begin with (yes)"},
	{Name: "pex", Description: "find peers by what other peers say: yes or no (yes)"},
	{Name: "trackers", Description: "find peers by trackers: yes or no (yes)"},
	{Name: "utp", Description: "uTP besides TCP: yes or no (no)"},
	{Name: "upload", Description: "bytes per second to give at most, like 500KiB/s (no limit)"},
	{Name: "download", Description: "bytes per second to get at most (no limit)"},
	{Name: "seeding", Description: "give to others while getting: yes or no (yes)"},
	{Name: "vouch", Description: "count a file as present while peers have all of it: yes or no (no)"},
	{Name: "stall", Description: "how long a get goes on without progress (10m)"},
	{Name: "seed", Description: "ratio at which git-annex-remote-torrent seed is done with a torrent (0: never)"},
}

// parseSettings makes settings of texts by name; an empty text is the default.
func parseSettings(text map[string]string) (settings, error) {
	set := settings{DHT: true, PEX: true, Trackers: true, Seeding: true, Stall: 10 * time.Minute}
	if strings.Contains(text["dht"], ":") {
		set.Nodes = strings.Split(text["dht"], ",")
		for _, node := range set.Nodes {
			if err := checkPeer(node); err != nil {
				return set, fmt.Errorf("parse dht=%s: %w", text["dht"], err)
			}
		}
	} else if err := parseYes(&set.DHT, text["dht"]); err != nil {
		return set, fmt.Errorf("parse dht=%s: %w, or HOST:PORT of nodes", text["dht"], err)
	}
	for name, to := range map[string]*bool{"pex": &set.PEX, "trackers": &set.Trackers, "utp": &set.UTP, "seeding": &set.Seeding, "vouch": &set.Vouch} {
		if err := parseYes(to, text[name]); err != nil {
			return set, fmt.Errorf("parse %s=%s: %w", name, text[name], err)
		}
	}
	for name, to := range map[string]*int64{"upload": &set.Upload, "download": &set.Download} {
		var err error
		if *to, err = parseRate(text[name]); err != nil {
			return set, fmt.Errorf("parse %s=%s: %w", name, text[name], err)
		}
	}
	if text["stall"] != "" {
		d, err := time.ParseDuration(text["stall"])
		if err != nil || d < time.Second {
			return set, fmt.Errorf("parse stall=%s: it is a duration of a second or more, like 10m", text["stall"])
		}
		set.Stall = d
	}
	if text["seed"] != "" {
		ratio, err := strconv.ParseFloat(text["seed"], 64)
		if err != nil || !(ratio >= 0 && ratio < 1e6) {
			return set, fmt.Errorf("parse seed=%s: it is a ratio, like 1.5", text["seed"])
		}
		set.Ratio = ratio
	}
	return set, set.parseListen(text["listen"])
}

// parseYes leaves a default where there is no text.
func parseYes(to *bool, text string) error {
	switch text {
	case "":
	case "yes", "true":
		*to = true
	case "no", "false":
		*to = false
	default:
		return errors.New("it is yes or no")
	}
	return nil
}

func (set *settings) parseListen(text string) error {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("parse listen=%s: it is HOST:PORT, like 127.0.0.1:6881 or :6881", text)
	}
	if host != "" && net.ParseIP(host) == nil {
		return fmt.Errorf("parse listen=%s: %s is not an IP address", text, host)
	}
	set.Host = host
	if set.Port, err = strconv.Atoi(port); err != nil || set.Port < 0 || set.Port > 65535 {
		return fmt.Errorf("parse listen=%s: %s is not a port", text, port)
	}
	return nil
}

// readSettings asks for the settings of the remote, over which those of this clone go.
func readSettings(ctx context.Context, s *annex.Session) (settings, error) {
	text, err := remoteSettings(s)
	if err != nil {
		return settings{}, err
	}
	here, err := cloneSettings(ctx)
	if err != nil {
		return settings{}, err
	}
	override(text, here)
	return parseSettings(text)
}

// override sets what is not empty.
func override(text, by map[string]string) {
	for name, value := range by {
		if value != "" {
			text[name] = value
		}
	}
}

// remoteSettings returns what initremote was told, by the name.
func remoteSettings(s *annex.Session) (map[string]string, error) {
	text := map[string]string{}
	for _, c := range configs {
		var err error
		if text[c.Name], err = s.Config(c.Name); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// cloneSettings returns what git config says of torrent.NAME, by the name.
func cloneSettings(ctx context.Context) (map[string]string, error) {
	list, err := git(ctx, "", "config", "--list", "-z")
	if err != nil {
		return nil, fmt.Errorf("read git config torrent.*: %w", err)
	}
	text := map[string]string{}
	for entry := range strings.SplitSeq(list, "\x00") {
		name, value, valued := strings.Cut(entry, "\n")
		name, ok := strings.CutPrefix(name, "torrent.")
		if !ok {
			continue
		}
		if !valued { // to git it is true
			value = "true"
		}
		if !slices.ContainsFunc(configs, func(c annex.Config) bool { return c.Name == name }) {
			return nil, fmt.Errorf("read git config torrent.%s: there is no such setting (docs/torrent.md has them all)", name)
		}
		text[name] = value
	}
	return text, nil
}
