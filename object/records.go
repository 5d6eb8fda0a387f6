package object

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"shardraid/backends"
	"shardraid/manifest"
	"shardraid/vault"
)

// errBroken: the backend's copy of a record is not what was stored there.
var errBroken = errors.New("its copy of the record is damaged")

// openRecords reads the records that decide about each incarnation with a
// manifest. What does not open is not believed, whatever its name says.
func (s *Store) openRecords(ctx context.Context, v *view, copies int, job *Job) {
	var g errgroup.Group
	g.SetLimit(8)
	for _, inc := range v.incs {
		if len(inc.copies) == 0 && len(inc.tombAt) == 0 {
			continue
		}
		g.Go(func() error {
			s.openManifest(ctx, v, inc, copies, job)
			s.openVerdicts(ctx, v, inc, job)
			s.openMoves(ctx, v, inc, job)
			return nil
		})
	}
	g.Wait() // nobody returns an error: a record that does not open is noted
}

// openManifest opens copies of the manifest until want of them were good. Where
// one is late another is read as well.
func (s *Store) openManifest(ctx context.Context, v *view, inc *incarnation, want int, job *Job) {
	slices.SortFunc(inc.copies, func(a, b place) int {
		return int(s.pool[a.backend].pace.expected(0) - s.pool[b.backend].pace.expected(0))
	})
	type answer struct {
		at  place
		m   *manifest.Manifest
		err error
	}
	rest := inc.copies
	next := func() func(context.Context) answer {
		if len(rest) == 0 {
			return nil
		}
		at := rest[0]
		rest = rest[1:]
		return func(ctx context.Context) answer {
			message, err := s.readRecord(ctx, v, at)
			if err != nil {
				return answer{at, nil, err}
			}
			m, err := manifest.Open(s.vault, v.id, inc.id, message)
			return answer{at, m, err}
		}
	}
	hedge(ctx, want, s.patience, next, func(a answer) bool {
		before := len(inc.valid)
		s.noteManifest(inc, a.at, a.m, a.err, job)
		return len(inc.valid) > before
	})
}

func (s *Store) noteManifest(inc *incarnation, at place, m *manifest.Manifest, err error, job *Job) {
	name := s.pool[at.backend].Name
	switch {
	case err == nil:
		inc.manifest = m
		inc.valid = addBackend(inc.valid, at.backend)
		return
	case errors.Is(err, manifest.ErrNewer):
		inc.newer = err
	case isDamage(err):
		inc.broken = addBackend(inc.broken, at.backend)
		job.damaged(name, "manifest")
	default:
		inc.unread = addBackend(inc.unread, at.backend)
	}
	job.debug("backend %s: manifest %s: %v", name, inc.id, err)
}

// openVerdicts opens tombstones and doom markers. One that cannot be read now
// leaves the incarnation in doubt; one that is damaged is not believed.
func (s *Store) openVerdicts(ctx context.Context, v *view, inc *incarnation, job *Job) {
	open := func(to *[]int, check func(*vault.Vault, vault.ObjectID, vault.Incarnation, []byte) error) func(place, []byte, error) {
		return func(at place, message []byte, err error) {
			if err == nil {
				err = check(s.vault, v.id, inc.id, message)
			}
			if err == nil {
				*to = addBackend(*to, at.backend)
				return
			}
			if isDamage(err) {
				job.damaged(s.pool[at.backend].Name, "tombstone or doom marker")
			} else {
				inc.doubt = addBackend(inc.doubt, at.backend)
			}
			job.debug("backend %s: verdict on %s: %v", s.pool[at.backend].Name, inc.id, err)
		}
	}
	s.readAll(ctx, v, inc.tombAt, open(&inc.tombs, manifest.OpenTombstone))
	s.readAll(ctx, v, inc.doomAt, open(&inc.dooms, manifest.OpenDoom))
}

func (s *Store) openMoves(ctx context.Context, v *view, inc *incarnation, job *Job) {
	s.readAll(ctx, v, inc.moveAt, func(at place, message []byte, err error) {
		var moves []manifest.Move
		if err == nil {
			moves, err = manifest.OpenMoves(s.vault, v.id, inc.id, message)
		}
		if err == nil {
			for _, move := range moves {
				inc.learn(move, at.backend)
			}
			return
		}
		if isDamage(err) {
			job.damaged(s.pool[at.backend].Name, "move record")
		} else {
			inc.movesUnread = true
		}
		job.debug("backend %s: move of %s: %v", s.pool[at.backend].Name, inc.id, err)
	})
}

// learn notes a move, and that records on these backends tell of it.
func (inc *incarnation) learn(move manifest.Move, backends ...int) {
	if inc.moves == nil {
		inc.moves = map[shardID][]told{}
	}
	at := shardID{move.Segment, move.Shard}
	for i := range inc.moves[at] {
		if known := &inc.moves[at][i]; known.Move == move {
			for _, backend := range backends {
				known.holders = addBackend(known.holders, backend)
			}
			return
		}
	}
	inc.moves[at] = append(inc.moves[at], told{move, slices.Clone(backends)})
}

// readAll reads records at once; each is called for one at a time.
func (s *Store) readAll(ctx context.Context, v *view, places []place, each func(place, []byte, error)) {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(16)
	for _, at := range places {
		g.Go(func() error {
			message, err := s.readRecord(ctx, v, at)
			mu.Lock()
			defer mu.Unlock()
			each(at, message, err)
			return nil
		})
	}
	g.Wait() // each is told of errors
}

// putRecord puts one copy of a record under a fresh name, which it returns
// whatever came of it.
func (b *member) putRecord(ctx context.Context, id vault.ObjectID, inc vault.Incarnation, kind manifest.Kind, message []byte) (manifest.Name, error) {
	name := manifest.Name{Incarnation: inc, Kind: kind, Copy: manifest.NewCopyID()}
	_, err := b.store.Put(ctx, b.path(id, name), message)
	if err == nil {
		b.count(int64(len(message)))
	}
	return name, err
}

func (s *Store) readRecord(ctx context.Context, v *view, at place) ([]byte, error) {
	b := s.pool[at.backend]
	size := int64(-1)
	for _, f := range v.files[at.backend] {
		if f.Name == at.Name {
			size = f.size
		}
	}
	if size < 0 || size > vault.MaxRecord {
		size = vault.MaxRecord
	}
	message := make([]byte, size)
	n, err := b.store.Get(ctx, b.path(v.id, at.Name), message)
	return message[:n], err
}

// isDamage reports whether a record was read and is not what was stored.
func isDamage(err error) bool {
	return errors.Is(err, vault.ErrRecord) || errors.Is(err, manifest.ErrInvalid) || errors.Is(err, backends.ErrTooLarge)
}

func addBackend(list []int, backend int) []int {
	if slices.Contains(list, backend) {
		return list
	}
	return append(list, backend)
}
