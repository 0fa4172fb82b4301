package decode

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/melodyud/melodyud/transcode/decode/cover"
	"github.com/melodyud/melodyud/transcode/decode/format"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// The child's words on its standard output. Each is one byte of kind, four bytes
// of length (little endian) and a body: facts (JSON) once, then any number of
// blocks (planar float32, little endian), then one end or one refusal (JSON).
const (
	wordFacts   = 'F'
	wordBlock   = 'B'
	wordEnd     = 'E'
	wordRefusal = 'R'
)

const (
	wordHead = 5
	maxNote  = 64 << 10
	// maxEnd holds a cover in base 64 and everything else.
	maxEnd = int64(len(cover.Sizes)*cover.MaxImage/3*4 + maxNote)
)

// farewell is the body of an end.
type farewell struct {
	Samples  int64    `json:"samples"`
	Warnings []string `json:"warnings,omitempty"`
	Cover    Cover    `json:"cover"`
}

// mouth writes the child's words.
type mouth struct {
	w   io.Writer
	buf []byte
}

func (m *mouth) say(kind byte, body []byte) error {
	m.buf = append(m.buf[:0], kind)
	m.buf = binary.LittleEndian.AppendUint32(m.buf, uint32(len(body)))
	m.buf = append(m.buf, body...)
	_, err := m.w.Write(m.buf)
	return err
}

func (m *mouth) sayJSON(kind byte, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.say(kind, body)
}

func (m *mouth) block(b pcm.Block) error {
	size := 4 * len(b.Samples) * b.Len()
	m.buf = append(m.buf[:0], wordBlock)
	m.buf = binary.LittleEndian.AppendUint32(m.buf, uint32(size))
	m.buf = slices.Grow(m.buf, size)[:wordHead+size]
	body := m.buf[wordHead:]
	for _, plane := range b.Samples {
		dst := body[:4*len(plane)]
		for i, v := range plane {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
		body = body[len(dst):]
	}
	_, err := m.w.Write(m.buf)
	return err
}

// ear reads the child's words and believes none of their lengths.
type ear struct {
	r        io.Reader
	channels int // 0 until the facts are known
	body     []byte
	planes   *format.Planes
}

// listen returns the next word. The body is valid until the next call.
func (e *ear) listen() (kind byte, body []byte, err error) {
	var head [wordHead]byte
	if _, err := io.ReadFull(e.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int64(binary.LittleEndian.Uint32(head[1:]))
	if limit := e.limit(head[0]); n > limit {
		return 0, nil, fmt.Errorf("child said %q with %d bytes, more than %d", head[0], n, limit)
	}
	if int64(cap(e.body)) < n {
		e.body = make([]byte, n)
	}
	e.body = e.body[:n]
	if _, err := io.ReadFull(e.r, e.body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return head[0], e.body, nil
}

func (e *ear) limit(kind byte) int64 {
	switch kind {
	case wordEnd:
		return maxEnd
	case wordBlock:
		return int64(4 * e.channels * pcm.MaxBlock)
	}
	return maxNote
}

// block makes samples of a block's body.
func (e *ear) block(body []byte) (pcm.Block, error) {
	if e.channels == 0 || len(body) == 0 || len(body)%(4*e.channels) != 0 {
		return pcm.Block{}, fmt.Errorf("child sent a block of %d bytes for %d channels", len(body), e.channels)
	}
	n := len(body) / 4 / e.channels
	if e.planes == nil {
		e.planes = format.NewPlanes(e.channels)
	}
	b := e.planes.First(n)
	for c, plane := range b.Samples {
		src := body[4*c*n:][:4*n]
		for i := range plane {
			plane[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	}
	return b, nil
}
