//go:build amd64 || arm64

package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostInTurn is how many connections a loop looks at before everybody else gets a
// turn: one or two milliseconds' work.
const mostInTurn = 128

// loop answers the next requests of many connections from memory, one after the
// other. A goroutine for each has the scheduler in between twice per answer; and as
// long as there is one that runs, it does not look for what came on the network, so
// under load some listeners would wait until it does, which may be 10 ms.
//
// The connections are in an epoll instance, and that is in the runtime's own: a loop
// with nothing to do waits like any goroutine that reads.
type loop struct {
	wire *Wire
	poll *os.File // the epoll instance
	bell *os.File // an eventfd in it, which wakes the loop behind everybody else
	fds  struct{ poll, bell int }

	mu     sync.Mutex
	riding map[int32]*conn // by descriptor; nil: the loop takes nobody

	events [mostInTurn]unix.EpollEvent
	due    [mostInTurn]*conn
	at     time.Time // of the last look or answer
}

// Each thing that comes is told once: what a turn has read, it need not look at again.
const (
	tellOnce = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	leaving  = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// Run answers until ctx ends. Connections that are there then are told that they are
// over.
func (l *loop) Run(ctx context.Context) error {
	if err := l.open(); err != nil {
		return fmt.Errorf("poll connections: %w", err)
	}
	err := l.watch(ctx)
	l.end()
	if err = errors.Join(err, l.poll.Close(), l.bell.Close()); err != nil {
		return fmt.Errorf("poll connections: %w", err)
	}
	return nil
}

func (l *loop) open() (err error) {
	if l.fds.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	err = unix.SetNonblock(l.fds.poll, true) // or the runtime would not watch it
	l.poll = os.NewFile(uintptr(l.fds.poll), "connections")
	if err != nil {
		return errors.Join(err, l.poll.Close())
	}
	if l.fds.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return errors.Join(err, l.poll.Close())
	}
	l.bell = os.NewFile(uintptr(l.fds.bell), "bell")
	if err = unix.EpollCtl(l.fds.poll, unix.EPOLL_CTL_ADD, l.fds.bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1}); err != nil {
		return errors.Join(err, l.poll.Close(), l.bell.Close())
	}
	l.mu.Lock()
	l.riding = map[int32]*conn{}
	l.mu.Unlock()
	return nil
}

// watch waits for requests and answers them until ctx ends.
func (l *loop) watch(ctx context.Context) error {
	socket, err := l.poll.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.poll.SetReadDeadline(time.Unix(1, 0)) })() // wakes it
	every := min(l.wire.config.IdleTimeout, l.wire.config.HeaderTimeout) / 4
	for {
		if err := l.poll.SetReadDeadline(time.Now().Add(every)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := socket.Read(l.turn); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		l.sweep(time.Now())
	}
}

// sweep ends the connections that were without a request for too long.
func (l *loop) sweep(now time.Time) {
	l.mu.Lock()
	var old []*conn
	for _, c := range l.riding {
		if c.until.Before(now) {
			old = append(old, c)
		}
	}
	l.mu.Unlock()
	for _, c := range old {
		l.let(c, os.ErrDeadlineExceeded)
	}
}

// end lets go of all connections.
func (l *loop) end() {
	l.mu.Lock()
	all := l.riding
	l.riding = nil
	l.mu.Unlock()
	for _, c := range all {
		l.let(c, io.EOF)
	}
}

// turn answers what has come, and rings when there may be more. The runtime calls it
// again when there is: it asks for that always.
func (l *loop) turn(uintptr) bool {
	for seen := 0; seen < mostInTurn; {
		n := l.look()
		if n == 0 {
			return false
		}
		seen += n
		for i, c := range l.due[:n] {
			if l.due[i] = nil; c != nil {
				l.attend(c, l.events[i].Events&leaving != 0)
			}
		}
	}
	one := uint64(1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.fds.bell), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one)) // it takes 2^64 of them
	return false
}

// look notes the connections on which something has come and returns how many things
// it saw.
func (l *loop) look() int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.fds.poll), uintptr(unsafe.Pointer(&l.events[0])), mostInTurn, 0, 0, 0)
	if errno != 0 || n == 0 {
		return 0
	}
	l.at = time.Now()
	until := l.at.Add(l.wire.config.IdleTimeout)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.events[:n] {
		if l.due[i] = l.riding[e.Fd]; l.due[i] != nil {
			l.due[i].until = until
		}
	}
	return int(n)
}

// attend answers what came on a connection. With anything else it goes back to its
// own goroutine, as it does when the client takes its time, leaves, or has sent more
// than is good for the others.
func (l *loop) attend(c *conn, leaves bool) {
	if !c.rides.Load() || !c.begin() {
		return // it is being closed
	}
	n, more, err := l.answer(c)
	if c.unsent {
		l.let(c, nil)
		return
	}
	back := leaves || more || err != nil || c.desk != nil && len(c.desk.in) > 0
	if back {
		l.remove(c) // while its descriptor is its own
	}
	c.rest() // while nobody else can have it
	if err = c.end(n > 0, err); back || err != nil {
		l.let(c, err)
	}
}

// answer answers what a desk holds of what came and can be answered. It returns how
// much that was, and whether there may be more.
func (l *loop) answer(c *conn) (n int, more bool, err error) {
	defer func() {
		if p := recover(); p != nil { // as net/http does: one broken answer ends one connection
			l.wire.config.Logger.Error("panic in an answer from memory", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = io.EOF
		}
	}()
	more, err = c.raw.receive(c)
	for did := true; did && err == nil && c.desk != nil && len(c.desk.in) > 0; {
		if did, err = l.answerOne(c); did {
			n++
		}
	}
	return n, more, err
}

// answerOne answers the first request on the desk, and reports whether it could and the
// client took all of it.
func (l *loop) answerOne(c *conn) (bool, error) {
	d := c.desk
	size, _, why := whole(d.in, 0)
	if size == 0 || why.status != 0 || d.head.parse(d.in[:size]).status != 0 || !d.head.plain {
		return false, nil
	}
	if c.declined = !c.prepare(l.at); c.declined {
		return false, nil
	}
	err := c.raw.sendNow(c)
	if c.unsent = err == nil && !d.out.done(); c.unsent {
		return false, nil
	}
	l.at = c.told(err)
	return err == nil, err
}

// carry hands c over to the loop, which lets it go without a request for so long, and
// waits until it is back: with a request for its own goroutine, an answer the client
// takes its time for, or an error, which is its end. It reports false when the loop
// takes nobody.
func (l *loop) carry(c *conn, patience time.Duration) (bool, error) {
	if c.back == nil {
		c.back = make(chan error, 1)
	}
	c.until = time.Now().Add(patience)
	c.rides.Store(true)
	if !l.add(c) {
		c.rides.Store(false)
		return false, nil
	}
	if c.closing.Load() == closed { // perhaps before that could be told the loop
		l.let(c, io.EOF)
	}
	return true, <-c.back
}

func (l *loop) add(c *conn) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.riding == nil {
		return false
	}
	err := c.raw.socket.Control(func(fd uintptr) {
		ok = unix.EpollCtl(l.fds.poll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: tellOnce, Fd: int32(fd)}) == nil
	})
	if ok = ok && err == nil; ok {
		l.riding[int32(c.raw.fd)] = c
	}
	return ok
}

// let gives c back to its goroutine, once.
func (l *loop) let(c *conn, why error) {
	if !c.rides.CompareAndSwap(true, false) {
		return
	}
	l.remove(c)
	c.back <- why
}

// remove takes c out of the poll. Its descriptor may be another connection's already,
// if it was closed.
func (l *loop) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd := int32(c.raw.fd); l.riding[fd] == c {
		delete(l.riding, fd)
		_ = c.raw.socket.Control(func(fd uintptr) { // of a closed one the kernel let go itself
			_ = unix.EpollCtl(l.fds.poll, unix.EPOLL_CTL_DEL, int(fd), nil)
		})
	}
}
