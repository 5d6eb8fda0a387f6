package object

import (
	"bytes"
	"slices"

	"shardraid/backends"
	"shardraid/manifest"
)

// lie does what an operation asks for as a bad backend does it.
func (w *simWorld) lie(op *simOp) {
	b := op.id.backend
	if op.id.what.writes() {
		op.req.effect = w.step
	}
	w.lossSince = w.step
	roll := w.rng.IntN(4)
	w.log("b%d lies (%d)", b, roll)
	switch op.id.what {
	case simPut:
		op.hash = simHash(op.data)
		if op.file.Kind == manifest.KindTombstone {
			w.noteTomb(op.file.Incarnation, b) // so it says
		}
		if roll == 0 {
			return // acknowledged and dropped
		}
		data := op.data[:len(op.data)/2]
		if roll > 1 {
			data = flipped(op.data)
		}
		w.mem[b].Set(op.name, bytes.Clone(data))
		w.stored[b][op.name] = &simStored{op.file, op.req, bytes.Clone(op.data)}
	case simGet:
		w.store(op)
		switch {
		case roll == 0:
			op.n, op.err = 0, backends.ErrNotFound
		case roll == 1:
			op.n /= 2
		default:
			copy(op.dst, flipped(op.dst[:op.n]))
		}
	case simList:
		w.store(op)
		if roll == 0 {
			op.entries = nil
		}
		op.entries = slices.DeleteFunc(op.entries, func(backends.Entry) bool { return w.chance(0.5) })
	case simRemove:
		if roll < 2 {
			op.err = backends.ErrNotFound
		}
	}
}

func flipped(data []byte) []byte {
	data = bytes.Clone(data)
	if len(data) > 0 {
		data[len(data)/2] ^= 0x10
	}
	return data
}

// lose makes a bad backend lose or garble something that it has.
func (w *simWorld) lose() bool {
	var bad []int
	for i, is := range w.bad {
		if is {
			bad = append(bad, i)
		}
	}
	if len(bad) == 0 {
		return false
	}
	i := bad[w.rng.IntN(len(bad))]
	w.lossSince = w.step
	w.lies = true
	names := w.mem[i].Names()
	roll := w.rng.IntN(8)
	w.log("b%d loses (%d)", i, roll)
	w.note(600, i, roll)
	switch {
	case roll == 0: // all but the marker
		w.mem[i] = w.swap(i, newSimMemory())
		w.mem[i].Set(w.shape.markerName[i], w.shape.markers[i])
	case roll == 1: // all
		w.mem[i] = w.swap(i, newSimMemory())
	case roll == 2 && w.snapshot[i] != nil: // what it took since
		w.mem[i] = w.swap(i, w.snapshot[i].Copy())
	case roll <= 3:
		w.snapshot[i] = w.mem[i].Copy()
	case len(names) == 0:
	case roll <= 5:
		w.mem[i].Delete(names[w.rng.IntN(len(names))])
	default:
		name := names[w.rng.IntN(len(names))]
		data, _ := w.mem[i].Peek(name)
		if roll == 6 {
			w.mem[i].Set(name, flipped(data))
		} else {
			w.mem[i].Set(name, data[:len(data)/2])
		}
	}
	return true
}

// swap gives a backend other files: those who hold it see them.
func (w *simWorld) swap(i int, files *simMemory) *simMemory {
	w.mem[i].dirs = files.dirs
	return w.mem[i]
}
