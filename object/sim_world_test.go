package object

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"shardraid/backends"
	"shardraid/erasure"
	"shardraid/layout"
	"shardraid/manifest"
	"shardraid/vault"
)

// simEnvelope closes records by a MAC alone: the simulation makes millions of
// them, and OpenPGP costs 0.1 ms each.
type simEnvelope struct{}

var simMACKey = []byte("the simulation's records")

func (simEnvelope) mac(kind string, body []byte) []byte {
	mac := hmac.New(sha256.New, simMACKey)
	fmt.Fprintf(mac, "%s\n", kind)
	mac.Write(body)
	return mac.Sum(nil)
}

func (e simEnvelope) Seal(kind string, body []byte) ([]byte, error) {
	return append(append(e.mac(kind, body), kind+"\n"...), body...), nil
}

func (e simEnvelope) Open(kind string, message []byte) ([]byte, error) {
	if len(message) < sha256.Size {
		return nil, vault.ErrRecord
	}
	body, ok := bytes.CutPrefix(message[sha256.Size:], []byte(kind+"\n"))
	if !ok || !hmac.Equal(e.mac(kind, body), message[:sha256.Size]) {
		return nil, vault.ErrRecord
	}
	return body, nil
}

// simVault is the same in all processes: placement depends on its secrets.
var simVault = sync.OnceValue(func() *vault.Vault {
	v, err := vault.Create(time.Unix(1e9, 0), rand.NewChaCha8([32]byte{'s', 'i', 'm'}))
	if err != nil {
		panic(err)
	}
	return v.WithEnvelope(simEnvelope{})
})

const (
	simKeys      = 8
	simInline    = 64
	simShardSize = 1 << 10 // less than a layout may say: the cost is in the bytes
)

// simShape is what runs of the same layout share.
type simShape struct {
	k, m, n, q int
	layout     *layout.Layout
	markers    [][]byte
	markerName []string
	names      []*vault.Names
	keys       []string
	ids        []vault.ObjectID
	dirs       []map[string]int // by backend: which key a directory is of
	byID       map[string]int
	contents   [][][]byte // by size class and variant
	code       *erasure.Code
}

var simShapes sync.Map

// newSimShape returns the shape of k+m over n backends with write_quorum q.
func newSimShape(k, m, n, q int) *simShape {
	at := [4]int{k, m, n, q}
	if s, ok := simShapes.Load(at); ok {
		return s.(*simShape)
	}
	l, err := layout.Parse("sim.yaml", []byte(layoutText(k, m, n, fmt.Sprintf("write_quorum: %d", q))))
	if err != nil {
		panic(err)
	}
	l.ShardSize, l.Inline = simShardSize, simInline
	s := &simShape{k: k, m: m, n: n, q: q, layout: l, byID: map[string]int{}}
	v := simVault()
	for i := range simKeys {
		s.keys = append(s.keys, fmt.Sprintf("SHA256E-s100--the-name-of-simulated-key-%d", i))
		s.ids = append(s.ids, v.ObjectID(s.keys[i]))
		s.byID[s.ids[i].String()] = i
	}
	for i := range l.Backends {
		b := &l.Backends[i]
		b.ID = "simulatedaaa" + string(rune('a'+i))
		names := v.Names(b.ID)
		message, err := manifest.SealMarker(v, b.ID, l.Hash)
		if err != nil {
			panic(err)
		}
		s.markers = append(s.markers, message)
		s.markerName = append(s.markerName, manifest.MarkerName(names, l.Hash))
		s.names = append(s.names, names)
		dirs := map[string]int{}
		for j, id := range s.ids {
			dirs[names.Dir(id)] = j
		}
		s.dirs = append(s.dirs, dirs)
	}
	segment := simShardSize * k
	for class, size := range []int{40, 300, segment + 200, 2*segment + 100} {
		var variants [][]byte
		for variant := range 3 {
			variants = append(variants, bytesOf(byte(16*class+variant+1), size+variant%2))
		}
		s.contents = append(s.contents, variants)
	}
	if s.code, err = erasure.New(k, m); err != nil {
		panic(err)
	}
	simShapes.Store(at, s)
	return s
}

// simProc is one process of a clone.
type simProc struct {
	world  *simWorld
	clone  *simClone
	lane   int
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	req    *simReq
	still  bool // the world stands still: it goes round the gate
	dead   bool // under the gate's lock, as exited
	exited bool
}

// simClone is what outlives its processes.
type simClone struct {
	n       int
	journal *simJournal
	program []*simReq
	proc    *simProc
}

// newStore returns a Store as a new process of a clone makes it.
func (w *simWorld) newStore(journal Journal, backend func(i int) backends.Store) *Store {
	c := Config{Vault: simVault(), Layout: w.shape.layout, Stores: map[string]backends.Store{}, Journal: journal, Memory: w.memory}
	for i, b := range w.shape.layout.Backends {
		c.Stores[b.ID] = backend(i)
	}
	s, err := New(c)
	if err != nil {
		panic(err)
	}
	s.codes[[2]int{w.shape.k, w.shape.m}] = w.shape.code
	order := w.rng.Perm(len(s.pool))
	for i, b := range s.pool {
		// Backends of clearly different speeds: else the order in which several
		// segments are read would be a matter of microseconds.
		b.pace.bytes, b.pace.seconds, b.pace.waiting = 1e9, 1, []int64{0, 1e10, 1e12, 1e14}[order[i]]
		verify := b.verify
		b.verify = func(message []byte) error { // opening it costs as much as all else of a look
			if bytes.Equal(message, w.shape.markers[i]) {
				return nil
			}
			return verify(message)
		}
	}
	return s
}

// start runs what is left of a clone's program in a new process.
func (w *simWorld) start(c *simClone) {
	p := &simProc{world: w, clone: c, lane: c.n}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.store = w.newStore(&simProcJournal{c.journal, p}, func(i int) backends.Store {
		return &simBackend{w.gate, p, i, w.shape.names[i]}
	})
	c.proc = p
	program := c.program
	go func() {
		defer w.gate.exit(p)
		for _, r := range program {
			if w.gate.pass(p.ctx, &simOp{proc: p, req: r, id: simID{lane: p.lane, backend: -1, key: r.key, inc: -1}}) != nil {
				return
			}
			r.do(p)
			w.gate.finish(p, r)
		}
	}()
}

func (g *simGate) finish(p *simProc, r *simReq) {
	g.mu.Lock()
	if !p.dead {
		g.finished = append(g.finished, r)
	}
	g.mu.Unlock()
	g.poke()
}

func (g *simGate) exit(p *simProc) {
	p.cancel()
	g.mu.Lock()
	p.exited = true
	g.mu.Unlock()
	g.poke()
}

// simDirect is a backend without the gate: for what is looked at while the
// world stands still.
type simDirect struct {
	*simMemory
	world *simWorld
	n     int
}

func (d simDirect) err() error {
	if d.world.lost[d.n] {
		return errDown
	}
	return nil
}

func (d simDirect) Put(ctx context.Context, name string, data []byte) (string, error) {
	d.world.still.Lock()
	defer d.world.still.Unlock()
	if err := d.err(); err != nil {
		return "", err
	}
	return d.simMemory.Put(ctx, name, data)
}

func (d simDirect) Get(ctx context.Context, name string, dst []byte) (int, error) {
	d.world.still.Lock()
	defer d.world.still.Unlock()
	if err := d.err(); err != nil {
		return 0, err
	}
	return d.simMemory.Get(ctx, name, dst)
}

func (d simDirect) List(ctx context.Context, dir string) ([]backends.Entry, error) {
	d.world.still.Lock()
	defer d.world.still.Unlock()
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.simMemory.List(ctx, dir)
}

func (d simDirect) Remove(ctx context.Context, name string) error {
	d.world.still.Lock()
	defer d.world.still.Unlock()
	if err := d.err(); err != nil {
		return err
	}
	return d.simMemory.Remove(ctx, name)
}

func (w *simWorld) keyOf(backend int, dir string) (int, bool) {
	key, ok := w.shape.dirs[backend][dir]
	return key, ok
}

func (w *simWorld) keyOfID(id string) int {
	if key, ok := w.shape.byID[id]; ok {
		return key
	}
	return -1
}

// ordinal numbers the incarnations as they appear.
func (w *simWorld) ordinal(inc vault.Incarnation) int {
	n, ok := w.incs[inc]
	if !ok {
		n = len(w.incs)
		w.incs[inc] = n
	}
	return n
}
