package object

import (
	"context"
	"slices"
	"sync"

	"shardraid/layout"
)

// Status is what a person should know of a pool at one time.
type Status struct {
	Backends     []BackendStatus
	Data, Parity int // of what is stored now
	// Usable is how many more bytes of files fit, -1 where no backend says how
	// much is free. A backend that does not say counts as full.
	Usable int64
	// Objects could be listed; Unsure says why not all of them may be, nil if
	// they are.
	Objects, Bytes int64
	Unsure         error
	Lost           int // cannot come back
	Unreadable     int // cannot be had now
	Whole          int
	Degraded       map[int]int // not whole, by how many more backends may be lost for sure
	Each           []Health    // of every object, in no order
}

// BackendStatus is what is known of one backend.
type BackendStatus struct {
	Name, ID, Domain string
	State            layout.State
	Err              error // why it does not answer, nil if it does
	Files, Used      int64 // what we have there, in bytes; not markers and settings
	Free             int64 // in bytes, by its limit or by what it says; -1 where neither is known
}

// Status lists every backend and judges every object by that.
func (s *Store) Status(ctx context.Context, job *Job) (*Status, error) {
	all, free, _, err := s.listAndFree(ctx)
	if err != nil {
		return nil, err
	}
	st := &Status{Data: s.layout.Data, Parity: s.layout.Parity, Unsure: s.quorum(&view{errs: all.errs}, nil), Degraded: map[int]int{}}
	for i, b := range s.pool {
		is := BackendStatus{Name: b.Name, ID: b.ID, Domain: b.Domain, State: b.State, Err: all.errs[i], Files: all.files[i], Used: all.bytes[i], Free: free[i]}
		if is.Err == nil {
			is.Free = b.left(is.Used, free[i])
		}
		st.Backends = append(st.Backends, is)
	}
	st.Usable = s.usable(st.Backends)
	return st, s.eachListed(ctx, all, job, st.add)
}

func (st *Status) add(l Listed) {
	st.Each = append(st.Each, l.Health)
	st.Objects++
	st.Bytes += l.Size
	switch {
	case l.Health.Lost:
		st.Lost++
	case l.Trouble != "":
		st.Unreadable++
	case l.Health.Whole():
		st.Whole++
	default:
		st.Degraded[l.Health.Spare]++
	}
}

// listAndFree lists every backend and asks meanwhile how much is free there;
// failed are the reasons of those that do not say.
func (s *Store) listAndFree(ctx context.Context) (all *listing, free []int64, failed []error, err error) {
	var asked sync.WaitGroup
	asked.Go(func() { free, failed = s.free(ctx) })
	all, err = s.listPool(ctx)
	asked.Wait()
	return all, free, failed, err
}

// free asks every backend how much may still be stored, -1 where it does not
// say, or why not.
func (s *Store) free(ctx context.Context) ([]int64, []error) {
	free := slices.Repeat([]int64{-1}, len(s.pool))
	errs := s.each(ctx, 0, func(ctx context.Context, i int, b *member) error {
		n, err := b.store.Free(ctx)
		if err == nil {
			free[i] = n
		}
		return err
	})
	return free, errs
}

// left is how much more a backend takes that has so much of ours and says that so
// much is free, -1 where it does not.
func (b *member) left(used, free int64) int64 {
	if b.Limits.Storage == 0 {
		return free
	}
	left := max(0, b.Limits.Storage-used)
	if free >= 0 {
		left = min(left, free)
	}
	return left
}

func (s *Store) usable(backends []BackendStatus) int64 {
	var free []int64
	var domains []string
	for _, b := range backends {
		if b.Free >= 0 && b.State == layout.Active && b.Err == nil {
			free = append(free, max(0, b.Free-recordRoom))
			domains = append(domains, b.Domain)
		}
	}
	if len(free) == 0 {
		return -1
	}
	return layout.Capacity(free, domains, s.layout.Data, s.layout.Parity)
}
