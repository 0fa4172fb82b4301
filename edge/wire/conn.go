package wire

import (
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// conn is a connection as net/http sees it: it gets one request after the other,
// and never a byte of the one after.
type conn struct {
	net.Conn
	wire *Wire
	raw  *rawConn // nil: not a socket of a kind we know
	from netip.Addr

	// What Read and follow use. net/http calls them one after the other.
	desk   *desk
	busy   bool  // net/http works on a request
	ready  int64 // bytes that net/http may read as they come
	given  int   // of desk.in, given to net/http before it was known what it begins
	failed error // what every further Read returns

	loop     *loop       // nil: answers are given where net/http reads
	rides    atomic.Bool // the loop waits for its next request
	back     chan error  // from the loop; see loop.carry
	declined bool        // the loop could not answer the request on the desk
	unsent   bool        // the loop could not send all of the answer on the desk
	until    time.Time   // it may go without a request while it rides; the loop's mu is for it

	closing atomic.Int32 // open, sending, or to be closed
	alone   atomic.Bool  // there were answers from memory, and no request for net/http yet
	passed  bool         // a request went to net/http
}

// The states of conn.closing.
const (
	open int32 = iota
	sending
	closeAfter // closed by net/http while an answer is being sent
	closed
)

func (w *Wire) newConn(nc net.Conn, loops []*loop) *conn {
	c := &conn{Conn: nc, wire: w, raw: newRawConn(nc)}
	if c.raw != nil && len(loops) > 0 && w.config.Source != nil {
		c.loop = loops[w.turns.Add(1)%uint64(len(loops))]
	}
	if from, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.from = from.Addr().Unmap()
	}
	return c
}

// follow learns from net/http where it is.
func (c *conn) follow(s http.ConnState) {
	switch s {
	case http.StateActive:
		c.busy = true
	case http.StateIdle:
		c.busy = false
	case http.StateHijacked:
		c.ready = math.MaxInt64
		c.wire.conns.Delete(c)
	case http.StateClosed:
		c.wire.conns.Delete(c)
	}
}

// Read implements net.Conn, for net/http.
func (c *conn) Read(p []byte) (n int, err error) {
	switch {
	case c.failed != nil:
		return 0, c.failed
	case len(p) == 0:
		return 0, nil
	case c.ready > 0:
		n, err = c.pass(p)
	case c.busy:
		n, err = c.peek(p)
	default:
		if err = c.next(); err == nil {
			n, err = c.pass(p)
		}
	}
	c.rest()
	return n, err
}

// pass gives net/http what it may read.
func (c *conn) pass(p []byte) (int, error) {
	p = p[:min(int64(len(p)), c.ready)]
	if c.desk == nil || len(c.desk.in) == 0 {
		n, err := c.Conn.Read(p)
		c.ready -= int64(n)
		return n, err
	}
	n := copy(p, c.desk.in)
	c.desk.in = c.desk.in[n:]
	c.ready -= int64(n)
	return n, nil
}

// peek waits beside a handler at work: net/http wants to know when the client
// leaves. What comes early is kept for when the handler is done, which net/http says
// by ending this read with a deadline in the past. Of more than can be kept, or when
// nothing else comes, it gets one byte, and the request that this begins with it.
func (c *conn) peek(p []byte) (int, error) {
	for c.desk == nil || len(c.desk.in) < peekBytes {
		if err := c.fill(); c.early() == 0 || isTimeout(err) {
			return 0, err
		} else if err != nil {
			break
		}
	}
	p[0] = c.desk.in[c.given]
	c.given++
	return 1, nil
}

// early is how many bytes came that net/http was not given.
func (c *conn) early() int {
	if c.desk == nil {
		return 0
	}
	return len(c.desk.in) - c.given
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// next waits for a request that net/http has to answer, and answers those before it.
// An answer that the client did not take, or a refusal, ends the connection.
func (c *conn) next() error {
	var armed time.Time // when the idle deadline was set here; before that net/http's holds
	for {
		if err := c.ride(); err != nil {
			return c.over(err)
		}
		late, err := c.await()
		if err != nil {
			return c.over(err)
		}
		done, at, err := c.short()
		if err != nil {
			return c.over(err)
		}
		if !done {
			c.hand()
			return nil
		}
		if late || at.Sub(armed) > c.wire.config.IdleTimeout/4 {
			armed = at
			_ = c.SetReadDeadline(at.Add(c.wire.config.IdleTimeout)) // a closed connection says so when read
		}
		runtime.Gosched()
	}
}

// ride lets the loop answer while nothing is on the desk, and does what the loop does
// not: wait for a client that takes its time.
func (c *conn) ride() error {
	patience := c.wire.config.IdleTimeout
	if !c.passed && !c.alone.Load() {
		patience = c.wire.config.HeaderTimeout // who connects has something to ask
	}
	for c.loop != nil && (c.desk == nil || len(c.desk.in) == 0) {
		rode, err := c.loop.carry(c, patience)
		if err != nil || !rode {
			return err
		}
		if !c.unsent {
			return nil
		}
		c.unsent = false
		err = c.raw.send(c)
		c.told(err)
		if err = c.end(true, err); err != nil {
			return err
		}
		c.rest()
		patience = c.wire.config.IdleTimeout
	}
	return nil
}

// over makes err the end of the connection, in words that net/http does not answer
// with a 400 of its own: a timeout or io.EOF.
func (c *conn) over(err error) error {
	if isTimeout(err) {
		return err
	}
	c.failed = io.EOF
	return io.EOF
}

// await reads until a whole head is on the desk and takes it apart. late says that
// the deadline for heads was set for it.
func (c *conn) await() (late bool, err error) {
	var seen, size int
	for {
		var why refusal
		if c.desk != nil && len(c.desk.in) > 0 {
			size, seen, why = whole(c.desk.in, seen)
			if size == 0 && why.status == 0 && len(c.desk.in) >= c.wire.config.MaxHeader {
				why = errLarge
			}
			if size > 0 {
				why = c.desk.head.parse(c.desk.in[:size])
			}
		}
		if why.status != 0 {
			return late, c.refuse(why)
		}
		if size > 0 {
			return late, nil
		}
		if !late && c.desk != nil && len(c.desk.in) > 0 {
			late = true
			_ = c.SetReadDeadline(time.Now().Add(c.wire.config.HeaderTimeout))
		}
		if err := c.fill(); err != nil {
			return late, err
		}
	}
}

// hand makes the request on the desk net/http's. A body of untold length is the last
// thing on its connection: where it ends, nobody has to agree on.
func (c *conn) hand() {
	d := c.desk
	size := d.head.size
	c.ready = int64(size-c.given) + min(d.head.body, math.MaxInt64-maxHead)
	if d.head.chunked {
		d.in = slices.Insert(d.in, size-2, []byte("Connection: close\r\n")...)
		c.ready = math.MaxInt64
	}
	d.in = d.in[c.given:]
	c.given = 0
	c.passed = true
	c.alone.Store(false)
	c.wire.passed.Inc()
}

// fill reads more onto the desk.
func (c *conn) fill() error {
	if c.raw != nil {
		return c.raw.fill(c)
	}
	c.sit()
	n, err := c.Conn.Read(c.desk.in[len(c.desk.in):cap(c.desk.in)])
	c.desk.in = c.desk.in[:len(c.desk.in)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// sit takes a desk with room to read on.
func (c *conn) sit() *desk {
	if c.desk == nil {
		c.desk = c.wire.desks.Get().(*desk)
	}
	c.desk.widen(c.wire.config.MaxHeader)
	return c.desk
}

// rest gives an empty desk back.
func (c *conn) rest() {
	if d := c.desk; d != nil && len(d.in) == 0 {
		c.desk = nil
		d.clear()
		c.wire.desks.Put(d)
	}
}

// short answers the request on the desk from memory and reports whether it could,
// and when the answer was out.
func (c *conn) short() (done bool, at time.Time, err error) {
	if c.declined || !c.desk.head.plain || c.given > 0 || c.wire.config.Source == nil {
		c.declined = false
		return false, at, nil
	}
	if !c.begin() {
		return false, at, net.ErrClosed
	}
	if !c.prepare(time.Now()) {
		return false, at, c.end(false, nil)
	}
	err = c.transmit()
	return true, c.told(err), c.end(true, err)
}

// prepare puts the answer to the request on the desk beside it, if it is in memory.
func (c *conn) prepare(now time.Time) bool {
	d := c.desk
	d.began = now
	d.head.request.From = c.from
	d.answer.reset()
	if !c.wire.config.Source.Resident(&d.head.request, &d.answer) {
		return false
	}
	d.sign(c.wire.today(d.began))
	d.lay()
	return true
}

// told counts the answer, takes the request off the desk and returns the time.
func (c *conn) told(err error) (at time.Time) {
	at = time.Now()
	d := c.desk
	if d.answer.File != nil {
		d.answer.File.Release()
	}
	c.wire.answered.Inc()
	c.wire.config.Source.Sent(&d.head.request, &d.answer, err == nil, at.Sub(d.began))
	d.in = d.in[d.head.size:]
	return at
}

// begin keeps net/http from closing the connection in the middle of an answer; false
// when it was closed already.
func (c *conn) begin() bool {
	c.wire.inHand.Add(1)
	if c.closing.CompareAndSwap(open, sending) {
		return true
	}
	c.wire.inHand.Add(-1)
	return false
}

// end closes the connection if that was asked for meanwhile.
func (c *conn) end(sent bool, err error) error {
	defer c.wire.inHand.Add(-1)
	if sent && !c.passed && !c.alone.Load() {
		c.alone.Store(true)
	}
	if !(sent && c.wire.ending.Load()) && c.closing.CompareAndSwap(sending, open) {
		return err
	}
	c.closing.Store(closed)
	_ = c.Conn.Close() // nobody is there to be told
	return errors.Join(err, net.ErrClosed)
}

// Close implements net.Conn. An answer that is being sent goes out first: a server
// that shuts down takes the connection for idle.
func (c *conn) Close() error {
	for !c.closing.CompareAndSwap(open, closed) {
		if c.closing.CompareAndSwap(sending, closeAfter) || c.closing.Load() == closeAfter {
			return nil
		}
		if c.closing.Load() == closed {
			break
		}
	}
	if c.rides.Load() {
		c.loop.let(c, net.ErrClosed)
	}
	return c.Conn.Close()
}

// CloseWrite lets net/http end a connection without cutting off its last answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom lets net/http send files without copying them.
func (c *conn) ReadFrom(src io.Reader) (int64, error) { return io.Copy(c.Conn, src) }
