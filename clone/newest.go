package clone

import (
	"context"
	"errors"

	"shardraid/layout"
)

// Newest is what a new card or layout follows: the newer card and the newer
// layout of what git has and what this clone has seen, which are two matters.
// Heads are the layouts that none of the others follows: two in a fork, which
// join allows.
func (s *Dir) Newest(ctx context.Context, git *Settings, join bool) (newest *Settings, heads []layout.Head, err error) {
	_, err = s.Trust(ctx, git)
	known, loadErr := s.Pinned()
	switch {
	case loadErr != nil:
		return nil, nil, loadErr
	case known == nil || err == nil:
		return git, []layout.Head{git.Head()}, err
	case !errors.Is(err, ErrOlder) && !(join && errors.Is(err, ErrFork)):
		return nil, nil, err
	}
	merged := *git
	heads = []layout.Head{git.Head()}
	switch err := known.layoutPrecedes(git); {
	case err == nil:
	case errors.Is(err, ErrOlder):
		merged.Document, merged.Layout, merged.Signed = known.Document, known.Layout, known.Signed
		heads = []layout.Head{known.Head()}
	case join:
		heads = append(heads, known.Head())
	default:
		return nil, nil, err
	}
	if known.Card.Serial > git.Card.Serial {
		merged.Card = known.Card
	}
	return &merged, heads, nil
}
