// Package board shows on standard error how far a number of uploads is.
package board

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Board shows how far an upload of many files is: on a terminal a line for each file
// under way and one for all, drawn anew; elsewhere a line for each file that is done
// and now and then one for all. It is safe for concurrent use.
type Board struct {
	out   io.Writer
	live  bool // a terminal
	total int64
	count int

	mu    sync.Mutex
	sent  int64 // bytes of files that are done or under way
	fresh int64 // bytes that travelled in this run
	ended int
	under []*bar
	drawn int // lines on the terminal
	began time.Time
}

const (
	boardEvery = 250 * time.Millisecond
	lineEvery  = 10 * time.Second
)

// New returns a board for so many files with so many bytes together.
func New(out io.Writer, files int, bytes int64) *Board {
	b := &Board{out: out, count: files, total: bytes, began: time.Now()}
	if f, ok := out.(*os.File); ok {
		b.live = term.IsTerminal(int(f.Fd()))
	}
	return b
}

// bar is one file under way.
type bar struct {
	board *Board
	name  string
	size  int64
	sent  int64
	fresh int64 // of those, in this run
	begin time.Time
}

// Bar returns the progress of one file, given its size in bytes: what is written to it
// counts as sent, and closing it takes it off the board. Of what arrived in an earlier
// run it is told with Skip.
func (b *Board) Bar(path string) func(size int64) io.WriteCloser {
	return func(size int64) io.WriteCloser {
		line := &bar{board: b, name: filepath.Base(path), size: size, begin: time.Now()}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.under = append(b.under, line)
		return line
	}
}

// Write takes bytes that were sent.
func (l *bar) Write(p []byte) (int, error) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	l.sent += int64(len(p))
	l.fresh += int64(len(p))
	l.board.sent += int64(len(p))
	l.board.fresh += int64(len(p))
	return len(p), nil
}

// Skip counts bytes that arrived in an earlier run.
func (l *bar) Skip(n int64) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	l.sent += n
	l.board.sent += n
}

// Close takes the file off the board.
func (l *bar) Close() error {
	b := l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.under {
		if other == l {
			b.under = append(b.under[:i], b.under[i+1:]...)
			break
		}
	}
	b.sent -= l.sent // Done counts the file as a whole
	return nil
}

// Done notes that nothing more comes of a file of a size in this run; state says why.
func (b *Board) Done(path string, size int64, state string) {
	b.Print(func() {
		b.sent += size
		b.ended++
		if !b.live {
			fmt.Fprintf(b.out, "%s: %s\n", path, state)
		}
	})
}

// Write prints lines of others above the board.
func (b *Board) Write(p []byte) (int, error) {
	if !b.live {
		b.Print(func() { _, _ = b.out.Write(p) }) // progress is not worth failing for
	}
	return len(p), nil
}

// Print runs f while the board is off the terminal.
func (b *Board) Print(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	f()
	b.draw()
}

// Show draws the board until the returned function is called.
func (b *Board) Show() (stop func()) {
	every := lineEvery
	if b.live {
		every = boardEvery
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				b.Print(func() {
					if !b.live {
						fmt.Fprintln(b.out, b.all())
					}
				})
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		b.mu.Lock()
		defer b.mu.Unlock()
		b.clear()
	}
}

func (b *Board) clear() {
	if b.drawn > 0 {
		fmt.Fprintf(b.out, "\x1b[%dA\x1b[J", b.drawn)
	}
	b.drawn = 0
}

func (b *Board) draw() {
	if !b.live {
		return
	}
	for _, l := range b.under {
		fmt.Fprintf(b.out, "  %-40.40s %s\n", l.name, pace(l.sent, l.size, l.fresh, time.Since(l.begin)))
	}
	fmt.Fprintln(b.out, b.all())
	b.drawn = len(b.under) + 1
}

// all is the line for all files.
func (b *Board) all() string {
	return fmt.Sprintf("%d of %d files, %s", b.ended, b.count, pace(b.sent, b.total, b.fresh, time.Since(b.began)))
}

// pace writes how far something is, how fast, and how long it still takes.
func pace(sent, total, fresh int64, since time.Duration) string {
	text := fmt.Sprintf("%d %% of %s", sent*100/max(total, 1), Size(total))
	rate := float64(fresh) / max(since.Seconds(), 0.001)
	if fresh == 0 || since < time.Second || sent >= total {
		return text
	}
	left := time.Duration(float64(total-sent) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s, %s/s, %s left", text, Size(int64(rate)), left)
}

// Size writes bytes as people do.
func Size(n int64) string {
	const units = "kMGTP"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1000, 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	return strings.Replace(fmt.Sprintf("%.1f", v), ".0", "", 1) + " " + units[i:i+1] + "B"
}
