package front

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Listen returns l, whose connections from proxies may begin with the PROXY protocol,
// version 1 or 2: they have the client's address then. Nobody else's are looked at.
func (p Proxies) Listen(l net.Listener) net.Listener {
	if p.None() {
		return l
	}
	return &herald{Listener: l, proxies: p, ready: make(chan arrival), closed: make(chan struct{})}
}

// herald reads what proxies say first, beside the connections that are accepted
// meanwhile.
type herald struct {
	net.Listener
	proxies Proxies
	begin   sync.Once
	ready   chan arrival
	end     sync.Once
	closed  chan struct{}
}

type arrival struct {
	conn net.Conn
	err  error
}

const (
	patience  = 5 * time.Second // for what a proxy says first
	mostLine  = 107             // bytes of a line of version 1
	mostBlock = 536             // bytes of a block of version 2 that we read
)

// Accept implements net.Listener.
func (h *herald) Accept() (net.Conn, error) {
	h.begin.Do(func() { go h.accept() })
	select {
	case a := <-h.ready:
		return a.conn, a.err
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *herald) Close() error {
	h.end.Do(func() { close(h.closed) })
	return h.Listener.Close()
}

func (h *herald) accept() {
	for {
		c, err := h.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			_ = h.Close()
			return
		case err == nil && h.proxies.Trusts(addressOf(c.RemoteAddr())):
			go h.greet(c)
		default:
			h.hand(arrival{c, err})
		}
	}
}

func (h *herald) hand(a arrival) {
	select {
	case h.ready <- a:
	case <-h.closed:
		if a.conn != nil {
			_ = a.conn.Close()
		}
	}
}

func (h *herald) greet(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	in := bufio.NewReaderSize(c, 16+mostBlock)
	from, err := greeting(in)
	if err != nil {
		_ = c.Close() // no proxy says that
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	early, _ := in.Peek(in.Buffered())
	g := &greeted{Conn: c, early: bytes.Clone(early), from: c.RemoteAddr()}
	if from.IsValid() {
		g.from = net.TCPAddrFromAddrPort(from)
	}
	h.hand(arrival{conn: g})
}

// greeted is a connection whose first bytes are read.
type greeted struct {
	net.Conn
	early []byte
	from  net.Addr
}

// Read implements net.Conn.
func (g *greeted) Read(p []byte) (int, error) {
	if len(g.early) == 0 {
		return g.Conn.Read(p)
	}
	n := copy(p, g.early)
	g.early = g.early[n:]
	return n, nil
}

// RemoteAddr is the client's.
func (g *greeted) RemoteAddr() net.Addr { return g.from }

// CloseWrite serves net/http, which ends connections gently where it can.
func (g *greeted) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

func addressOf(a net.Addr) netip.Addr {
	p, _ := netip.ParseAddrPort(a.String()) // what is no IP address is nobody's
	return p.Addr()
}

const signature = "\r\n\r\n\x00\r\nQUIT\n"

var errGreeting = errors.New("malformed PROXY protocol")

// greeting reads what a proxy says about the client, if it does, and nothing more.
// The zero address means that it is the proxy itself, or not known.
func greeting(in *bufio.Reader) (netip.AddrPort, error) {
	for said, read := range map[string]func(*bufio.Reader) (netip.AddrPort, error){"PROXY ": line, signature: block} {
		if begins(in, said) {
			return read(in)
		}
	}
	_, err := in.Peek(1)
	return netip.AddrPort{}, err
}

// begins reports whether text is next, and waits for no more of it than it must.
func begins(in *bufio.Reader, text string) bool {
	for n := 1; n <= len(text); n++ {
		got, err := in.Peek(n)
		if err != nil || string(got) != text[:n] {
			return false
		}
	}
	return true
}

// line reads version 1: PROXY TCP4 192.0.2.1 192.0.2.2 4711 80.
func line(in *bufio.Reader) (netip.AddrPort, error) {
	text := ""
	for !strings.HasSuffix(text, "\r\n") {
		b, err := in.ReadByte()
		if err != nil || len(text) >= mostLine {
			return netip.AddrPort{}, errors.Join(errGreeting, err)
		}
		text += string(rune(b))
	}
	words := strings.Split(strings.TrimSuffix(text, "\r\n"), " ")
	if words[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return netip.AddrPort{}, errGreeting
	}
	from, err := netip.ParseAddr(words[2])
	port, failed := strconv.ParseUint(words[4], 10, 16)
	if err != nil || failed != nil || from.Is4() != (words[1] == "TCP4") {
		return netip.AddrPort{}, errGreeting
	}
	return netip.AddrPortFrom(from, uint16(port)), nil
}

// block reads version 2: the signature, version and command, family, length and
// addresses. What follows the addresses is passed over.
func block(in *bufio.Reader) (netip.AddrPort, error) {
	var head [16]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return netip.AddrPort{}, err
	}
	length := binary.BigEndian.Uint16(head[14:])
	if head[12]>>4 != 2 || head[12]&15 > 1 || length > mostBlock {
		return netip.AddrPort{}, errGreeting
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return netip.AddrPort{}, err
	}
	size := map[byte]int{1: 4, 2: 16}[head[13]>>4]
	if head[12]&15 == 0 || size == 0 { // of the proxy itself, or of no internet address
		return netip.AddrPort{}, nil
	}
	if len(body) < 2*size+4 {
		return netip.AddrPort{}, errGreeting
	}
	from, _ := netip.AddrFromSlice(body[:size])
	return netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(body[2*size:])), nil
}
