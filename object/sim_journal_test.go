package object

import (
	"bytes"
	"maps"
	"slices"
	"sync"
)

// simJournal is the Journal of one clone in memory. It outlives the clone's
// processes: what was appended stays, the locks of the dead are open.
type simJournal struct {
	mu    sync.Mutex
	files map[string]*simFile
}

type simFile struct {
	data   []byte
	holder *simProc
}

// simProcJournal is the journal as a process sees it.
type simProcJournal struct {
	*simJournal
	proc *simProc
}

type simHandle struct {
	j    *simProcJournal
	name string
	file *simFile
}

// pass waits at the gate. The context of the process is the one that counts:
// a journal takes none.
func (j *simProcJournal) pass(what simWhat, name string, op *simOp) error {
	if j.proc.still {
		op.effect()
		return nil
	}
	op.proc, op.req, op.name = j.proc, j.proc.req, name
	op.id = simID{lane: j.proc.lane, what: what, backend: -1, key: j.proc.world.keyOfID(name), inc: -1}
	return j.proc.world.gate.pass(j.proc.ctx, op)
}

func (j *simProcJournal) Open(name string) (JournalFile, error) {
	var h JournalFile
	err := j.pass(simOpen, name, &simOp{effect: func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		f := j.files[name]
		if f == nil {
			f = &simFile{}
			j.files[name] = f
		}
		if f.holder == nil || f.holder.dead {
			f.holder = j.proc
			h = &simHandle{j, name, f}
		}
	}})
	return h, err
}

func (j *simProcJournal) Read(name string) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f := j.files[name]; f != nil {
		return bytes.Clone(f.data), nil
	}
	return nil, nil
}

func (j *simProcJournal) Names() ([]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Sorted(maps.Keys(j.files)), nil
}

func (h *simHandle) Read() ([]byte, error) {
	h.j.mu.Lock()
	defer h.j.mu.Unlock()
	return bytes.Clone(h.file.data), nil
}

func (h *simHandle) Sync() error { return nil }

func (h *simHandle) Append(line []byte) error {
	write := func(n int) {
		h.j.mu.Lock()
		defer h.j.mu.Unlock()
		h.file.data = append(h.file.data, line[:n]...)
	}
	return h.j.pass(simAppend, h.name, &simOp{effect: func() { write(len(line)) }, part: write, data: line})
}

func (h *simHandle) Cut(size int) error {
	return h.j.pass(simCut, h.name, &simOp{effect: func() {
		h.j.mu.Lock()
		defer h.j.mu.Unlock()
		h.file.data = h.file.data[:min(size, len(h.file.data))]
	}})
}

func (h *simHandle) Close(done bool) error {
	return h.j.pass(simClose, h.name, &simOp{effect: func() {
		h.j.mu.Lock()
		defer h.j.mu.Unlock()
		if h.file.holder == h.j.proc {
			h.file.holder = nil
		}
		if done && h.j.files[h.name] == h.file {
			delete(h.j.files, h.name)
		}
	}})
}
