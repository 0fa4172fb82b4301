package ingest

import (
	"context"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// patience is how long a newer request waits for an older one to store what it
// has; then the newer one is told to come again.
const patience = 5 * time.Second

// writer is a request that is writing an upload.
type writer struct {
	owner melodyud.UserID
	done  chan struct{}

	mu        sync.Mutex
	why       error  // set once it has been asked to stop
	interrupt func() // wakes it from waiting for the client
}

// ask makes the writer stop soon, after storing what it has.
func (w *writer) ask(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why == nil {
		w.why = why
		w.interrupt()
	}
}

// ended is called when there is no more to read: f runs and asking becomes
// harmless, because the connection goes on to other things. It reports false
// if the writer had been interrupted before.
func (w *writer) ended(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != nil {
		return false
	}
	f()
	w.interrupt = func() {}
	return true
}

// asked returns why the writer has to stop, or nil.
func (w *writer) asked() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// unlessAsked runs f, which must be quick, if nobody asked the writer to stop.
func (w *writer) unlessAsked(f func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why == nil {
		f()
	}
	return w.why
}

// writers knows who writes in this process: one request an upload, a bounded
// number of all, half of it for one creator. Between processes the
// compare-and-swap on the row alone decides.
type writers struct {
	limit, each int

	mu       sync.Mutex
	active   map[melodyud.UploadID]*writer
	owners   map[melodyud.UserID]int
	draining bool
}

func newWriters(limit int) *writers {
	return &writers{
		limit: limit, each: max(1, limit/2),
		active: map[melodyud.UploadID]*writer{}, owners: map[melodyud.UserID]int{},
	}
}

// enter makes the caller the writer of an upload, after asking an older one to
// leave. interrupt must wake the caller when it waits for its client.
func (ws *writers) enter(ctx context.Context, u upload, interrupt func()) (*writer, error) {
	for range 2 {
		w, older, err := ws.try(u, interrupt)
		if err != nil || w != nil {
			return w, err
		}
		older.ask(errTakenOver)
		if !wait(ctx, older) {
			break
		}
	}
	return nil, errLocked
}

func (ws *writers) try(u upload, interrupt func()) (w, older *writer, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.draining {
		return nil, nil, errStopping
	}
	if older := ws.active[u.ID]; older != nil {
		return nil, older, nil
	}
	if len(ws.active) >= ws.limit || ws.owners[u.Owner] >= ws.each {
		return nil, nil, errBusy
	}
	w = &writer{owner: u.Owner, done: make(chan struct{}), interrupt: interrupt}
	ws.active[u.ID] = w
	ws.owners[u.Owner]++
	return w, nil, nil
}

func (ws *writers) leave(id melodyud.UploadID, w *writer) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.active, id)
	w.ended(func() {})
	if ws.owners[w.owner]--; ws.owners[w.owner] == 0 {
		delete(ws.owners, w.owner)
	}
	close(w.done)
}

// stop asks the upload's writer to leave and reports whether there was one.
func (ws *writers) stop(ctx context.Context, id melodyud.UploadID) bool {
	ws.mu.Lock()
	w := ws.active[id]
	ws.mu.Unlock()
	if w == nil {
		return false
	}
	w.ask(errTakenOver)
	wait(ctx, w)
	return true
}

// drain turns new writers away and asks all others to leave.
func (ws *writers) drain() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.draining = true
	for _, w := range ws.active {
		w.ask(errStopping)
	}
}

func wait(ctx context.Context, w *writer) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
