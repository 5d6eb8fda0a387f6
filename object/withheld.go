package object

import (
	"context"
	"errors"
)

// readAll reads all shards of a segment. What a backend lists and does not give
// out counts as damaged if it gives out its marker before and after: it knows
// that its disk has spoiled the file, or counts the downloads of each.
func (f *fetch) readAll(ctx context.Context) error {
	err := f.read(ctx, f.code.Shards())
	var unread []source
	for _, src := range f.unread {
		switch {
		case f.have[src.shard]:
		case f.withheld(ctx, src):
			f.spoiled = append(f.spoiled, src)
		case !f.have[src.shard]:
			unread = append(unread, src)
		}
	}
	f.unread = unread
	return err
}

// withheld reads a shard once more.
func (f *fetch) withheld(ctx context.Context, src source) bool {
	b := f.store.pool[src.at.backend]
	if b.prove(ctx) != nil {
		return false
	}
	err := f.readShard(ctx, src)
	if err == nil {
		f.have[src.shard] = true
		return false
	}
	if errors.Is(err, errDamagedShard) {
		f.job.damaged(b.Name, "shard")
		return true
	}
	if ctx.Err() != nil || b.prove(ctx) != nil {
		return false
	}
	f.job.damaged(b.Name, "shard that it lists and does not give out")
	return true
}
