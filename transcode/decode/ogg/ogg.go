// Package ogg reads the pages and packets of an Ogg file that holds one logical
// stream (RFC 3533). Lengths are bounded by the page, packets by maxPacket.
package ogg

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What can be wrong with a file.
var (
	ErrTruncated = errors.New("ogg file is truncated")
	ErrDamaged   = errors.New("ogg file is damaged")
	ErrSecond    = errors.New("ogg file has a second stream")
)

// The flags of an Ogg page (RFC 3533, 6).
const (
	Continued = 1
	First     = 2
	Last      = 4
	headLen   = 27
	// maxPacket holds a comment header with the largest cover in base 64.
	maxPacket = 16 << 20
)

// Page is one page; its body is valid until the next is read.
type Page struct {
	Flags   byte
	Granule int64
	serial  uint32
	number  uint32
	lacing  []byte
	body    []byte
}

// Is reports a flag.
func (p *Page) Is(flag byte) bool { return p.Flags&flag != 0 }

// Pages reads the pages of one logical stream that is alone in its file.
type Pages struct {
	R       *bufio.Reader
	Page    Page // the last read
	started bool
	Partial []byte // a packet that goes on in the next page
	buf     []byte
}

var crcTable = func() (t [256]uint32) {
	for i := range t {
		v := uint32(i) << 24
		for range 8 {
			v = v<<1 ^ (v>>31)*0x04C11DB7
		}
		t[i] = v
	}
	return t
}()

func crc(sum uint32, b []byte) uint32 {
	for _, c := range b {
		sum = sum<<8 ^ crcTable[byte(sum>>24)^c]
	}
	return sum
}

// Next reads a page of the stream and checks it. io.EOF comes between pages only.
func (o *Pages) Next() error {
	var head [headLen]byte
	if n, err := io.ReadFull(o.R, head[:]); err != nil {
		if n == 0 {
			return io.EOF
		}
		return fmt.Errorf("%w: file ends in a page header", ErrTruncated)
	}
	if string(head[:4]) != "OggS" || head[4] != 0 {
		return fmt.Errorf("%w: no Ogg page where one should be", ErrDamaged)
	}
	o.buf = append(o.buf[:0], make([]byte, int(head[26]))...)
	if _, err := io.ReadFull(o.R, o.buf); err != nil {
		return fmt.Errorf("%w: file ends in a page header", ErrTruncated)
	}
	segments, size := len(o.buf), 0
	for _, v := range o.buf {
		size += int(v)
	}
	o.buf = append(o.buf, make([]byte, size)...)
	if _, err := io.ReadFull(o.R, o.buf[segments:]); err != nil {
		return fmt.Errorf("%w: file ends in a page", ErrTruncated)
	}
	sum := binary.LittleEndian.Uint32(head[22:])
	clear(head[22:26])
	if crc(crc(0, head[:]), o.buf) != sum {
		return fmt.Errorf("%w: page checksum differs", ErrDamaged)
	}
	return o.enter(Page{
		Flags: head[5], Granule: int64(binary.LittleEndian.Uint64(head[6:])),
		serial: binary.LittleEndian.Uint32(head[14:]), number: binary.LittleEndian.Uint32(head[18:]), lacing: o.buf[:segments], body: o.buf[segments:],
	})
}

// enter refuses a second stream, beside the first or after it.
func (o *Pages) enter(p Page) error {
	if o.started && (p.serial != o.Page.serial || p.Is(First)) {
		return ErrSecond
	}
	if o.started && p.number != o.Page.number+1 {
		return fmt.Errorf("%w: page %d after page %d", ErrDamaged, p.number, o.Page.number)
	}
	o.Page, o.started = p, true
	return nil
}

// Packets returns the packets that end on the page, valid until the next page.
func (o *Pages) Packets() ([][]byte, error) {
	var out [][]byte
	body := o.Page.body
	if !o.Page.Is(Continued) {
		o.Partial = nil
	}
	from, size := 0, 0
	for _, v := range o.Page.lacing {
		size += int(v)
		if v == 255 {
			continue
		}
		packet := body[from : from+size]
		if len(o.Partial) > 0 {
			packet = append(o.Partial, packet...)
			o.Partial = nil
		}
		out = append(out, packet)
		from, size = from+size, 0
	}
	if size > 0 {
		o.Partial = append(o.Partial, body[from:from+size]...)
	}
	if len(o.Partial) > maxPacket {
		return nil, fmt.Errorf("%w: packet of more than %d bytes", ErrDamaged, maxPacket)
	}
	return out, nil
}

// Headers collects the first n packets; what follows them on their last page is
// returned, too.
func (o *Pages) Headers(n int) (head, rest [][]byte, err error) {
	for len(head) < n {
		if err := o.Next(); err != nil {
			if err == io.EOF {
				err = fmt.Errorf("%w: file ends in the headers", ErrTruncated)
			}
			return nil, nil, err
		}
		packets, err := o.Packets()
		if err != nil {
			return nil, nil, err
		}
		for _, p := range packets {
			head = append(head, append([]byte(nil), p...))
		}
	}
	return head[:n], head[n:], nil
}
