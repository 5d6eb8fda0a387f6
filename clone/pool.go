package clone

import (
	"context"
	"slices"
	"sync"
	"time"

	"shardraid/backends"
	"shardraid/layout"
	"shardraid/object"
	"shardraid/vault"
)

// Pool is the object store of a layout and its connected backends.
type Pool struct {
	*object.Store
	connected map[string]*backends.Rclone // by backend id
	journal   object.Journal
	stop      func() // ends what goes on in the background
	dir       *Dir   // remembers what is learned of the backends; nil for nobody

	mu   sync.Mutex
	kept time.Time
}

// Connect returns the store of a layout; no backend is touched yet. Journal is
// where interrupted stores are kept, nil for nowhere.
func Connect(v *vault.Vault, l *layout.Layout, journal object.Journal) (*Pool, error) {
	return connect(v, l, journal, nil, nil)
}

// Connect returns the store of a layout for this clone, with its journal and
// within what it allows its link.
func (s *Dir) Connect(ctx context.Context, v *vault.Vault, l *layout.Layout) (*Pool, error) {
	link, err := s.link(ctx)
	if err != nil {
		return nil, err
	}
	p, err := connect(v, l, s.Journal(), nil, link)
	if err != nil {
		return nil, err
	}
	p.dir, p.kept = s, time.Now()
	speeds, stored := map[string]object.Speed{}, map[string]int64{}
	for id, k := range s.Known() {
		speeds[id] = k.Speed
		if k.Stored != nil {
			stored[id] = *k.Stored
		}
	}
	p.Expect(speeds)
	p.ExpectStored(stored)
	return p, nil
}

// keepEvery is how much of what is learned of the backends a kill may cost.
const keepEvery = time.Minute

// Keep remembers what was learned of the backends, now and then.
func (p *Pool) Keep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir != nil && time.Since(p.kept) > keepEvery {
		p.remember()
	}
}

// Remember does so at once.
func (p *Pool) Remember() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir != nil {
		p.remember()
	}
}

func (p *Pool) remember() {
	p.kept = time.Now()
	p.dir.learn(func(all map[string]Known) {
		speeds, counts := p.Speeds(), p.Counts()
		for id, b := range p.connected {
			k := all[id]
			k.speed(speeds[id])
			k.contact(b.Contact())
			k.stored(counts[id])
			all[id] = k
		}
	})
}

func connect(v *vault.Vault, l *layout.Layout, journal object.Journal, markers map[string]string, link *backends.Link) (*Pool, error) {
	if err := backends.Setup(); err != nil {
		return nil, err
	}
	p := &Pool{journal: journal, stop: func() {}, connected: map[string]*backends.Rclone{}}
	stores := map[string]backends.Store{}
	for _, b := range l.Backends {
		if b.State != layout.Off {
			open := openBackend(b, link)
			stores[b.ID] = open
			p.connected[b.ID] = open
		}
	}
	var err error
	p.Store, err = object.New(object.Config{Vault: v, Layout: l, Stores: stores, Markers: markers, Journal: journal})
	return p, err
}

// Claim puts settings in force on the backends of their layout; c says what
// came before, and gets the rest here. The passphrase is for copies of a vault
// in that mode.
func (s *Dir) Claim(ctx context.Context, v *vault.Vault, set *Settings, passphrase string, c object.Claim) (err error) {
	if c.Document, err = set.Document.Marshal(); err != nil {
		return err
	}
	c.Follows = set.Document.Follows
	c.Copy = func(ctx context.Context) ([]byte, error) { return vault.SealCopy(ctx, v, set.Card, passphrase) }
	pool, err := Connect(v, set.Layout, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Claim(ctx, c); err != nil {
		return err
	}
	s.learn(func(all map[string]Known) {
		for _, b := range set.Layout.Backends {
			if !c.Known[b.ID] {
				all[b.ID] = Known{Stored: new(int64)} // it was empty
			}
		}
	})
	return nil
}

// OpenBackend connects one backend.
func OpenBackend(b layout.Backend) *backends.Rclone { return openBackend(b, nil) }

func openBackend(b layout.Backend, link *backends.Link) *backends.Rclone {
	return backends.Open(backends.Options{
		Name: b.Name, Remote: b.Remote,
		Upload: b.Limits.Upload, Download: b.Limits.Download, Requests: b.Limits.Requests,
		Link: link, Ledger: ledger(b.ID),
	})
}

// FillInBehind begins, in the background, to bring the shards back that earlier
// stores could not place. Close ends it; what is left then stays noted.
func (p *Pool) FillInBehind(job *object.Job) {
	if n, err := object.Pending(p.journal); err != nil || n == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.FillIn(ctx, job) // errors are told to the job, and the notes stay
	}()
	p.stop = func() {
		cancel()
		<-done
	}
}

// Close lets the backends go.
func (p *Pool) Close() {
	p.stop()
	p.Remember()
	for _, b := range p.connected {
		b.Close()
	}
}

// Sections returns the sections of rclone.conf that a layout needs.
func Sections(l *layout.Layout) []string {
	var sections []string
	for _, b := range l.Backends {
		if section := b.Section(); section != "" && b.State != layout.Off && !slices.Contains(sections, section) {
			sections = append(sections, section)
		}
	}
	return sections
}

// Types looks the sections' types of storage up in rclone.conf. The error
// names the first section that is missing.
func Types(l *layout.Layout) (map[string]string, error) {
	if err := backends.Setup(); err != nil {
		return nil, err
	}
	sections := Sections(l)
	if len(sections) == 0 {
		return nil, nil
	}
	if err := backends.CheckSections(sections, nil); err != nil {
		return nil, err
	}
	types := map[string]string{}
	for _, section := range sections {
		types[section] = backends.SectionType(section)
	}
	return types, nil
}

// LogTo gives hear what rclone logs, line by line; see [backends.LogTo].
func LogTo(hear func(line string)) { backends.LogTo(hear) }

// Missing says, a line each, which sections rclone.conf does not have and how
// to make them.
func Missing(set *Settings) (lines []string) {
	if err := backends.Setup(); err != nil {
		return []string{err.Error()}
	}
	for _, section := range Sections(set.Layout) {
		if err := backends.CheckSections([]string{section}, set.Document.Types); err != nil {
			lines = append(lines, err.Error())
		}
	}
	return lines
}
