package erasure

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkEncode is the whole store side of the pipeline: seal, code, tag.
// Several buffers go round, so that the cache does not hold them.
//
//	go test -run - -bench Encode -cpu 1,2 ./erasure
func BenchmarkEncode(b *testing.B) {
	for _, mib := range []int{1, 4, 8, 32} {
		b.Run(fmt.Sprintf("4+2/%dMiB", mib), func(b *testing.B) {
			length := mib << 20
			c := mustNew(b, 4, 2)
			b.SetBytes(int64(length))
			sets := roundBuffers(c, length)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				bufs := <-sets
				var s Secrets
				for i := 0; pb.Next(); i++ {
					if _, _, err := c.Encode(bufs[i%len(bufs)], length, &s, Position{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkEncodeRows is the refused alternative (docs/design.md): each row of
// a segment sealed, coded and tagged by itself while it is in the cache.
func BenchmarkEncodeRows(b *testing.B) {
	for _, kib := range []int{64, 256} {
		b.Run(fmt.Sprintf("4+2/32MiB/%dKiB", kib), func(b *testing.B) {
			const length = 32 << 20
			c := mustNew(b, 4, 2)
			b.SetBytes(length)
			sets := roundBuffers(c, length)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				bufs := <-sets
				for i := 0; pb.Next(); i++ {
					encodeRows(b, c, bufs[i%len(bufs)][:length], bufs[i%len(bufs)][length:], kib<<10)
				}
			})
		})
	}
}

func encodeRows(b *testing.B, c *Code, data, parity []byte, block int) {
	var key [32]byte
	aead, err := newGCM(&key)
	if err != nil {
		b.Fatal(err)
	}
	tagger := Tagger{aead}
	shards := make([][]byte, c.Shards())
	row := c.data * block
	var nonce [12]byte
	for at := 0; at+row <= len(data); at += row {
		sealed := data[at : at+row]
		aead.Seal(sealed[:0], nonce[:], sealed[:row-SealSize], nil)
		for i := range shards {
			if i < c.data {
				shards[i] = sealed[i*block : (i+1)*block]
			} else {
				off := at/c.data*c.parity + (i-c.data)*block
				shards[i] = parity[off : off+block]
			}
		}
		if err := c.rs.Encode(shards); err != nil {
			b.Fatal(err)
		}
		for i, shard := range shards {
			tagger.Tag(i, shard)
		}
	}
}

// BenchmarkDecode is the read side: check k tags, rebuild two lost data
// shards, open. Opening uses the buffer up, so a copy back is part of it.
func BenchmarkDecode(b *testing.B) {
	const length = 32 << 20
	c := mustNew(b, 4, 2)
	b.SetBytes(length)
	var s Secrets
	sets := roundBuffers(c, length)
	stored := make([]byte, c.BufferSize(length))
	_, tags, err := c.Encode(stored, length, &s, Position{})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		buf := (<-sets)[0]
		have := []bool{false, true, true, false, true, true}
		tagger, _ := NewTagger(&s.Tag)
		for pb.Next() {
			copy(buf, stored)
			for i, shard := range c.Split(buf, length) {
				if have[i] && !tagger.Check(i, shard, tags[i]) {
					b.Fatal("tag")
				}
			}
			if _, err := c.Decode(buf, length, have, &s, Position{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// roundBuffers returns a set of buffers for each worker, larger together than
// the cache, touched before the clock starts.
func roundBuffers(c *Code, length int) <-chan [][]byte {
	workers := runtime.GOMAXPROCS(0)
	sets := make(chan [][]byte, workers)
	for range workers {
		bufs := make([][]byte, 1+(128<<20)/length)
		for i := range bufs {
			bufs[i] = make([]byte, c.BufferSize(length))
			for j := 0; j < len(bufs[i]); j += 4096 {
				bufs[i][j] = byte(i)
			}
		}
		sets <- bufs
	}
	return sets
}

func mustNew(tb testing.TB, data, parity int) *Code {
	tb.Helper()
	c, err := New(data, parity)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
