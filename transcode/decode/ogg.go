package decode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/melodyud/melodyud"
)

// The flags of an Ogg page (RFC 3533, 6).
const (
	oggContinued = 1
	oggFirst     = 2
	oggLast      = 4
	oggHead      = 27
	// maxPacket holds a comment header with the largest cover in base 64.
	maxPacket = 16 << 20
)

// oggPage is one page; its body is valid until the next is read.
type oggPage struct {
	flags   byte
	granule int64
	serial  uint32
	lacing  []byte
	body    []byte
}

func (p *oggPage) is(flag byte) bool { return p.flags&flag != 0 }

// oggPages reads the pages of one logical stream that is alone in its file.
type oggPages struct {
	r       *bufio.Reader
	page    oggPage
	started bool
	ended   bool
	partial []byte // a packet that goes on in the next page
	buf     []byte
}

var oggTable = func() (t [256]uint32) {
	for i := range t {
		v := uint32(i) << 24
		for range 8 {
			v = v<<1 ^ (v>>31)*0x04C11DB7
		}
		t[i] = v
	}
	return t
}()

func oggCRC(sum uint32, b []byte) uint32 {
	for _, c := range b {
		sum = sum<<8 ^ oggTable[byte(sum>>24)^c]
	}
	return sum
}

// next reads a page of the stream and checks it. io.EOF comes between pages only.
func (o *oggPages) next() error {
	if o.ended {
		return io.EOF
	}
	var head [oggHead]byte
	if n, err := io.ReadFull(o.r, head[:]); err != nil {
		if n == 0 {
			return io.EOF
		}
		return reject("audio.truncated", "file ends in a page header")
	}
	if string(head[:4]) != "OggS" || head[4] != 0 {
		return reject("audio.damaged", "no Ogg page where one should be")
	}
	o.buf = append(o.buf[:0], make([]byte, int(head[26]))...)
	if _, err := io.ReadFull(o.r, o.buf); err != nil {
		return reject("audio.truncated", "file ends in a page header")
	}
	segments, size := len(o.buf), 0
	for _, v := range o.buf {
		size += int(v)
	}
	o.buf = append(o.buf, make([]byte, size)...)
	if _, err := io.ReadFull(o.r, o.buf[segments:]); err != nil {
		return reject("audio.truncated", "file ends in a page")
	}
	sum := binary.LittleEndian.Uint32(head[22:])
	clear(head[22:26])
	if oggCRC(oggCRC(0, head[:]), o.buf) != sum {
		return reject("audio.damaged", "page checksum differs")
	}
	return o.enter(oggPage{
		flags: head[5], granule: int64(binary.LittleEndian.Uint64(head[6:])),
		serial: binary.LittleEndian.Uint32(head[14:]), lacing: o.buf[:segments], body: o.buf[segments:],
	})
}

// enter refuses a second stream, beside the first or after it.
func (o *oggPages) enter(p oggPage) error {
	if o.started && (p.serial != o.page.serial || p.is(oggFirst)) {
		return reject("audio.changes-format", "a second Ogg stream")
	}
	o.page, o.started = p, true
	return nil
}

// packets returns the packets that end on the page, valid until the next page.
func (o *oggPages) packets() ([][]byte, error) {
	var out [][]byte
	body := o.page.body
	if !o.page.is(oggContinued) {
		o.partial = nil
	}
	from, size := 0, 0
	for _, v := range o.page.lacing {
		size += int(v)
		if v == 255 {
			continue
		}
		packet := body[from : from+size]
		if len(o.partial) > 0 {
			packet = append(o.partial, packet...)
			o.partial = nil
		}
		out = append(out, packet)
		from, size = from+size, 0
	}
	if size > 0 {
		o.partial = append(o.partial, body[from:from+size]...)
	}
	if len(o.partial) > maxPacket {
		return nil, errors.New("ogg packet too long")
	}
	return out, nil
}

// headers collects the first n packets; what follows them on their last page is
// returned, too.
func (o *oggPages) headers(n int) (head, rest [][]byte, err error) {
	for len(head) < n {
		if err := o.next(); err != nil {
			if err == io.EOF {
				err = reject("audio.truncated", "file ends in the headers")
			}
			return nil, nil, err
		}
		packets, err := o.packets()
		if err != nil {
			return nil, nil, err
		}
		for _, p := range packets {
			head = append(head, append([]byte(nil), p...))
		}
	}
	return head[:n], head[n:], nil
}

// oggLength is the granule position of the last page, -1 unknown. It is not
// trusted.
func oggLength(in *input) int64 {
	const tail = 66 << 10 // longer than a page can be
	at := max(0, in.size-tail)
	b, err := in.peek(at, tail)
	if err != nil {
		return -1
	}
	for i := len(b) - oggHead; i >= 0; i-- {
		if matches(b, i, "OggS") {
			return max(-1, int64(binary.LittleEndian.Uint64(b[i+6:])))
		}
	}
	return -1
}

// oggCodecs is what the first packet of a stream begins with.
var oggCodecs = []struct {
	magic, what, codec string
	lossless           bool
	comments           string // what the comment packet begins with
}{
	{"OpusHead", "Opus", "opus", false, "OpusTags"},
	{"Speex   ", "Speex", "speex", false, ""},
	{"\x7fFLAC", "FLAC in Ogg", "flac", true, "\x04"},
	{"\x80theora", "Theora", "", false, ""},
}

// openOgg looks at the first packet: Vorbis is ours.
func openOgg(in *input, at int64) (Facts, sound, error) {
	pages := &oggPages{r: in.from(at, in.size-at)}
	first, _, err := pages.headers(1)
	if err != nil {
		return Facts{}, nil, err
	}
	if matches(first[0], 0, "\x01vorbis") {
		return openVorbis(in, at)
	}
	for _, c := range oggCodecs {
		if !matches(first[0], 0, c.magic) {
			continue
		}
		facts := Facts{Source: melodyud.Source{Codec: c.codec, Lossless: c.lossless}}
		oggLabels(in, at, c.comments, &facts)
		return openConverted(in, form{demuxer: "ogg", what: c.what}, facts)
	}
	return Facts{}, nil, reject("audio.unknown-format", "Ogg stream begins with % x", first[0][:min(len(first[0]), 8)])
}

// oggLabels reads the comment packet, which is the second.
func oggLabels(in *input, at int64, magic string, facts *Facts) {
	pages := &oggPages{r: in.from(at, in.size-at)}
	head, _, err := pages.headers(2)
	if err != nil || magic == "" || !matches(head[1], 0, magic) {
		return
	}
	skip := len(magic)
	if magic == "\x04" { // a FLAC metadata block header
		skip = flacBlockHead
	}
	var lab labels
	lab.readComments(head[1][min(skip, len(head[1])):])
	lab.fill(facts)
}
