package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shardraid/backends"
	"shardraid/layout"
)

// initOptions are what init is told by flags.
type initOptions struct {
	file         string
	folder       string
	accounts     []string // SECTION[:PATH] or /PATH, each with @DOMAIN or without
	data, parity int
	yes          bool

	asked []account // who was asked how much is free
}

func (a *app) initCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use: "init", Short: "write a layout from the accounts in your rclone.conf", Args: cobra.NoArgs,
		Long: `Lists the sections of rclone.conf and how much is free there, asks which of them to use, proposes how many of them may be lost, says what that survives and costs, and writes the layout. It creates and changes nothing else; the git annex initremote line that it prints does.

It asks nothing where accounts are named with --account, or with --yes, which takes every section that answers or cannot say how much is free. Two accounts of a company that is known are taken to die together, and free plans that are known get their limits written down (docs/accounts.md); whether other servers of S3, WebDAV or SFTP are of one company only you can say: name their domain.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	cmd.Flags().StringVar(&o.file, "output", "shardraid.yaml", "file to write; it must not exist")
	cmd.Flags().StringVar(&o.folder, "folder", "shardraid", "folder on each account where no path is named; it must be empty or missing")
	cmd.Flags().StringArrayVar(&o.accounts, "account", nil, "an account to use: SECTION, SECTION:PATH or /PATH, with @DOMAIN where it can die together with others; may be repeated")
	cmd.Flags().IntVar(&o.data, "data", 0, "pieces that bring a file back (default: proposed)")
	cmd.Flags().IntVar(&o.parity, "parity", 0, "accounts that may be lost (default: proposed)")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "ask nothing")
	return cmd
}

func (o *initOptions) run(cmd *cobra.Command) error {
	if _, err := os.Lstat(o.file); err == nil {
		return fmt.Errorf("%s is there already: name another file with --output", o.file)
	}
	if err := backends.Setup(); err != nil {
		return err
	}
	list, err := o.choose(cmd)
	if err != nil {
		return err
	}
	l, err := o.propose(list)
	if err != nil {
		return err
	}
	show(cmd, "")
	show(cmd, l.Explain()...)
	text := layout.Text(l.Data, l.Parity, list)
	f, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	show(cmd, "", "wrote "+o.file+"; look at it, then, with the fingerprint of your GPG key (gpg --list-keys):", "",
		"git annex initremote raid type=external externaltype=shardraid encryption=none layout="+o.file+" recipients=FINGERPRINT")
	return nil
}

// choose returns the backends that the flags name, or the person.
func (o *initOptions) choose(cmd *cobra.Command) (list []layout.Backend, err error) {
	accounts := o.accounts
	if len(accounts) == 0 {
		if accounts, err = o.ask(cmd); err != nil {
			return nil, err
		}
	}
	var sections []string
	for _, text := range accounts {
		b := o.backend(text)
		if section, _, found := strings.Cut(b.Remote, ":"); found && !strings.HasPrefix(b.Remote, "/") {
			sections = append(sections, section)
		}
		for n := 2; slices.ContainsFunc(list, func(other layout.Backend) bool { return other.Name == b.Name }); n++ {
			b.Name = fmt.Sprintf("%s-%d", o.backend(text).Name, n)
		}
		list = append(list, b)
	}
	if err := backends.CheckSections(sections, nil); err != nil {
		return nil, err
	}
	o.limit(cmd, list)
	return list, nil
}

// limit gives each account the limits of its provider's free plan, unless more
// is free there than that plan has.
func (o *initOptions) limit(cmd *cobra.Command, list []layout.Backend) {
	plans, backends := map[string]freeAccount{}, map[string]int64{} // by section
	for _, b := range list {
		backends[b.Section()]++
		if p, ok := providerOf(b.Section()); ok && p.plan() > 0 {
			plans[b.Section()] = p
		}
	}
	if o.asked == nil {
		for section := range plans {
			o.asked = append(o.asked, account{section: section})
		}
		askFree(cmd.Context(), o.asked)
	}
	free := map[string]int64{}
	for _, a := range o.asked {
		if a.err == nil {
			free[a.section] = a.free
		}
	}
	var limited []string
	for i := range list {
		b := &list[i]
		p, ok := plans[b.Section()]
		if n, said := free[b.Section()]; !ok || said && n > p.plan()/4*5 {
			continue
		}
		b.Limits, _ = p.Limits.values() // plan has seen that it is good
		b.Limits.Storage = b.Limits.Storage / backends[b.Section()] >> 20 << 20
		limited = append(limited, b.Name+" ("+p.Name+")")
	}
	if len(limited) > 0 {
		show(cmd, "", "limits of the free plans are written for "+strings.Join(limited, ", ")+"; take them out where the account is a paid one (docs/accounts.md)")
	}
}

// backend reads SECTION, SECTION:PATH or /PATH, and @DOMAIN.
func (o *initOptions) backend(text string) layout.Backend {
	remote, domain := text, ""
	whole, _, _ := strings.Cut(text, ":") // may be the name of a section that has an @
	if i := strings.LastIndex(text, "@"); i > 0 && (strings.HasPrefix(text, "/") || i > len(whole) || backends.SectionType(whole) == "") {
		remote, domain = text[:i], text[i+1:]
	}
	section, path, _ := strings.Cut(remote, ":")
	name := section
	if strings.HasPrefix(remote, "/") {
		name = strings.Trim(strings.ReplaceAll(remote, "/", "-"), "-")
	} else {
		if path == "" {
			path = o.folder
		}
		remote = section + ":" + path
		if domain == "" {
			a, _ := providerOf(section)
			domain = a.Domain
		}
	}
	name = notName.ReplaceAllString(strings.ToLower(name), "-")
	name = strings.Trim(name[max(0, len(name)-28):], "-") // room for a number
	if name == "" {
		name = "backend"
	}
	return layout.Backend{Name: name, Remote: remote, Domain: domain}
}

// providerOf returns whose account a section is, if that is known.
func providerOf(section string) (freeAccount, bool) {
	return accountOf(backends.SectionType(section), func(option string) string { return backends.SectionOption(section, option) })
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

// wrappers are types of storage that lie on another section.
var wrappers = []string{"alias", "cache", "chunker", "combine", "compress", "crypt", "hasher", "memory", "union", "local"}

// propose chooses data and parity where the flags do not.
func (o *initOptions) propose(list []layout.Backend) (*layout.Layout, error) {
	if o.data == 0 && o.parity == 0 {
		return layout.Propose(list)
	}
	data, parity := o.data, o.parity
	if parity == 0 {
		parity = len(list) - data
	}
	if data == 0 {
		data = len(list) - parity
	}
	return layout.Parse(o.file, []byte(layout.Text(data, parity, list)))
}

// account is a section of rclone.conf.
type account struct {
	section, kind string
	free          int64
	err           error
}

// ask lists the sections that could be used, and asks which shall be.
func (o *initOptions) ask(cmd *cobra.Command) ([]string, error) {
	accounts, left, err := findAccounts(cmd.Context())
	if err != nil {
		return nil, err
	}
	o.asked = accounts
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "section\ttype\tdomain\tfree\t")
	var answer []string
	for _, a := range accounts {
		trouble := ""
		free := "?"
		switch {
		case a.err == nil:
			free = size(&a.free)
			answer = append(answer, a.section)
		case errors.Is(a.err, errors.ErrUnsupported):
			answer = append(answer, a.section)
		default:
			trouble = a.err.Error()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", a.section, a.kind, o.backend(a.section).Domain, free, trouble)
	}
	t.Flush()
	if len(left) > 0 {
		show(cmd, "left out, since they lie on a section or a disk that may be in use already: "+strings.Join(left, ", ")+"; --account takes them")
	}
	if len(answer) == 0 {
		return nil, errors.New("no section of your rclone.conf answers: make one for each account with rclone config, or name folders with --account /PATH")
	}
	if o.yes {
		return answer, nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "\nWhich shall be used? SECTION, SECTION:PATH or /PATH, each with @DOMAIN if it can die together with others\n[%s]: ", strings.Join(answer, " "))
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil {
		return nil, errors.New("nobody answers: name the accounts with --account, or add --yes to take all that answer")
	}
	if words := strings.Fields(line); len(words) > 0 {
		return words, nil
	}
	return answer, nil
}

// patience is how long an account may take to say how much is free.
const patience = 20 * time.Second

// findAccounts asks all sections at once how much is free, but for those that lie
// on others, which it names.
func findAccounts(ctx context.Context) (list []account, left []string, err error) {
	sections, err := backends.Sections()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range sections {
		if kind := backends.SectionType(name); slices.Contains(wrappers, kind) {
			left = append(left, name)
		} else {
			list = append(list, account{section: name, kind: kind})
		}
	}
	askFree(ctx, list)
	return list, left, nil
}

// askFree asks accounts at once how much is free.
func askFree(ctx context.Context, list []account) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var asked sync.WaitGroup
	for i := range list {
		asked.Go(func() {
			store := backends.Open(backends.Options{Name: list[i].section, Remote: list[i].section + ":", Timeout: patience})
			defer store.Close()
			list[i].free, list[i].err = store.Free(ctx)
		})
	}
	asked.Wait()
}
