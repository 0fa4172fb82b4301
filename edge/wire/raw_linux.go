//go:build amd64 || arm64

package wire

import (
	"io"
	"net"
	"syscall"
	"time"
	"unsafe"
)

// rawConn reads and writes a socket without telling the scheduler. Its calls never
// wait, so that would only cost: it sees a processor in a call and gives it to another
// thread, for each answer again.
type rawConn struct {
	socket      syscall.RawConn
	fd          uintptr               // for who keeps the connection from being closed
	read, write func(fd uintptr) bool // readable and writable, made once

	// What they are called with and come back with.
	conn  *conn
	errno syscall.Errno
	got   int
	wait  bool // for room in the socket's buffer
}

// newRawConn returns nil for what is no socket.
func newRawConn(nc net.Conn) *rawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	socket, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawConn{socket: socket}
	if err := socket.Control(func(fd uintptr) { r.fd = fd }); err != nil {
		return nil
	}
	r.read, r.write = r.readable, r.writable
	return r
}

// fill reads onto the desk, which is taken when there is something to put on it:
// 10,000 idle connections have none.
func (r *rawConn) fill(c *conn) error {
	r.conn = c
	if err := r.socket.Read(r.read); err != nil {
		return err
	}
	return r.received()
}

// receive reads onto the desk what is there now, which may be nothing, and reports
// whether there may be more.
func (r *rawConn) receive(c *conn) (more bool, err error) {
	r.conn = c
	if !r.readable(r.fd) {
		return false, nil
	}
	err = r.received()
	return err == nil && len(c.desk.in) == cap(c.desk.in), err
}

func (r *rawConn) received() error {
	switch {
	case r.errno != 0:
		return r.errno
	case r.got == 0:
		return io.EOF
	}
	return nil
}

func (r *rawConn) readable(fd uintptr) bool {
	c := r.conn
	d := c.sit()
	room := d.in[len(d.in):cap(d.in)]
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)), 0, 0, 0)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.rest()
			return false
		case 0:
			r.got = int(n)
			d.in = d.in[:len(d.in)+r.got]
		}
		r.errno = errno
		return true
	}
}

// vector is what is left to write of one answer.
type vector struct {
	parts []syscall.Iovec
	sent  int // of parts
	file  *File
	at    int64 // in file
	msg   syscall.Msghdr
}

func (v *vector) done() bool { return v.sent == len(v.parts) && (v.file == nil || v.at == v.file.size) }

func (v *vector) reset() {
	clear(v.parts)
	*v = vector{parts: v.parts[:0]}
}

func (v *vector) add(b []byte) {
	part := syscall.Iovec{Base: &b[0]}
	part.SetLen(len(b))
	v.parts = append(v.parts, part)
}

// skip takes n bytes off the front.
func (v *vector) skip(n int) {
	for v.sent < len(v.parts) {
		part := &v.parts[v.sent]
		size := int(part.Len)
		if n < size {
			part.Base = (*byte)(unsafe.Add(unsafe.Pointer(part.Base), n))
			part.SetLen(size - n)
			return
		}
		n -= size
		v.sent++
	}
}

// lay puts the answer into the vector.
func (d *desk) lay() {
	d.out.reset()
	d.out.add(d.first)
	if d.head.request.Head {
		return
	}
	for _, part := range d.answer.Body {
		if len(part) > 0 {
			d.out.add(part)
		}
	}
	d.out.file = d.answer.File
}

const mostParts = 1024 // of one call: UIO_MAXIOV

// writable writes what the socket takes now. It says that it has to wait only if it
// is to, and has written nothing.
func (r *rawConn) writable(fd uintptr) bool {
	v := &r.conn.desk.out
	for moved := false; !v.done(); {
		n, errno := v.write(fd)
		switch errno {
		case 0:
			if n == 0 {
				r.errno = syscall.EIO // the file is shorter than it was
				return true
			}
			moved = true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return moved || !r.wait
		default:
			r.errno = errno
			return true
		}
	}
	return true
}

// write writes the next part as far as the socket takes it.
func (v *vector) write(fd uintptr) (n uintptr, errno syscall.Errno) {
	switch rest := v.parts[v.sent:]; len(rest) {
	case 0:
		return v.writeFile(fd)
	case 1:
		n, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(rest[0].Base)), uintptr(rest[0].Len), syscall.MSG_NOSIGNAL, 0, 0)
	default:
		v.msg = syscall.Msghdr{Iov: &rest[0], Iovlen: uint64(min(len(rest), mostParts))}
		n, _, errno = syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&v.msg)), syscall.MSG_NOSIGNAL)
	}
	if errno == 0 {
		v.skip(int(n))
	}
	return n, errno
}

// writeFile sends from the file. The head before it went out by itself: the client
// reads that while the file is on its way, which costs both less than one after the
// other.
func (v *vector) writeFile(fd uintptr) (n uintptr, errno syscall.Errno) {
	n, _, errno = syscall.RawSyscall6(syscall.SYS_SENDFILE, fd, uintptr(v.file.fd), uintptr(unsafe.Pointer(&v.at)), uintptr(v.file.size-v.at), 0, 0)
	return n, errno
}

// transmit writes the answer on the desk.
func (c *conn) transmit() error {
	if c.raw == nil {
		return c.copyOut()
	}
	return c.raw.send(c)
}

// sendNow writes what the socket takes now of the answer on the desk.
func (r *rawConn) sendNow(c *conn) error {
	r.conn, r.errno, r.wait = c, 0, false
	if r.writable(r.fd); r.errno != 0 {
		return r.errno
	}
	return nil
}

// send writes what is left of the answer on the desk. Most often the socket takes all
// of it at once, and no deadline is needed.
func (r *rawConn) send(c *conn) error {
	v := &c.desk.out
	r.conn, r.errno, r.wait = c, 0, false
	for {
		if err := r.socket.Write(r.write); err != nil {
			return err
		}
		if r.errno != 0 {
			return r.errno
		}
		if v.done() {
			break
		}
		r.wait = true
		if err := c.hurry(); err != nil {
			return err
		}
	}
	if !r.wait {
		return nil
	}
	return c.SetWriteDeadline(time.Time{})
}
