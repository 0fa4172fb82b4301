package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/big"

	"github.com/Eyevinn/mp4ff/mp4"
	aacpcm "github.com/tphakala/go-aac/pcm"

	"github.com/melodyud/melodyud/transcode/decode/faststart"
	"github.com/melodyud/melodyud/transcode/decode/label"
	"github.com/melodyud/melodyud/transcode/pcm"
)

const (
	maxMoov  = 64 << 20
	maxBoxes = 10_000
	aacFrame = 1024
)

// openMP4 reads MP4 and M4A: one track of AAC-LC here, everything else by the
// converter.
func openMP4(in *Input, at int64) (Facts, Sound, error) {
	moov, fragmented, err := findMoov(in, at)
	if err != nil {
		return Facts{}, nil, err
	}
	trak := audioTrack(moov)
	if trak == nil {
		return Facts{}, nil, Reject("audio.no-sound-data", "no audio track")
	}
	var lab label.Set
	lab.ReadItems(moov)
	facts := Facts{Samples: -1}
	facts.adopt(&lab)
	if fragmented {
		return openConverted(in, form{demuxer: "mov", what: "this kind of MP4"}, facts, in.from(0, in.Size))
	}
	m := &m4a{in: in, trak: trak, scale: movieScale(moov)}
	codec, what, ours := m.codec()
	facts.Source.Codec, facts.Source.Lossless = codec, codec == "alac"
	if !ours {
		facts.BitDepth, facts.Source.BitDepth = m.alacDepth(), m.alacDepth()
		return m.convert(what, facts)
	}
	return m.open(facts, lab.Text("smpb"))
}

// convert has the track decoded by the converter, which cannot seek.
func (m *m4a) convert(what string, facts Facts) (Facts, Sound, error) {
	feed, err := faststart.Reader(m.in.At, m.in.Size)
	if errors.Is(err, faststart.ErrForm) {
		feed, err = m.in.from(0, m.in.Size), nil // the converter may judge
	}
	if err != nil {
		return Facts{}, nil, err
	}
	return openConverted(m.in, form{demuxer: "mov", what: what}, facts, feed)
}

// findMoov walks the top-level boxes with bounds of its own and has the parser
// see nothing but the moov box.
func findMoov(in *Input, at int64) (moov *mp4.MoovBox, fragmented bool, err error) {
	for range maxBoxes {
		kind, head, size, err := boxHead(in, at)
		if err != nil {
			return nil, false, err
		}
		if kind == "" {
			break
		}
		if size > in.Size-at {
			return nil, false, Reject("audio.truncated", "box %s of %d bytes", kind, size)
		}
		switch kind {
		case "moov":
			if size > maxMoov {
				return nil, false, Reject("audio.too-complex", "moov of %d bytes", size)
			}
			if moov, err = parseMoov(in, at, head, size); err != nil {
				return nil, false, err
			}
			fragmented = fragmented || moov.Mvex != nil
		case "moof":
			fragmented = true
		}
		at += size
	}
	if moov == nil {
		return nil, false, Reject("audio.truncated", "no moov box")
	}
	return moov, fragmented, nil
}

// boxHead reads a box's type, the length of its header and its whole size
// (ISO 14496-12, 4.2). An empty kind is the end of the file.
func boxHead(in *Input, at int64) (kind string, head, size int64, err error) {
	b, err := in.Peek(at, 16)
	if err != nil || len(b) < 8 {
		return "", 0, 0, err
	}
	head, size = 8, int64(binary.BigEndian.Uint32(b))
	switch {
	case size == 0:
		size = in.Size - at
	case size == 1 && len(b) == 16:
		head, size = 16, int64(min(binary.BigEndian.Uint64(b[8:]), 1<<62))
	}
	if size < head {
		return "", 0, 0, Reject("audio.damaged", "box of %d bytes", size)
	}
	return string(b[4:8]), head, size, nil
}

func parseMoov(in *Input, at, head, size int64) (*mp4.MoovBox, error) {
	body, err := in.Peek(at+head, int(size-head))
	if err != nil {
		return nil, err
	}
	plain := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	plain = append(append(plain, "moov"...), body...)
	box, err := mp4.DecodeBox(0, bytes.NewReader(plain))
	if err != nil {
		return nil, err
	}
	moov, ok := box.(*mp4.MoovBox)
	if !ok {
		return nil, errors.New("moov box is none")
	}
	return moov, nil
}

func movieScale(moov *mp4.MoovBox) int64 {
	if moov.Mvhd == nil {
		return 0
	}
	return int64(moov.Mvhd.Timescale)
}

// audioTrack is the first track of sound whose boxes are all there.
func audioTrack(moov *mp4.MoovBox) *mp4.TrakBox {
	for _, t := range moov.Traks {
		if t.Mdia == nil || t.Mdia.Hdlr == nil || t.Mdia.Hdlr.HandlerType != "soun" || t.Mdia.Mdhd == nil ||
			t.Mdia.Minf == nil || t.Mdia.Minf.Stbl == nil || t.Mdia.Minf.Stbl.Stsd == nil {
			continue
		}
		return t
	}
	return nil
}

// m4a is one track of AAC.
type m4a struct {
	in    *Input
	trak  *mp4.TrakBox
	scale int64 // movie time units per second
	asc   []byte
	aac   aacConfig
}

// codec tells what the track is coded in and whether we decode it ourselves.
func (m *m4a) codec() (codec, what string, ours bool) {
	stsd := m.trak.Mdia.Minf.Stbl.Stsd
	if len(stsd.Children) != 1 {
		return "", "this kind of MP4", false
	}
	switch stsd.Children[0].Type() {
	case "alac":
		return "alac", "Apple Lossless", false
	case "Opus":
		return "opus", "Opus", false
	case "mp4a":
	default:
		return "", "this kind of MP4", false
	}
	entry := stsd.Mp4a
	if entry == nil || entry.Esds == nil || entry.Esds.DecConfigDescriptor == nil ||
		entry.Esds.DecConfigDescriptor.DecSpecificInfo == nil {
		return "aac", "this kind of AAC", false
	}
	const mpeg4Audio = 0x40
	d := entry.Esds.DecConfigDescriptor
	m.asc = d.DecSpecificInfo.DecConfig
	m.aac = parseASC(m.asc)
	switch {
	case d.ObjectType != mpeg4Audio:
		return "", "this kind of MP4", false
	case m.aac.sbr:
		return "aac", "HE-AAC", false
	}
	return "aac", "this kind of AAC", m.aac.plain()
}

// alacDepth is what the magic cookie of Apple Lossless says; 0 for others.
func (m *m4a) alacDepth() int {
	stsd := m.trak.Mdia.Minf.Stbl.Stsd
	if len(stsd.Children) != 1 || stsd.Children[0].Type() != "alac" {
		return 0
	}
	if e, ok := stsd.Children[0].(*mp4.AudioSampleEntryBox); ok && (e.SampleSize == 16 || e.SampleSize == 24) {
		return int(e.SampleSize)
	}
	return 0
}

// aacConfig is an AudioSpecificConfig (ISO 14496-3, 1.6.2.1).
type aacConfig struct {
	object, rate, channels int
	sbr, short             bool // spectral band replication; 960-sample frames
}

const (
	aacLC  = 2
	aacSBR = 5
	aacPS  = 29
)

var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

func parseASC(b []byte) (c aacConfig) {
	if len(b) < 2 || len(b) > 64 {
		return c
	}
	v := binary.BigEndian.Uint16(b)
	c.object, c.channels = int(v>>11), int(v>>3&15)
	if i := int(v >> 7 & 15); i < len(aacRates) {
		c.rate = aacRates[i]
	}
	c.short = v>>2&1 == 1
	c.sbr = c.object == aacSBR || c.object == aacPS
	if len(b) >= 5 { // the backward compatible way to say so
		tail := new(big.Int).SetBytes(b[2:])
		sync := new(big.Int).Rsh(tail, uint(8*len(b[2:])-17)).Int64()
		c.sbr = c.sbr || sync>>6 == 0x2B7 && sync>>1&31 == aacSBR && sync&1 == 1
	}
	return c
}

// plain reports what the decoder knows: AAC-LC, 44.1 or 48 kHz, mono or stereo.
func (c aacConfig) plain() bool {
	return c.object == aacLC && !c.sbr && !c.short && (c.rate == 44100 || c.rate == 48000) && (c.channels == 1 || c.channels == 2)
}

func (m *m4a) open(facts Facts, comment string) (Facts, Sound, error) {
	units, err := m.accessUnits()
	if err != nil {
		return Facts{}, nil, err
	}
	if len(units) == 0 {
		return Facts{}, nil, Reject("audio.no-sound-data", "no access units")
	}
	dec, err := aacpcm.NewDecoder(&unitReader{in: m.in, units: units}, aacpcm.WithRawStream(m.asc))
	if err != nil {
		return Facts{}, nil, err
	}
	facts.SampleRate, facts.Channels = m.aac.rate, m.aac.channels
	facts.Source.SampleRate, facts.Source.Channels = m.aac.rate, m.aac.channels
	facts.Samples = int64(len(units)) * aacFrame
	snd := &aacSound{dec: dec, out: NewPlanes(m.aac.channels), left: facts.Samples}
	skip, keep, known := m.presented(comment, facts.Samples)
	facts.Source.Gapless, facts.Samples = known, keep
	return facts, &trimmed{from: snd, skip: skip, keep: keep}, nil
}

// presented says which samples of the track are music: iTunes' comment where
// there is one (MP3-3), else the edit list, else all the sample table has, which
// is not known to be exact.
func (m *m4a) presented(comment string, total int64) (skip, keep int64, known bool) {
	if priming, length, ok := smpb(comment); ok && priming+length <= total {
		return priming, length, true
	}
	media := min(total, m.duration())
	edit := firstEdit(m.trak)
	if edit == nil || m.aac.rate == 0 {
		return 0, media, false
	}
	skip = m.toSamples(edit.MediaTime)
	if skip < 0 || skip >= media {
		return 0, total, false
	}
	keep = media - skip
	if m.scale <= 0 || edit.SegmentDuration == 0 || edit.SegmentDuration > 1<<40 {
		return skip, keep, true
	}
	tick := int64(m.aac.rate)/m.scale + 1 // an edit in coarser time than samples is rounded
	if length := int64(edit.SegmentDuration) * int64(m.aac.rate) / m.scale; length+tick < keep {
		keep = length
	}
	return skip, keep, true
}

// duration is what the sample table says of the media, in samples.
func (m *m4a) duration() int64 {
	stts := m.trak.Mdia.Minf.Stbl.Stts
	if stts == nil {
		return 1 << 40
	}
	sum := int64(0)
	for i, n := range stts.SampleCount {
		sum = min(sum+int64(n)*int64(stts.SampleTimeDelta[i]), 1<<40)
	}
	return max(1, m.toSamples(sum))
}

func (m *m4a) toSamples(t int64) int64 {
	scale := int64(m.trak.Mdia.Mdhd.Timescale)
	if scale <= 0 || t < 0 || t > 1<<40 {
		return -1
	}
	return t * int64(m.aac.rate) / scale
}

// firstEdit is the first edit that presents media.
func firstEdit(t *mp4.TrakBox) *mp4.ElstEntry {
	if t.Edts == nil {
		return nil
	}
	for _, elst := range t.Edts.Elst {
		for i := range elst.Entries {
			if elst.Entries[i].MediaTime >= 0 {
				return &elst.Entries[i]
			}
		}
	}
	return nil
}

// unit is one access unit in the file.
type unit struct {
	at   int64
	size int32
}

const maxUnit = 1<<16 - 1 // AAC's own limit is 768 bytes a channel

// accessUnits lays sizes over chunks. Every unit has to lie inside the file.
func (m *m4a) accessUnits() ([]unit, error) {
	stbl := m.trak.Mdia.Minf.Stbl
	if stbl.Stsz == nil || stbl.Stsc == nil || stbl.Stco == nil && stbl.Co64 == nil {
		return nil, Reject("audio.damaged", "sample tables are missing")
	}
	n := int64(stbl.Stsz.GetNrSamples())
	if n > m.in.Size {
		return nil, Reject("audio.damaged", "%d samples in %d bytes", n, m.in.Size)
	}
	units := make([]unit, 0, n)
	for i, at := range chunkOffsets(stbl) {
		for range stbl.Stsc.GetChunk(uint32(i + 1)).NrSamples {
			if int64(len(units)) == n {
				return units, nil
			}
			size := int64(stbl.Stsz.GetSampleSize(len(units) + 1))
			if size > maxUnit {
				return nil, Reject("audio.damaged", "access unit of %d bytes", size)
			}
			if at < 0 || at+size > m.in.Size {
				return nil, Reject("audio.truncated", "access unit at %d of %d bytes", at, m.in.Size)
			}
			units = append(units, unit{at: at, size: int32(size)})
			at += size
		}
	}
	if int64(len(units)) < n {
		return nil, Reject("audio.damaged", "%d of %d samples have a place", len(units), n)
	}
	return units, nil
}

func chunkOffsets(stbl *mp4.StblBox) []int64 {
	var out []int64
	if stbl.Stco != nil {
		for _, v := range stbl.Stco.ChunkOffset {
			out = append(out, int64(v))
		}
		return out
	}
	for _, v := range stbl.Co64.ChunkOffset {
		out = append(out, int64(min(v, 1<<62)))
	}
	return out
}

// unitReader gives the decoder the access units with their lengths in front.
type unitReader struct {
	in    *Input
	units []unit
	w     window
	rest  []byte
	buf   []byte
}

func (u *unitReader) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if len(u.units) == 0 {
			return 0, io.EOF
		}
		next := u.units[0]
		u.units, u.w.in = u.units[1:], u.in
		b, err := u.w.bytes(next.at, int(next.size))
		if err != nil {
			return 0, err
		}
		u.buf = binary.BigEndian.AppendUint16(u.buf[:0], uint16(next.size))
		u.buf = append(u.buf, b...)
		u.rest = u.buf
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// aacSound reads the decoder's 16-bit samples.
type aacSound struct {
	dec  *aacpcm.Decoder
	out  *Planes
	left int64
	raw  [2 * 2 * aacFrame]byte
	err  error
}

func (s *aacSound) Read() (pcm.Block, error) {
	if s.err == nil && s.left == 0 {
		s.err = io.EOF
	}
	if s.err != nil {
		return pcm.Block{}, s.err
	}
	channels := len(s.out.all)
	if _, err := io.ReadFull(s.dec, s.raw[:2*channels*aacFrame]); err != nil {
		s.err = unexpected(err)
		return pcm.Block{}, s.err
	}
	s.left -= aacFrame
	b := s.out.First(aacFrame)
	for c, plane := range b.Samples {
		for i := range plane {
			plane[i] = readS16(s.raw[2*(channels*i+c):])
		}
	}
	return b, nil
}
