package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	melodyud "github.com/melodyud/melodyud"
)

// Header is what an init segment says, as ReadInit found it.
type Header struct {
	Track
	Codecs string // RFC 6381: mp4a.40.2, fLaC
	// FLAC only, from STREAMINFO.
	Samples            int64
	MD5                string
	MinBlock, MaxBlock int
}

// ReadInit reads an init segment and holds it to table 2.1: those boxes, in that
// order, and nothing else. b must be exactly the segment.
func ReadInit(b []byte) (Header, error) {
	top, err := children(b, "ftyp", "moov")
	if err != nil {
		return Header{}, fmt.Errorf("init segment: %w", err)
	}
	if err := checkBrands(top["ftyp"].body); err != nil {
		return Header{}, fmt.Errorf("ftyp: %w", err)
	}
	h, err := readMoov(top["moov"].body)
	if err != nil {
		return Header{}, fmt.Errorf("moov: %w", err)
	}
	return h, nil
}

func checkBrands(b []byte) error {
	f := fields{b: b}
	major, minor := f.text(4), f.u32()
	var compatible []string
	for f.err == nil && len(f.b) > 0 {
		compatible = append(compatible, f.text(4))
	}
	f.expect("minor version", minor, 0)
	if f.err != nil {
		return f.err
	}
	for _, brand := range []string{"iso6", "cmfc", "mp41"} {
		if !slices.Contains(compatible, brand) {
			return fmt.Errorf("brand %q is missing", brand)
		}
	}
	if major != "iso6" {
		return fmt.Errorf("major brand is %q", major)
	}
	return nil
}

func readMoov(b []byte) (Header, error) {
	moov, err := children(b, "mvhd", "trak", "mvex")
	if err != nil {
		return Header{}, err
	}
	trak, err := children(moov["trak"].body, "tkhd", "edts?", "mdia", "udta?")
	if err != nil {
		return Header{}, fmt.Errorf("trak: %w", err)
	}
	mdia, err := children(trak["mdia"].body, "mdhd", "hdlr", "minf")
	if err != nil {
		return Header{}, fmt.Errorf("mdia: %w", err)
	}
	var h Header
	for _, step := range []struct {
		name string
		read func([]byte, *Header) error
		body []byte
	}{
		{"mdhd", readMdhd, mdia["mdhd"].body},
		{"mvhd", readMvhd, moov["mvhd"].body},
		{"tkhd", readTkhd, trak["tkhd"].body},
		{"edts", readEdts, trak["edts"].body},
		{"hdlr", readHdlr, mdia["hdlr"].body},
		{"minf", readMinf, mdia["minf"].body},
		{"udta", readUdta, trak["udta"].body},
		{"mvex", readMvex, moov["mvex"].body},
	} {
		if err := step.read(step.body, &h); err != nil {
			return Header{}, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return h, nil
}

// readTimes reads version, flags and the two times of a header box, all of which
// must be 0 but flags: the same packets give the same bytes.
func readTimes(f *fields, flags int64) {
	version, got := f.full()
	f.expect("version", version, 0)
	f.expect("flags", got, flags)
	f.expect("creation time", f.u32(), 0)
	f.expect("modification time", f.u32(), 0)
}

func readMdhd(b []byte, h *Header) error {
	f := fields{b: b}
	readTimes(&f, 0)
	h.SampleRate = int(f.u32())
	f.expect("duration", f.u32(), 0)
	f.expect("language", f.u16(), 0x55C4)
	f.zeros(2)
	if f.err == nil && h.SampleRate == 0 {
		return errors.New("timescale is 0")
	}
	return f.done()
}

func readMvhd(b []byte, h *Header) error {
	f := fields{b: b}
	readTimes(&f, 0)
	f.expect("timescale", f.u32(), int64(h.SampleRate))
	f.expect("duration", f.u32(), 0)
	f.expect("rate", f.u32(), 0x00010000)
	f.expect("volume", f.u16(), 0x0100)
	f.zeros(10)
	readMatrix(&f)
	f.zeros(24)
	f.expect("next track id", f.u32(), trackID+1)
	return f.done()
}

func readMatrix(f *fields) {
	for i, want := range []int64{0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000} {
		f.expect(fmt.Sprintf("matrix[%d]", i), f.u32(), want)
	}
}

func readTkhd(b []byte, _ *Header) error {
	f := fields{b: b}
	readTimes(&f, 3)
	f.expect("track id", f.u32(), trackID)
	f.zeros(4)
	f.expect("duration", f.u32(), 0)
	f.zeros(12)
	f.expect("volume", f.u16(), 0x0100)
	f.zeros(2)
	readMatrix(&f)
	f.expect("width", f.u32(), 0)
	f.expect("height", f.u32(), 0)
	return f.done()
}

func readEdts(b []byte, h *Header) error {
	if b == nil {
		return nil
	}
	edts, err := children(b, "elst")
	if err != nil {
		return err
	}
	f := fields{b: edts["elst"].body}
	f.plain()
	f.expect("entries", f.u32(), 1)
	f.expect("segment duration", f.u32(), 0)
	h.Priming = f.u32()
	f.expect("rate", f.u32(), 0x00010000)
	if f.err == nil && (h.Priming == 0 || h.Priming > 1<<24) {
		return fmt.Errorf("elst: media time is %d", h.Priming)
	}
	return f.done()
}

func readHdlr(b []byte, _ *Header) error {
	f := fields{b: b}
	f.plain()
	f.zeros(4)
	if kind := f.text(4); f.err == nil && kind != "soun" {
		return fmt.Errorf("handler is %q", kind)
	}
	f.zeros(12)
	if f.err == nil && (len(f.b) == 0 || f.b[len(f.b)-1] != 0) {
		return errors.New("the name does not end in NUL")
	}
	return f.err
}

func readMinf(b []byte, h *Header) error {
	minf, err := children(b, "smhd", "dinf", "stbl")
	if err != nil {
		return err
	}
	smhd := fields{b: minf["smhd"].body}
	smhd.plain()
	smhd.expect("balance", smhd.u16(), 0)
	smhd.zeros(2)
	if err := smhd.done(); err != nil {
		return fmt.Errorf("smhd: %w", err)
	}
	if err := readDinf(minf["dinf"].body); err != nil {
		return fmt.Errorf("dinf: %w", err)
	}
	if err := readStbl(minf["stbl"].body, h); err != nil {
		return fmt.Errorf("stbl: %w", err)
	}
	return nil
}

func readDinf(b []byte) error {
	dinf, err := children(b, "dref")
	if err != nil {
		return err
	}
	want := []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 12, 'u', 'r', 'l', ' ', 0, 0, 0, 1}
	if !bytes.Equal(dinf["dref"].body, want) {
		return errors.New("dref is not one self-contained url")
	}
	return nil
}

func readStbl(b []byte, h *Header) error {
	stbl, err := children(b, "stsd", "stts", "stsc", "stsz", "stco")
	if err != nil {
		return err
	}
	for _, name := range []string{"stts", "stsc", "stsz", "stco"} {
		for _, c := range stbl[name].body {
			if c != 0 {
				return fmt.Errorf("%s is not empty", name)
			}
		}
	}
	f := fields{b: stbl["stsd"].body}
	f.plain()
	f.expect("sample entries", f.u32(), 1)
	if f.err != nil {
		return fmt.Errorf("stsd: %w", f.err)
	}
	entry, rest, err := nextBox(f.b)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes follow the sample entry", len(rest))
	}
	if err != nil {
		return fmt.Errorf("stsd: %w", err)
	}
	return readEntry(entry, h)
}

func readEntry(entry box, h *Header) error {
	f := fields{b: entry.body}
	f.zeros(6)
	f.expect("data reference", f.u16(), 1)
	f.zeros(8)
	h.Channels = int(f.u16())
	depth := int(f.u16())
	f.zeros(4)
	rate := f.u32()
	f.expect("rate of the sample entry", rate, int64(entryRate(h.SampleRate))<<16)
	if f.err != nil {
		return fmt.Errorf("%s: %w", entry.kind, f.err)
	}
	switch entry.kind {
	case "mp4a":
		return readEsds(f.b, depth, h)
	case "fLaC":
		return readDfLa(f.b, depth, h)
	}
	return fmt.Errorf("sample entry %q is neither mp4a nor fLaC", entry.kind)
}

func readEsds(b []byte, depth int, h *Header) error {
	kids, err := children(b, "esds")
	if err != nil {
		return fmt.Errorf("mp4a: %w", err)
	}
	f := fields{b: kids["esds"].body}
	f.plain()
	size := descriptor(&f, 3)
	f.expect("ES size", int64(size), int64(len(f.b)))
	f.expect("ES id", f.u16(), 0)
	f.expect("ES flags", f.u8(), 0)
	const slConfig = 3 // bytes of the descriptor that follows
	size = descriptor(&f, 4)
	f.expect("decoder config size", int64(size+slConfig), int64(len(f.b)))
	f.expect("object type", f.u8(), 0x40)
	f.expect("stream type", f.u8(), 0x15)
	h.BufferSize = int(f.u8()<<16 | f.u16())
	h.MaxBitrate, h.AvgBitrate = int(f.u32()), int(f.u32())
	h.Config = bytes.Clone(f.take(descriptor(&f, 5)))
	f.expect("SL config size", int64(descriptor(&f, 6)), 1)
	f.expect("SL config", f.u8(), 2)
	f.expect("sample size", int64(depth), 16)
	if err := f.done(); err != nil {
		return fmt.Errorf("esds: %w", err)
	}
	h.Codec, h.Codecs = melodyud.CodecAAC, "mp4a.40.2"
	return checkASC(h.Config, h.SampleRate, h.Channels)
}

// descriptor reads tag and size of an MPEG-4 descriptor, whose content must fit
// into what is left.
func descriptor(f *fields, tag int64) int {
	f.expect("descriptor tag", f.u8(), tag)
	size := int64(0)
	for range 4 {
		c := f.u8()
		size = size<<7 | c&0x7F
		if c < 0x80 {
			break
		}
	}
	if f.err == nil && size > int64(len(f.b)) {
		f.err = errShort
	}
	return int(size)
}

func readDfLa(b []byte, depth int, h *Header) error {
	kids, err := children(b, "dfLa")
	if err != nil {
		return fmt.Errorf("fLaC: %w", err)
	}
	f := fields{b: kids["dfLa"].body}
	f.plain()
	f.expect("block header", f.u32(), 0x80<<24|streamInfoSize)
	if f.err == nil && len(f.b) != streamInfoSize {
		f.err = fmt.Errorf("STREAMINFO has %d bytes", len(f.b))
	}
	if f.err != nil {
		return fmt.Errorf("dfLa: %w", f.err)
	}
	s, err := parseStreamInfo(f.b)
	if err != nil {
		return fmt.Errorf("dfLa: %w", err)
	}
	h.Codec, h.Codecs, h.Config, h.BitDepth = melodyud.CodecFLAC, "fLaC", bytes.Clone(f.b), depth
	h.Samples, h.MD5, h.MinBlock, h.MaxBlock = s.samples, s.md5, s.minBlock, s.maxBlock
	return checkStreamInfo(f.b, h.SampleRate, h.Channels, depth)
}

func readMvex(b []byte, _ *Header) error {
	mvex, err := children(b, "trex")
	if err != nil {
		return err
	}
	want := make([]byte, 24)
	binary.BigEndian.PutUint32(want[4:], trackID)
	binary.BigEndian.PutUint32(want[8:], 1)
	if !bytes.Equal(mvex["trex"].body, want) {
		return errors.New("trex has other defaults than 0")
	}
	return nil
}
