package format

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	mp3 "github.com/hajimehoshi/go-mp3"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/label"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// mp3Delay is what every Layer III decoder adds in front (MP3-1).
const mp3Delay = 529

// mp3Scan is what one pass over the frames has found, before any is decoded.
type mp3Scan struct {
	walk      mpegWalk
	frames    int64 // of sound
	from      int64 // first of them
	intensity bool
	misfit    bool // go-mp3 would take a frame for shorter than it is
	info      *mp3Info
}

// mp3Info is the Xing or Info frame and its LAME extension.
type mp3Info struct {
	frames, bytes  int64 // 0 unknown
	delay, padding int64
	lame           bool
	at             int64 // of the frame
}

// openMP3 reads MPEG audio. What go-mp3 gets right, it decodes; the rest is for
// the converter.
func openMP3(in *Input, at int64) (Facts, Sound, error) {
	var lab label.Set
	lab.ReadLeading(in, at)
	lab.ReadTrailing(in, in.Size)
	scan, err := scanMP3(in, at)
	if err != nil {
		return Facts{}, nil, err
	}
	h := scan.walk.first
	facts := Facts{
		Source: melodyud.Source{
			Codec: fmt.Sprintf("mp%d", h.layer), SampleRate: h.rate, Channels: h.channels,
		},
		SampleRate: h.rate, Channels: h.channels, Samples: scan.frames * int64(h.samples()),
	}
	if h.layer == 3 {
		facts.Source.Codec = "mp3"
	}
	if scan.walk.junk > 0 {
		facts.Warnings = append(facts.Warnings, "Bytes that are no sound were found between the MP3 frames and left out.")
	}
	if scan.walk.cut {
		facts.Warnings = append(facts.Warnings, "The MP3 ends inside of a frame, which was left out; the end of the sound may be missing.")
	}
	facts.adopt(&lab)
	feed := &mp3Feed{in: in, walk: mpegWalk{w: window{in: in}, at: scan.from, end: scan.walk.end, first: h}}
	snd, err := scan.decoder(in, feed)
	if err != nil {
		return Facts{}, nil, err
	}
	return scan.trim(facts, snd, lab.Text("smpb"))
}

// scanMP3 walks all frames.
func scanMP3(in *Input, at int64) (*mp3Scan, error) {
	s := &mp3Scan{walk: mpegWalk{w: window{in: in}, at: at, end: mpegEnd(in, at)}}
	if ok, err := s.walk.find(maxJunk); err != nil || !ok {
		return nil, or(err, Reject("audio.no-sound-data", "no MPEG frames"))
	}
	if err := s.leading(); err != nil {
		return nil, err
	}
	for {
		_, h, err := s.walk.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		s.frames++
		s.intensity = s.intensity || h.mode == modeJoint && h.modeExt&1 != 0
		s.misfit = s.misfit || h.lsf && h.padding && (144*h.bitrate/h.rate)%2 == 0
	}
	return s, s.check()
}

// leading takes a first frame that is no sound but a Xing, Info or VBRI header.
func (s *mp3Scan) leading() error {
	s.from = s.walk.at
	h := s.walk.first
	if h.layer != 3 || s.walk.at+h.size() > s.walk.end {
		return nil
	}
	b, err := s.walk.w.in.Peek(s.walk.at, int(h.size()))
	if err != nil {
		return err
	}
	tag := mpegHead + h.sideInfo()
	switch {
	case matches(b, tag, "Xing"), matches(b, tag, "Info"):
		s.info = readXing(b[tag:])
		s.info.at = s.walk.at
	case matches(b, mpegHead+32, "VBRI"):
	default:
		return nil
	}
	s.walk.at += h.size()
	s.from = s.walk.at
	return nil
}

// readXing reads what it can of the frame from its magic on.
func readXing(b []byte) *mp3Info {
	info := &mp3Info{}
	if len(b) < 8 {
		return info
	}
	flags := binary.BigEndian.Uint32(b[4:])
	b = b[8:]
	take := func(bit uint32, n int) (field []byte) {
		if flags&bit == 0 || len(b) < n {
			return nil
		}
		field, b = b[:n], b[n:]
		return field
	}
	if f := take(1, 4); f != nil {
		info.frames = int64(binary.BigEndian.Uint32(f))
	}
	if f := take(2, 4); f != nil {
		info.bytes = int64(binary.BigEndian.Uint32(f))
	}
	take(4, 100)
	take(8, 4)
	if len(b) < 24 || !lameLike(string(b[:4])) {
		return info
	}
	info.lame = true
	info.delay = int64(b[21])<<4 | int64(b[22]>>4)
	info.padding = int64(b[22]&15)<<8 | int64(b[23])
	return info
}

// lameLike names the encoders that write LAME's extension.
func lameLike(s string) bool {
	for _, name := range []string{"LAME", "Lavf", "Lavc", "L3.9", "GOGO"} {
		if strings.HasPrefix(s, name) {
			return true
		}
	}
	return false
}

// check tells a cut file from a lying header: a cut one lacks both the frames and
// the bytes that were promised.
func (s *mp3Scan) check() error {
	if s.frames == 0 {
		return Reject("audio.no-sound-data", "no frame of sound")
	}
	if i := s.info; i != nil && i.frames > s.frames+1 && i.at+i.bytes > s.walk.w.in.Size && i.bytes > 0 {
		return Reject("audio.truncated", "%d of %d frames", s.frames, i.frames)
	}
	return nil
}

// decoder picks who decodes. go-mp3 is right for MPEG-1 Layer III without
// intensity stereo, and for MPEG-2 in mono where it knows each frame's length.
func (s *mp3Scan) decoder(in *Input, feed *mp3Feed) (Sound, error) {
	h := s.walk.first
	what := ""
	switch {
	case h.layer != 3:
		what = "MPEG Layer I or II"
	case h.v25, h.lsf && (h.channels > 1 || s.misfit):
		what = "MPEG-2 or 2.5 audio"
	case s.intensity:
		what = "MP3 with intensity stereo"
	}
	if what != "" {
		return startConverter(in, conversion{demuxer: "wav", what: what, channels: h.channels, rate: h.rate, feed: io.MultiReader(h.wave(), feed)})
	}
	dec, err := mp3.NewDecoder(feed)
	if err != nil {
		return nil, err
	}
	return &mp3Sound{dec: dec, channels: h.channels, left: s.frames * int64(h.samples()), out: NewPlanes(h.channels)}, nil
}

// wave is the header of a WAV of MPEG audio without an end. ffmpeg's reader of bare
// frames throws away all that come before two with the same mode.
func (h mpegHeader) wave() io.Reader {
	const tagMPEG = 0x50
	b := []byte("RIFF\xff\xff\xff\xffWAVEfmt \x12\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, tagMPEG)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.bitrate/8))
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = append(b, 0, 0, 0, 0) // bits, and bytes that follow
	return strings.NewReader(string(b) + "data\xff\xff\xff\xff")
}

// trim removes the encoder's and the decoder's delay (MP3-1..3).
func (s *mp3Scan) trim(facts Facts, snd Sound, comment string) (Facts, Sound, error) {
	total := facts.Samples
	t := &trimmed{from: snd, keep: -1}
	switch priming, length, ok := smpb(comment); {
	case s.info != nil && s.info.lame && s.info.delay+s.info.padding <= total:
		t.skip = s.info.delay + mp3Delay
		t.keep = total - s.info.delay - s.info.padding
	case ok && priming+length <= total:
		t.skip, t.keep = priming+mp3Delay, length
	default:
		return facts, snd, nil
	}
	facts.Source.Gapless = true
	t.skip = min(t.skip, total)
	t.keep = min(t.keep, total-t.skip)
	facts.Samples = t.keep
	return facts, t, nil
}

// mp3Feed gives a decoder the frames of sound and nothing else: no tags, no
// junk, and no frame that leans on data in front of the stream's beginning.
type mp3Feed struct {
	in        *Input
	walk      mpegWalk
	reservoir int // bytes of main data before the next frame
	frame     []byte
	rest      []byte
}

func (f *mp3Feed) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *mp3Feed) fill() error {
	at, h, err := f.walk.next()
	if err != nil {
		return err
	}
	b, err := f.walk.w.bytes(at, int(h.size()))
	if err != nil {
		return err
	}
	f.frame = append(f.frame[:0], b...)
	if h.layer == 3 {
		f.mend(h)
	}
	f.rest = f.frame
	return nil
}

// mend silences a Layer III frame whose main data begins before what there is,
// as after a cut: it would decode to noise. Its own main data stays in place for
// the frames after it.
func (f *mp3Feed) mend(h mpegHeader) {
	side := mpegHead
	if h.crc {
		side += 2
	}
	body := side + h.sideInfo()
	if len(f.frame) < body {
		return
	}
	bits := f.frame[side:body]
	begin := int(bits[0])<<1 | int(bits[1]>>7)
	most := 511
	if h.lsf {
		begin, most = int(bits[0]), 255
	}
	if begin > f.reservoir {
		clear(bits)
		bits[0] = byte(f.reservoir)
		if !h.lsf {
			bits[0], bits[1] = byte(f.reservoir>>1), byte(f.reservoir<<7)
		}
	}
	f.reservoir = min(f.reservoir+len(f.frame)-body, most)
}

// mp3Sound reads go-mp3's 16-bit stereo.
type mp3Sound struct {
	dec      *mp3.Decoder
	channels int
	left     int64
	raw      [4 * 1152]byte
	out      *Planes
	err      error
}

func (s *mp3Sound) Read() (pcm.Block, error) {
	if s.err == nil && s.left == 0 {
		s.err = io.EOF
	}
	if s.err != nil {
		return pcm.Block{}, s.err
	}
	n := int(min(s.left, int64(len(s.raw)/4)))
	if _, err := io.ReadFull(s.dec, s.raw[:4*n]); err != nil {
		s.err = unexpected(err)
		return pcm.Block{}, s.err
	}
	s.left -= int64(n)
	b := s.out.First(n)
	for c, plane := range b.Samples {
		for i := range plane {
			plane[i] = readS16(s.raw[4*i+2*c:])
		}
	}
	return b, nil
}
