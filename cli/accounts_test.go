package cli

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rclone/rclone/backend/overview"

	"shardraid/layout"
)

var updateAccounts = flag.Bool("update", false, "rewrite docs/accounts.md: go test ./cli -run Account -update")

const accountsPage = "../docs/accounts.md"

// Each entry is complete, its limits are those of a valid layout, and lie below
// what the plan gives.
func TestAccountsAreValid(t *testing.T) {
	names := map[string]bool{}
	for _, a := range freeAccounts() {
		if a.Name == "" || names[a.Name] {
			t.Errorf("%q: the name is taken or missing", a.Name)
		}
		names[a.Name] = true
		for field, text := range map[string]string{
			"domain": a.Domain, "traffic": a.Traffic, "requests": a.Requests, "quirks": a.Quirks, "terms": a.Terms,
			"source": strings.Join(a.Source, ""),
		} {
			if text == "" || strings.ContainsAny(text, "|\n") {
				t.Errorf("%s: %s is %q", a.Name, field, text)
			}
		}
		for _, source := range a.Source {
			if !strings.HasPrefix(source, "https://") && !strings.HasPrefix(source, "http://") {
				t.Errorf("%s: source %q is no address", a.Name, source)
			}
		}
		limits, err := a.Limits.values()
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
		free, fileSize := sizeOf(t, a.Name, a.Free), sizeOf(t, a.Name, a.FileSize)
		if (limits.Storage == 0) != (free == 0) || free > 0 && limits.Storage >= free {
			t.Errorf("%s: storage limit %s of %q", a.Name, a.Limits.Storage, a.Free)
		}
		if free == 0 && limits != (layout.Limits{}) || limits.FileSize > 0 && limits.FileSize >= fileSize {
			t.Errorf("%s: limits %v", a.Name, a.Limits)
		}
	}
}

// sizeOf is 0 for what is missing or unknown.
func sizeOf(t *testing.T, name, text string) int64 {
	if text == "" || text == "unknown" {
		return 0
	}
	limits, err := accountLimits{Storage: text}.values()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return limits.Storage
}

// What rclone says of its own backends is what the data says: that the type
// exists, its hashes, and whether it can ask how much is free.
func TestAccountsAgreeWithRclone(t *testing.T) {
	for _, a := range freeAccounts() {
		for _, p := range a.places() {
			if _, err := overview.GetBackendConfig(strings.ReplaceAll(p.Type, " ", "")); err != nil {
				t.Errorf("%s: %v", a.Name, err)
			}
		}
		backend, err := overview.GetBackendConfig(strings.ReplaceAll(a.Type, " ", ""))
		if err != nil {
			continue
		}
		if a.About != slices.Contains(backend.Features, "About") {
			t.Errorf("%s: about is %v", a.Name, a.About)
		}
		if a.Hash == "" && len(backend.Hashes) > 0 && a.Type != "webdav" { // whose servers differ
			t.Errorf("%s: rclone has %v", a.Name, backend.Hashes)
		}
		for _, hash := range strings.FieldsFunc(a.Hash, func(r rune) bool { return strings.ContainsRune(", ", r) }) {
			if !slices.Contains(backend.Hashes, hash) {
				t.Errorf("%s: rclone has no %s, but %v", a.Name, hash, backend.Hashes)
			}
		}
	}
}

// The companies that a type of storage tells for certain.
func TestAccountDomains(t *testing.T) {
	want := map[string]string{
		"drive": "google", "google cloud storage": "google", "google photos": "google", "onedrive": "microsoft", "azureblob": "microsoft",
		"azurefiles": "microsoft", "dropbox": "dropbox", "box": "box", "mega": "mega", "pcloud": "pcloud", "koofr": "koofr", "yandex": "yandex",
		"mailru": "mailru", "jottacloud": "jottacloud", "protondrive": "proton", "hidrive": "strato", "b2": "backblaze", "storj": "storj",
		"zoho": "zoho", "opendrive": "opendrive", "pikpak": "pikpak", "filen": "filen", "internxt": "internxt", "iclouddrive": "apple", "fichier": "1fichier",
	}
	for kind, domain := range want {
		if a, _ := accountOf(kind, accountOptions{}.option); a.Domain != domain {
			t.Errorf("%s: domain %q, want %q", kind, a.Domain, domain)
		}
	}
	whole := map[string]string{}
	for _, a := range freeAccounts() {
		for _, p := range a.places() {
			if other, twice := whole[p.Type]; p.wholeType() && twice {
				t.Errorf("all of type %s is both %s and %s", p.Type, other, a.Name)
			}
			if p.wholeType() {
				whole[p.Type] = a.Name
			}
			if p.wholeType() && slices.Contains(append([]string{"s3", "webdav", "swift", "sftp", "ftp", "smb"}, wrappers...), p.Type) {
				t.Errorf("%s: all of type %s is of one company", a.Name, p.Type)
			}
		}
	}
}

type accountOptions map[string]string

func (s accountOptions) option(name string) string { return s[name] }

func TestAccountOf(t *testing.T) {
	for _, c := range []struct {
		kind    string
		options accountOptions
		want    string // "" for none
	}{
		{"drive", nil, "Google Drive"},
		{"s3", accountOptions{"provider": "Cloudflare", "endpoint": "https://0123.r2.cloudflarestorage.com"}, "Cloudflare R2"},
		{"s3", accountOptions{"provider": "Other", "endpoint": "0123.eu.r2.cloudflarestorage.com"}, "Cloudflare R2"},
		{"s3", accountOptions{"provider": "idrive", "endpoint": "x1.fra.idrivee2-11.com"}, "IDrive e2"},
		{"s3", accountOptions{"provider": "Other", "endpoint": "https://S3.Tebi.io:443/"}, "Tebi"},
		{"s3", accountOptions{"provider": "Other", "endpoint": "https://ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com"}, "Oracle Object Storage"},
		{"s3", accountOptions{"provider": "Other", "endpoint": "https://nottebi.io"}, ""},
		{"s3", accountOptions{"provider": "Other", "endpoint": "https://tebi.io.example.org"}, ""},
		{"s3", accountOptions{"provider": "Minio", "endpoint": "http://127.0.0.1:9000"}, ""},
		{"s3", nil, ""},
		{"webdav", accountOptions{"url": "https://app.koofr.net/dav/Koofr", "vendor": "other"}, "Koofr"},
		{"webdav", accountOptions{"url": "https://node.teracloud.jp/dav/"}, "InfiniCLOUD"},
		{"webdav", accountOptions{"url": "https://user:secret@cloud.tab.digital/remote.php/dav/files/me"}, "TAB.DIGITAL"},
		{"webdav", accountOptions{"url": "https://example.org/koofr.net"}, ""},
		{"webdav", accountOptions{"url": "::%"}, ""},
		{"swift", accountOptions{"auth": "https://authenticate.ain.net"}, "Blomp"},
		{"swift", accountOptions{"auth": "https://auth.cloud.ovh.net/v3"}, ""},
		{"sftp", accountOptions{"host": "sftp.hidrive.strato.com"}, "HiDrive"},
		{"sftp", accountOptions{"host": "example.org"}, ""},
		{"local", nil, ""},
		{"", nil, ""},
	} {
		got, ok := accountOf(c.kind, c.options.option)
		if got.Name != c.want || ok != (c.want != "") {
			t.Errorf("%s %v: %q, %v; want %q", c.kind, c.options, got.Name, ok, c.want)
		}
	}
}

// docs/accounts.md is what the data says.
func TestAccountsPage(t *testing.T) {
	want := renderAccounts(freeAccounts())
	if *updateAccounts {
		if err := os.WriteFile(accountsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(accountsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/accounts.md is not what cli/accounts.json says: go test ./cli -run Account -update")
	}
}

const accountsIntro = `# Free accounts

What the free plans of storage providers give, for use as backends of shardraid. This page is made from [cli/accounts.json](../cli/accounts.json): change it there, then run ` + "`go test ./cli -run Account -update`" + `.

**Read this first.**

- A free account is good for a few gigabytes that you can afford to lose: it may be slow, locked or closed at any time. shardraid is made for that. Take many providers, and more parity than you would for paid ones (4+4 rather than 4+2). Keep another copy of what matters.
- Several accounts at one provider are ONE domain. They go down together, and are closed together. Give all of them the same ` + "`domain`" + `, that of the table below. Two accounts at two providers are worth more than five at one.
- The terms matter. Several forbid more than one free account per person. Nothing here is a way round them: one account at each provider is what shardraid needs. A store of shards is unusual use, and a provider may say no to it.
- Many close what lies idle. A weekly ` + "`shardraid scrub --hashes`" + ` (see the README) keeps accounts in use; but some count logins on their web site alone, and this is said below.
- Where a provider bills what goes beyond the free part, set a cap in its console. The limits below keep away from it, but no program can promise your bill.

**How true is it?** The figures were looked up on 2026-11-26 in stored copies of the pages named under each provider, some of them years old; dates stand with them where the copy has one. Providers change their plans without notice. Hashes, and whether the free space can be asked for, are from rclone 1.76.0. "Unknown" and "not found" mean that no source had an answer. What ` + "`rclone about gdrive:`" + ` says of your account counts more than this page.

**How to use the limits.** Copy the ` + "`limits:`" + ` line into the backend in your layout, beside name and remote; each key may be left out or changed. They are on the safe side: ` + "`storage`" + ` is some percent below the plan, a provider's GB taken for 10^9 bytes.

` + "```yaml" + `
backends:
  - name: box
    remote: "box:shardraid"
    domain: box
    limits: {storage: 9GiB, requests: 4/s, file_size: 230MiB}
` + "```" + `

If the account is a paid one, leave the line out or write your own.
`

// renderAccounts writes the page.
func renderAccounts(accounts []freeAccount) string {
	var b strings.Builder
	b.WriteString(accountsIntro)
	b.WriteString("\n## Overview\n\n\"Asks\": rclone can ask how much is free. For WebDAV that depends on the server.\n\n" +
		"| provider | type in rclone | domain | free | largest file | hash | asks |\n|---|---|---|---|---|---|---|\n")
	cell := func(text string) string {
		if text == "" {
			return "-"
		}
		return text
	}
	var none []freeAccount
	for _, a := range accounts {
		asks := map[bool]string{true: "yes", false: "no"}[a.About]
		if a.Free == "" {
			none = append(none, a)
			continue
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s | %s |\n", a.Name, accountAnchor(a.Name), accountTypes(a), a.Domain, a.Free, cell(a.FileSize), cell(a.Hash), asks)
	}
	b.WriteString("\nNo free plan that lasts:\n\n| provider | type in rclone | domain | why |\n|---|---|---|---|\n")
	for _, a := range none {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", a.Name, accountAnchor(a.Name), accountTypes(a), a.Domain, a.Quirks)
	}
	b.WriteString("\n## Providers\n")
	for _, a := range accounts {
		renderAccount(&b, a)
	}
	return b.String()
}

func renderAccount(b *strings.Builder, a freeAccount) {
	fmt.Fprintf(b, "\n### %s\n\nType %s; domain `%s`, for all accounts there.\n\n", a.Name, accountTypes(a), a.Domain)
	if a.Limits != (accountLimits{}) {
		fmt.Fprintf(b, "```yaml\nlimits: %v\n```\n\n", a.Limits)
	}
	for _, line := range [][2]string{{"Traffic", a.Traffic}, {"Requests", a.Requests}, {"Quirks", a.Quirks}, {"Terms", a.Terms}} {
		if line[1] != "unknown" {
			fmt.Fprintf(b, "- %s: %s\n", line[0], line[1])
		}
	}
	var missing []string
	for _, line := range [][2]string{{"how much is free", a.Free}, {"limits of traffic", a.Traffic}, {"limits of requests", a.Requests}} {
		if line[1] == "unknown" {
			missing = append(missing, line[0])
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(b, "- Unknown: %s.\n", strings.Join(missing, ", "))
	}
	var sources []string
	for _, source := range a.Source {
		address, note, _ := strings.Cut(source, " ")
		sources = append(sources, strings.TrimSpace("<"+address+"> "+note))
	}
	fmt.Fprintf(b, "- Sources: %s\n", strings.Join(sources, ", "))
}

// accountTypes lists the types of section that reach the provider.
func accountTypes(a freeAccount) string {
	set := map[string]bool{}
	for _, p := range a.Also {
		set[p.Type] = true
	}
	delete(set, a.Type)
	return strings.Join(append([]string{a.Type}, slices.Sorted(maps.Keys(set))...), ", ")
}

// accountAnchor is what GitHub makes of a heading.
func accountAnchor(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), ".", ""), " ", "-")
}
