package cli

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"shardraid/layout"
)

// accountsData is what is known of free accounts; docs/accounts.md shows it.
//
//go:embed accounts.json
var accountsData string

// freeAccount is the free plan of a provider, or that there is none. Its texts
// say "unknown" where no source had an answer, and the rest may be out of date:
// what the account itself says counts more.
type freeAccount struct {
	Name         string         `json:"name"`
	accountPlace                // how rclone reaches it, for the most part
	Also         []accountPlace `json:"also"`
	Domain       string         `json:"domain"`    // the company, as in layout.Backend
	Free         string         `json:"free"`      // a size, "unknown", or "" for no plan that lasts
	FileSize     string         `json:"file_size"` // of the largest file, "" if none is known
	Traffic      string         `json:"traffic"`
	Requests     string         `json:"requests"`
	Hash         string         `json:"hash"`   // those that rclone reports, with commas
	About        bool           `json:"about"`  // rclone can ask how much is free
	Limits       accountLimits  `json:"limits"` // on the safe side; empty for no free plan
	Quirks       string         `json:"quirks"`
	Terms        string         `json:"terms"`
	Source       []string       `json:"source"`
}

// accountPlace tells which sections of rclone.conf are of a provider: all of a
// type, or those that name the provider or a server under one of the hosts.
type accountPlace struct {
	Type     string   `json:"type"`
	Provider string   `json:"provider"`
	Hosts    []string `json:"hosts"`
}

// accountLimits are the limits of a layout, as a person writes them.
type accountLimits struct {
	Storage  string `json:"storage"`
	Upload   string `json:"upload"`
	Download string `json:"download"`
	Requests string `json:"requests"`
	FileSize string `json:"file_size"`
}

// freeAccounts returns all that are known, those without a free plan last.
func freeAccounts() (list []freeAccount) {
	d := json.NewDecoder(strings.NewReader(accountsData))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		panic("cli: internal error: accounts.json: " + err.Error())
	}
	return list
}

// accountOf returns the provider whose account a section of rclone.conf is, if
// it is known. Option returns an option of the section, "" if it is not set.
// Nothing tells whether the account is a free one: its total may.
func accountOf(sectionType string, option func(name string) string) (found freeAccount, ok bool) {
	for _, a := range freeAccounts() {
		for _, p := range a.places() {
			switch {
			case p.Type != sectionType:
			case p.wholeType():
				found, ok = a, true
			case p.fits(option):
				return a, true // says more than the type alone
			}
		}
	}
	return found, ok
}

func (a freeAccount) places() []accountPlace {
	return append([]accountPlace{a.accountPlace}, a.Also...)
}

func (p accountPlace) wholeType() bool { return p.Provider == "" && len(p.Hosts) == 0 }

// fits tells whether a section of the type is of this provider.
func (p accountPlace) fits(option func(name string) string) bool {
	if p.Provider != "" && strings.EqualFold(p.Provider, option("provider")) {
		return true
	}
	for _, name := range []string{"endpoint", "url", "auth", "host"} {
		server := "." + hostOf(option(name))
		if slices.ContainsFunc(p.Hosts, func(host string) bool { return strings.HasSuffix(server, "."+host) }) {
			return true
		}
	}
	return false
}

// hostOf returns the host of a URL, which may lack its scheme, in lower case.
func hostOf(text string) string {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// String returns the block for a layout, {} for no limits.
func (l accountLimits) String() string {
	var set []string
	for _, field := range [][2]string{
		{"storage", l.Storage}, {"upload", l.Upload}, {"download", l.Download},
		{"requests", l.Requests}, {"file_size", l.FileSize},
	} {
		if field[1] != "" {
			set = append(set, field[0]+": "+field[1])
		}
	}
	return "{" + strings.Join(set, ", ") + "}"
}

// plan is how much the free plan stores, less a reserve; 0 where there is none
// or that is unknown.
func (a freeAccount) plan() int64 {
	l, err := a.Limits.values()
	if err != nil {
		panic("cli: internal error: accounts.json: " + a.Name + ": " + err.Error())
	}
	return l.Storage
}

// values returns the limits as a layout has them.
func (l accountLimits) values() (layout.Limits, error) {
	text := fmt.Sprintf("shardraid: 1\ndata: 1\nparity: 1\nbackends:\n"+
		"  - {name: a, remote: /a, limits: %v}\n  - {name: b, remote: /b}\n", l)
	parsed, err := layout.Parse("limits", []byte(text))
	if err != nil {
		return layout.Limits{}, err
	}
	return parsed.Backends[0].Limits, nil
}
