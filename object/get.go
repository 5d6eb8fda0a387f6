package object

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"shardraid/manifest"
)

// Get writes the object to the file, strictly in order. What the file already
// has of it is kept if it proves to be right, and cut off if not. When Get
// returns nil, every byte was authenticated.
func (s *Store) Get(ctx context.Context, key, file string, job *Job) error {
	var err error
	for range maxAttempts {
		if err = s.getOnce(ctx, key, file, job); !errors.Is(err, errReplaced) {
			break
		}
	}
	return err
}

func (s *Store) getOnce(ctx context.Context, key, file string, job *Job) error {
	id := s.vault.ObjectID(key)
	v, err := s.look(ctx, id, looking{copies: 1, patience: s.patience}, job)
	if err != nil {
		return err
	}
	var last error
	for _, inc := range s.candidates(v) {
		if last = s.getIncarnation(ctx, v, inc, file, job); last == nil {
			job.placed(s.placement(inc))
			return nil
		}
		if ctx.Err() != nil || errors.Is(last, errOutput) {
			return last
		}
		job.debug("incarnation %s: %v", inc.id, last)
	}
	if last != nil {
		return last
	}
	return s.whyNothing(ctx, key, job)
}

// whyNothing says why no incarnation of an object was found: absent needs a
// proof, for an unmounted disk shows nothing either.
func (s *Store) whyNothing(ctx context.Context, key string, job *Job) error {
	v, err := s.look(ctx, s.vault.ObjectID(key), looking{prove: true, copies: 1, patience: s.patience}, job)
	if err != nil {
		return err
	}
	for _, inc := range v.incs {
		switch st, err := s.judge(v, inc); {
		case st >= readable:
			return errReplaced
		case st == unknown:
			return err
		}
	}
	if err := s.quorum(v, v.broken(nil)); err != nil {
		return err
	}
	return ErrAbsent
}

// errReplaced: what was seen first is gone, and something else is there.
var errReplaced = errors.New("another clone has stored it again meanwhile: try again")

var errOutput = errors.New("write file")

func (s *Store) getIncarnation(ctx context.Context, v *view, inc *incarnation, file string, job *Job) error {
	done, err := s.keepReadOnly(ctx, inc.manifest, file)
	if err != nil {
		return err
	}
	if done {
		job.progress(inc.manifest.Size)
		return nil
	}
	out, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	defer out.Close()
	if inc.manifest.Inlined() {
		err = writeInlined(out, inc.manifest)
	} else {
		err = s.getSegments(ctx, v, inc, out, job)
	}
	if err == nil {
		job.progress(inc.manifest.Size)
		if err = out.Close(); err != nil {
			err = fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	return err
}

// keepReadOnly deals with a file that is there and may not be written, be it
// by root: it is the content already, or it is taken out of the way unharmed,
// for it may be a hard link of something precious.
func (s *Store) keepReadOnly(ctx context.Context, m *manifest.Manifest, file string) (done bool, err error) {
	info, err := os.Stat(file)
	if err != nil || info.Mode()&0o222 != 0 {
		return false, nil
	}
	if info.Size() == m.Size {
		src, err := os.Open(file)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errOutput, err)
		}
		defer src.Close()
		if done, err = s.sameContent(ctx, m, src, m.Size); done || err != nil {
			return done, err
		}
	}
	if err := os.Remove(file); err != nil {
		return false, fmt.Errorf("%w: %w", errOutput, err)
	}
	return false, nil
}

func writeInlined(out *os.File, m *manifest.Manifest) error {
	if err := out.Truncate(0); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	if _, err := out.WriteAt(m.Content, 0); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// fetched is a segment on its way to the file.
type fetched struct {
	buf     []byte
	content []byte
	err     error
}

// getSegments reads the segments ahead, as many as the memory budget lets
// through, and writes them in order.
func (s *Store) getSegments(ctx context.Context, v *view, inc *incarnation, out *os.File, job *Job) error {
	m := inc.manifest
	first, err := s.keepPrefix(ctx, m, out)
	if err != nil {
		return err
	}
	if first > 0 {
		job.progress(m.Offset(first))
	}
	code, err := s.code(m.Data, m.Parity)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g, ctx := errgroup.WithContext(ctx)
	ahead := make(chan chan fetched, maxAhead)
	g.Go(func() error {
		defer close(ahead)
		for i := first; i < len(m.Segments); i++ {
			buf, err := s.budget.acquire(ctx, code.BufferSize(m.Segments[i].Length))
			if err != nil {
				return context.Cause(ctx)
			}
			slot := make(chan fetched, 1)
			g.Go(func() error {
				content, err := s.fetchSegment(ctx, v, inc, i, buf, job)
				slot <- fetched{buf, content, err}
				return nil // the writer decides, in order
			})
			ahead <- slot
		}
		return nil
	})
	g.Go(func() error {
		return s.writeSegments(m, first, ahead, out, job, cancel)
	})
	return g.Wait()
}

// maxAhead bounds the segments read ahead where they are small.
const maxAhead = 64

// writeSegments takes every segment that was begun, even after an error, so
// that all buffers come back.
func (s *Store) writeSegments(m *manifest.Manifest, i int, ahead <-chan chan fetched, out *os.File, job *Job, cancel func(error)) error {
	var failed error
	for slot := range ahead {
		f := <-slot
		if failed == nil {
			failed = f.err
		}
		if failed == nil {
			if _, err := out.WriteAt(f.content[:m.ContentLength(i)], m.Offset(i)); err != nil {
				failed = fmt.Errorf("%w: %w", errOutput, err)
			}
		}
		s.budget.release(f.buf)
		if failed != nil {
			cancel(failed) // nothing after this one is of use
		} else {
			i++
			job.progress(min(m.Offset(i), m.Size))
		}
	}
	return failed
}

// keepPrefix cuts the file down to the segments that it holds unharmed and
// returns how many these are.
func (s *Store) keepPrefix(ctx context.Context, m *manifest.Manifest, out *os.File) (int, error) {
	info, err := out.Stat()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errOutput, err)
	}
	n, err := s.samePrefix(ctx, m, out, info.Size())
	if err != nil {
		return 0, err
	}
	if err := out.Truncate(min(m.Offset(n), m.Size)); err != nil {
		return 0, fmt.Errorf("%w: %w", errOutput, err)
	}
	return n, nil
}
