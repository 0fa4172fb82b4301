package aac_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// This reader takes access units apart by the letter of ISO/IEC 14496-3 §4.4.2 and
// §4.6 and shares no code with the encoder: its tables are the checked facts the
// encoder's were generated from. Whatever an AAC-LC stream of one or two channels
// must not have is an error.

// factBook is one Huffman codebook of the facts.
type factBook struct {
	Dimension int   `json:"dimension"`
	Largest   int   `json:"largest_absolute_value"`
	Signed    bool  `json:"signed_values"`
	Length    []int `json:"length"`
	Code      []int `json:"code"`

	words map[[2]int]int // length and code to index
}

type facts struct {
	Books  map[string]*factBook          `json:"codebooks"`
	Scale  *factBook                     `json:"scale_factor_codebook"`
	Bands  map[string]map[string][]int16 `json:"swb_offsets"`
	spread [12]*factBook
}

// readFacts reads the facts once.
var readFacts = sync.OnceValue(func() *facts {
	raw, err := os.ReadFile(filepath.Join("gen", "tables.json"))
	if err != nil {
		panic(err)
	}
	var f facts
	if err := json.Unmarshal(raw, &f); err != nil {
		panic(err)
	}
	f.Scale.fill()
	for name, b := range f.Books {
		n, err := strconv.Atoi(name)
		if err != nil {
			panic(err)
		}
		b.fill()
		f.spread[n] = b
	}
	return &f
})

func (b *factBook) fill() {
	b.words = map[[2]int]int{}
	for i, n := range b.Length {
		b.words[[2]int{n, b.Code[i]}] = i
	}
}

// accessUnit is what the reader found.
type accessUnit struct {
	bits     int // up to the end element, without the padding
	common   bool
	midSide  int // bands
	channels []channelStream
}

// channelStream is one individual_channel_stream.
type channelStream struct {
	global   int
	sequence int // 0 long, 1 start, 2 eight short, 3 stop
	shape    int
	maxBand  int
	groups   []int // windows of each
	books    []int // of each band of each group
	scales   []int // of each band of each group; 0 where nothing is coded
	tns      bool
	values   [1024]int
	largest  int
	escapes  int // bits of the longest escape sequence
}

// strict reads access units of one stream.
type strict struct {
	long, short []int16
	channels    int
}

func newStrict(rate, channels int) (*strict, error) {
	bands, ok := readFacts().Bands[strconv.Itoa(rate)]
	if !ok {
		return nil, fmt.Errorf("no bands for %d Hz", rate)
	}
	return &strict{long: bands["long"], short: bands["short"], channels: channels}, nil
}

// bitReader reads bits, most significant first. After the end it gives zeros and
// remembers that it did.
type bitReader struct {
	data []byte
	at   int
	over bool
}

func (r *bitReader) take(n int) int {
	v := 0
	for range n {
		v <<= 1
		if r.at >= 8*len(r.data) {
			r.over = true
			continue
		}
		v |= int(r.data[r.at/8]>>(7-r.at%8)) & 1
		r.at++
	}
	return v
}

func (r *bitReader) word(b *factBook) (int, error) {
	code := 0
	for n := 1; n <= 19; n++ {
		code = code<<1 | r.take(1)
		if i, ok := b.words[[2]int{n, code}]; ok {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no code word at bit %d", r.at)
}

// Codebooks without values of their own (ISO/IEC 14496-3 table 4.151).
const (
	bookNoise        = 13
	bookIntensityOut = 14
)

// Syntactic elements (ISO/IEC 14496-3 table 4.85).
const (
	elementSingle = 0
	elementPair   = 1
	elementFill   = 6
	elementEnd    = 7
)

// read takes one raw_data_block apart.
func (s *strict) read(data []byte) (u *accessUnit, err error) {
	if limit := 768 * s.channels; len(data) > limit {
		return nil, fmt.Errorf("%d bytes, the decoder's buffer holds %d", len(data), limit)
	}
	r := &bitReader{data: data}
	u = &accessUnit{}
	want := elementSingle
	if s.channels == 2 {
		want = elementPair
	}
	if got := r.take(3); got != want {
		return nil, fmt.Errorf("element %d instead of %d", got, want)
	}
	if tag := r.take(4); tag != 0 {
		return nil, fmt.Errorf("element tag %d", tag)
	}
	if err := s.element(r, u); err != nil {
		return u, err
	}
	return u, s.finish(r, u)
}

// finish reads fill elements and the end, and wants nothing but padding after it.
func (s *strict) finish(r *bitReader, u *accessUnit) error {
	for {
		switch element := r.take(3); element {
		case elementFill:
			count := r.take(4)
			if count == 15 {
				count += r.take(8) - 1
			}
			if count > 0 {
				if kind := r.take(4); kind > 1 {
					return fmt.Errorf("fill element of type %d", kind)
				}
				r.take(4 + 8*(count-1))
			}
		case elementEnd:
			u.bits = r.at
			switch rest := 8*len(r.data) - r.at; {
			case r.over:
				return errors.New("the access unit ends too early")
			case rest > 7:
				return fmt.Errorf("%d bits after the end element", rest)
			case r.take(rest) != 0:
				return errors.New("padding is not zero")
			}
			return nil
		default:
			return fmt.Errorf("element %d where the end should be, at bit %d", element, r.at)
		}
		if r.over {
			return errors.New("no end element")
		}
	}
}

func (s *strict) element(r *bitReader, u *accessUnit) error {
	u.channels = make([]channelStream, s.channels)
	if s.channels == 1 {
		return s.stream(r, &u.channels[0], nil, false)
	}
	var shared *channelStream
	if u.common = r.take(1) == 1; u.common {
		shared = &channelStream{}
		if err := s.info(r, shared); err != nil {
			return err
		}
		if err := u.readMidSide(r, shared); err != nil {
			return err
		}
	}
	for c := range u.channels {
		if err := s.stream(r, &u.channels[c], shared, c == 1 && u.common); err != nil {
			return fmt.Errorf("channel %d: %w", c, err)
		}
	}
	return nil
}

func (u *accessUnit) readMidSide(r *bitReader, shared *channelStream) error {
	switch bands := len(shared.groups) * shared.maxBand; r.take(2) {
	case 0:
	case 1:
		for range bands {
			u.midSide += r.take(1)
		}
	case 2:
		u.midSide = bands
	default:
		return errors.New("reserved ms_mask_present")
	}
	return nil
}

// info reads ics_info.
func (s *strict) info(r *bitReader, c *channelStream) error {
	if r.take(1) != 0 {
		return errors.New("ics_reserved_bit is set")
	}
	c.sequence, c.shape = r.take(2), r.take(1)
	c.groups = []int{1}
	if c.sequence != 2 {
		c.maxBand = r.take(6)
		if r.take(1) != 0 {
			return errors.New("prediction, which AAC-LC does not have")
		}
	} else {
		c.maxBand = r.take(4)
		for range 7 {
			if r.take(1) == 1 {
				c.groups[len(c.groups)-1]++
			} else {
				c.groups = append(c.groups, 1)
			}
		}
	}
	if most := len(s.edges(c)) - 1; c.maxBand > most {
		return fmt.Errorf("max_sfb is %d of %d", c.maxBand, most)
	}
	return nil
}

func (s *strict) edges(c *channelStream) []int16 {
	if c.sequence == 2 {
		return s.short
	}
	return s.long
}

// stream reads individual_channel_stream.
func (s *strict) stream(r *bitReader, c, shared *channelStream, right bool) error {
	c.global = r.take(8)
	if shared != nil {
		c.sequence, c.shape, c.maxBand, c.groups = shared.sequence, shared.shape, shared.maxBand, shared.groups
	} else if err := s.info(r, c); err != nil {
		return err
	}
	if err := c.readSections(r, right); err != nil {
		return err
	}
	if err := c.readScales(r); err != nil {
		return err
	}
	if r.take(1) != 0 {
		return errors.New("pulse data, which nobody should write")
	}
	if c.tns = r.take(1) == 1; c.tns {
		if err := s.readTNS(r, c); err != nil {
			return err
		}
	}
	if r.take(1) != 0 {
		return errors.New("gain control, which AAC-LC does not have")
	}
	return s.readValues(r, c)
}

func (c *channelStream) readSections(r *bitReader, right bool) error {
	bits := 5
	if c.sequence == 2 {
		bits = 3
	}
	for range c.groups {
		for band := 0; band < c.maxBand; {
			book := r.take(4)
			if book == 12 || book >= bookIntensityOut && !right {
				return fmt.Errorf("codebook %d: 12 is reserved, 14 and 15 belong to the right channel of a pair", book)
			}
			length, part := 0, 1<<bits-1
			for part == 1<<bits-1 {
				part = r.take(bits)
				length += part
				if r.over {
					return errors.New("section data ends too early")
				}
			}
			if length == 0 || band+length > c.maxBand {
				return fmt.Errorf("section of %d bands from %d of %d", length, band, c.maxBand)
			}
			for range length {
				c.books = append(c.books, book)
			}
			band += length
		}
	}
	return nil
}

// readScales reads scale_factor_data: scale factors, noise energies and intensity
// positions each follow their own kind.
func (c *channelStream) readScales(r *bitReader) error {
	scale, noise, place, noisy := c.global, c.global-90, 0, false
	for _, book := range c.books {
		value, least, most := &scale, 0, 255
		switch {
		case book == 0:
			c.scales = append(c.scales, 0)
			continue
		case book == bookNoise:
			value, least, most = &noise, -155, 100
		case book > bookNoise:
			value, least, most = &place, -155, 100
		}
		if book == bookNoise && !noisy {
			noisy = true
			noise += r.take(9) - 256
		} else {
			i, err := r.word(readFacts().Scale)
			if err != nil {
				return fmt.Errorf("scale factors: %w", err)
			}
			*value += i - 60
		}
		if *value < least || *value > most {
			return fmt.Errorf("scale factor %d of a band of codebook %d", *value, book)
		}
		c.scales = append(c.scales, *value)
	}
	return nil
}

// readTNS reads tns_data within the limits of AAC-LC (§4.6.9.4, table 4.156).
func (s *strict) readTNS(r *bitReader, c *channelStream) error {
	windows, filterBits, lengthBits, orderBits, most := 1, 2, 6, 5, 12
	if c.sequence == 2 {
		windows, filterBits, lengthBits, orderBits, most = 8, 1, 4, 3, 7
	}
	for range windows {
		filters := r.take(filterBits)
		resolution := 0
		if filters > 0 {
			resolution = 3 + r.take(1)
		}
		left := len(s.edges(c)) - 1
		for range filters {
			left -= r.take(lengthBits)
			order := r.take(orderBits)
			if left < 0 || order > most {
				return fmt.Errorf("TNS filter of order %d that leaves %d bands", order, left)
			}
			if order > 0 {
				r.take(1)
				r.take(order * (resolution - r.take(1)))
			}
		}
	}
	return nil
}

// readValues reads spectral_data.
func (s *strict) readValues(r *bitReader, c *channelStream) error {
	edges, start := s.edges(c), 0
	for g, windows := range c.groups {
		at := start
		for band := range c.maxBand {
			n := windows * int(edges[band+1]-edges[band])
			if err := c.readBand(r, c.books[g*c.maxBand+band], c.values[at:at+n]); err != nil {
				return fmt.Errorf("group %d, band %d: %w", g, band, err)
			}
			at += n
		}
		start += windows * int(edges[len(edges)-1])
	}
	if r.over {
		return errors.New("spectral data ends too early")
	}
	return nil
}

func (c *channelStream) readBand(r *bitReader, number int, values []int) error {
	if number == 0 || number >= bookNoise {
		return nil
	}
	book := readFacts().spread[number]
	for at := 0; at < len(values); at += book.Dimension {
		i, err := r.word(book)
		if err != nil {
			return err
		}
		if err := c.readTuple(r, book, i, values[at:at+book.Dimension]); err != nil {
			return err
		}
	}
	return nil
}

func (c *channelStream) readTuple(r *bitReader, book *factBook, index int, tuple []int) error {
	base, shift := book.Largest+1, 0
	if book.Signed {
		base, shift = 2*book.Largest+1, book.Largest
	}
	for k := len(tuple) - 1; k >= 0; k-- {
		tuple[k] = index%base - shift
		index /= base
	}
	var negative [4]bool
	for k, v := range tuple {
		negative[k] = !book.Signed && v != 0 && r.take(1) == 1
	}
	for k, v := range tuple {
		if book.Largest == 16 && v == 16 {
			var err error
			if v, err = c.readEscape(r); err != nil {
				return err
			}
		}
		c.largest = max(c.largest, v, -v)
		if negative[k] {
			v = -v
		}
		tuple[k] = v
	}
	return nil
}

func (c *channelStream) readEscape(r *bitReader) (int, error) {
	n := 4
	for r.take(1) == 1 {
		if n++; n > 12 {
			return 0, errors.New("escape sequence longer than 8191 needs")
		}
	}
	c.escapes = max(c.escapes, 2*(n-4)+5)
	return 1<<n + r.take(n), nil
}

// follows reports whether a window sequence may come after another (table 4.127).
func follows(before, after int) bool {
	risesShort := after == 2 || after == 3
	fallsShort := before == 1 || before == 2
	return risesShort == fallsShort
}
