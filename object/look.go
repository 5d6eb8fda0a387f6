package object

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"shardraid/manifest"
	"shardraid/vault"
)

// view is what the backends say about one object at one time.
type view struct {
	id     vault.ObjectID
	errs   []error  // per backend: why it gave no answer that counts
	files  [][]file // per backend
	incs   map[vault.Incarnation]*incarnation
	silent int // how many gave no answer
}

// file is one file in an object's directory whose name means something.
type file struct {
	manifest.Name
	size int64
}

// incarnation is what was seen of one attempt to store an object.
type incarnation struct {
	id     vault.Incarnation
	copies []place // of its manifest, by name
	moveAt []place
	tombAt []place
	doomAt []place
	shards map[place]int64 // sizes; twoSizes where that is open
	newer  error           // its manifest needs a newer shardraid

	manifest *manifest.Manifest // of a copy that opened, or nil
	valid    []int              // backends on which a copy opened
	broken   []int              // backends on which a copy is not what was stored
	unread   []int              // backends on which a copy could not be read
	moves    map[shardID][]told
	// movesUnread: a move record could not be read now.
	movesUnread bool
	tombs       []int // backends on which its tombstone opened
	dooms       []int // backends on which its doom marker opened
	doubt       []int // backends on which one of the two could not be read
}

// shardID is one shard of an incarnation.
type shardID struct {
	segment uint32
	shard   uint8
}

// told is a move and where records say so.
type told struct {
	manifest.Move
	holders []int // backends
}

// place is a file on one backend.
type place struct {
	backend int
	manifest.Name
}

// looking says how much a look must find out.
type looking struct {
	prove    bool          // read the markers after the listings: a not-found shall be definite
	place    bool          // read them meanwhile: it shall be the right place
	copies   int           // so many copies of a manifest are opened
	patience time.Duration // see Store.each
	without  []int         // backends given up as lost: not asked, and silent
	emptied  []int         // backends that have lost much, as a person says: not suspect
}

// maxIncarnations bounds what a provider can make us read by inventing names.
const maxIncarnations = 256

// look asks every backend what it has of an object. The markers are read while
// the records are: both have to come after the listing only.
func (s *Store) look(ctx context.Context, id vault.ObjectID, how looking, job *Job) (*view, error) {
	v := &view{id: id, errs: make([]error, len(s.pool)), files: make([][]file, len(s.pool))}
	var listed sync.WaitGroup
	listed.Add(len(s.pool))
	for i, b := range s.pool {
		if b.store == nil {
			v.errs[i] = errOff
			if slices.Contains(how.without, i) {
				v.errs[i] = errGivenUp
			}
			listed.Done()
		}
	}
	asked := make(chan []error, 1)
	go func() {
		asked <- s.each(ctx, how.patience, func(ctx context.Context, i int, b *member) error {
			v.files[i], v.errs[i] = b.lookAt(ctx, id, how, slices.Contains(how.without, i))
			err := v.errs[i]
			listed.Done()
			if err == nil && how.prove {
				err = b.prove(ctx)
			}
			return err
		})
	}()
	listed.Wait()
	s.understand(ctx, v, how.copies, job)
	errs := <-asked
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if changed := v.doubt(errs); changed { // what these have said does not count
		s.understand(ctx, v, how.copies, job)
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	for i, err := range v.errs {
		if err != nil {
			v.silent++
			job.debug("backend %s does not answer: %v", s.pool[i].Name, err)
		}
	}
	if how.prove || how.place {
		s.suspect(v, how.emptied, job)
	}
	return v, nil
}

// lookAt lists an object's directory.
func (b *member) lookAt(ctx context.Context, id vault.ObjectID, how looking, givenUp bool) ([]file, error) {
	if givenUp {
		return nil, errGivenUp
	}
	var g errgroup.Group
	if how.place {
		g.Go(func() error { return b.prove(ctx) })
	}
	files, err := b.list(ctx, id)
	return files, cmp.Or(g.Wait(), err)
}

// doubt makes silent what has failed after it was listed, and reports whether
// that changes anything.
func (v *view) doubt(errs []error) (changed bool) {
	for i, err := range errs {
		if err != nil && v.errs[i] == nil {
			v.errs[i], changed = err, true
		}
	}
	return changed
}

// understand sorts what was listed and opens its records.
func (s *Store) understand(ctx context.Context, v *view, copies int, job *Job) {
	v.incs = map[vault.Incarnation]*incarnation{}
	for i, files := range v.files {
		if v.errs[i] != nil {
			continue
		}
		for _, f := range files {
			v.sort(i, f)
		}
	}
	v.bound()
	s.openRecords(ctx, v, copies, job)
}

// list returns the files of an object whose names this vault has made.
func (b *member) list(ctx context.Context, id vault.ObjectID) ([]file, error) {
	return b.listDir(ctx, b.names.Dir(id))
}

func (b *member) listDir(ctx context.Context, dir string) ([]file, error) {
	entries, err := b.store.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, e := range entries {
		if name, ok := manifest.ParseName(b.names, e.Name); ok {
			files = append(files, file{name, e.Size})
		}
	}
	return files, nil
}

// sort puts a file where it belongs.
func (v *view) sort(backend int, f file) {
	inc := v.incs[f.Incarnation]
	if inc == nil {
		inc = &incarnation{id: f.Incarnation, shards: map[place]int64{}}
		v.incs[f.Incarnation] = inc
	}
	at := place{backend, f.Name}
	switch f.Kind {
	case manifest.KindManifest:
		inc.copies = append(inc.copies, at)
	case manifest.KindMove:
		inc.moveAt = append(inc.moveAt, at)
	case manifest.KindTombstone:
		inc.tombAt = append(inc.tombAt, at)
	case manifest.KindDoom:
		inc.doomAt = append(inc.doomAt, at)
	case manifest.KindShard:
		if size, twice := inc.shards[at]; twice && size != f.size {
			f.size = twoSizes
		}
		inc.shards[at] = f.size
	}
}

// twoSizes: two files of one name are listed, as Google Drive may have them.
// Which of them is read is open.
const twoSizes = -2

// bound forgets the manifests of the incarnations with the fewest copies when
// there are absurdly many: m backends cannot outnumber a committed one.
func (v *view) bound() {
	incs := v.sorted()
	if len(incs) <= maxIncarnations {
		return
	}
	slices.SortStableFunc(incs, func(a, b *incarnation) int { return len(b.copies) - len(a.copies) })
	for _, inc := range incs[maxIncarnations:] {
		delete(v.incs, inc.id)
	}
}

// sorted returns the incarnations by id.
func (v *view) sorted() []*incarnation {
	var incs []*incarnation
	for _, inc := range v.incs {
		incs = append(incs, inc)
	}
	slices.SortFunc(incs, func(a, b *incarnation) int {
		return slices.Compare(a.id[:], b.id[:])
	})
	return incs
}

// quorum returns an error unless all but at most m backends answered. The
// broken ones count as silent.
func (s *Store) quorum(v *view, broken []int) error {
	e := &QuorumError{Need: len(s.pool) - s.silence, What: fmt.Sprintf("backends answer (at most %d may be missing)", s.silence)}
	for i, err := range v.errs {
		if err == nil && slices.Contains(broken, i) {
			err = errBroken
		}
		if err != nil {
			e.Causes = append(e.Causes, Cause{s.pool[i].Name, err})
		}
	}
	e.Have = len(s.pool) - len(e.Causes)
	if e.Have >= e.Need {
		return nil
	}
	return e
}

func (j *Job) placed(p Placement) {
	if j != nil && j.Placed != nil {
		j.Placed(p)
	}
}

func (j *Job) debug(format string, args ...any) {
	if j != nil && j.Debug != nil {
		j.Debug(fmt.Sprintf(format, args...))
	}
}

func (j *Job) info(format string, args ...any) {
	if j != nil && j.Info != nil {
		j.Info(fmt.Sprintf(format, args...))
	}
}

func (j *Job) damaged(backend, what string) {
	if j != nil && j.Damaged != nil {
		j.Damaged(backend, what)
	}
}

func (j *Job) progress(bytes int64) {
	if j != nil && j.Progress != nil {
		j.Progress(bytes)
	}
}
