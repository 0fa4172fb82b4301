package fmp4

import (
	"errors"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
)

// Segment is what a media segment says, as ReadSegment found it.
type Segment struct {
	Number     int   // sequence number, from 1
	DecodeTime int64 // of the first sample
	Duration   int64 // decoded samples in all packets, after shortening
	Packets    int
	Frame      int64  // usual samples of a packet
	Data       []byte // the packets, one after the other: part of what was read
}

// End is the decode time after the last sample.
func (s Segment) End() int64 { return s.DecodeTime + s.Duration }

// ReadSegment reads a media segment and holds it to table 2.2. b must be exactly
// the segment.
func ReadSegment(b []byte, codec melodyud.Codec) (Segment, error) {
	top, err := children(b, "styp", "moof", "mdat")
	if err != nil {
		return Segment{}, fmt.Errorf("segment: %w", err)
	}
	if brands := string(top["styp"].body); brands != "cmfs\x00\x00\x00\x00cmfsiso6msdh" {
		return Segment{}, fmt.Errorf("styp has the brands %q", brands)
	}
	s, err := readMoof(top["moof"], top["mdat"].body, codec)
	if err != nil {
		return Segment{}, fmt.Errorf("moof: %w", err)
	}
	s.Data = top["mdat"].body
	return s, nil
}

func readMoof(moof box, data []byte, codec melodyud.Codec) (Segment, error) {
	kids, err := children(moof.body, "mfhd", "traf")
	if err != nil {
		return Segment{}, err
	}
	traf, err := children(kids["traf"].body, "tfhd", "tfdt", "trun")
	if err != nil {
		return Segment{}, fmt.Errorf("traf: %w", err)
	}
	var s Segment
	mfhd := fields{b: kids["mfhd"].body}
	mfhd.plain()
	s.Number = int(mfhd.u32())
	if err := mfhd.done(); err != nil {
		return s, fmt.Errorf("mfhd: %w", err)
	}
	if err := s.readTfhd(traf["tfhd"].body); err != nil {
		return s, fmt.Errorf("tfhd: %w", err)
	}
	tfdt := fields{b: traf["tfdt"].body}
	version, flags := tfdt.full()
	tfdt.expect("version", version, 1)
	tfdt.expect("flags", flags, 0)
	s.DecodeTime = tfdt.u64()
	if err := tfdt.done(); err != nil {
		return s, fmt.Errorf("tfdt: %w", err)
	}
	if err := s.readTrun(traf["trun"].body, moof.size+boxHeader, data, codec); err != nil {
		return s, fmt.Errorf("trun: %w", err)
	}
	return s, nil
}

func (s *Segment) readTfhd(b []byte) error {
	f := fields{b: b}
	version, flags := f.full()
	f.expect("version", version, 0)
	f.expect("flags", flags, 0x020028)
	f.expect("track id", f.u32(), trackID)
	s.Frame = f.u32()
	f.expect("default sample flags", f.u32(), syncSample)
	if f.err == nil && s.Frame == 0 {
		return errors.New("default sample duration is 0")
	}
	return f.done()
}

func (s *Segment) readTrun(b []byte, dataOffset int, data []byte, codec melodyud.Codec) error {
	f := fields{b: b}
	version, flags := f.full()
	f.expect("version", version, 0)
	durations := flags&0x100 != 0
	f.expect("flags", flags&^0x100, 0x201)
	count := f.u32()
	f.expect("data offset", f.u32(), int64(dataOffset))
	if f.err == nil && (count == 0 || count > int64(len(f.b)/4)) {
		return fmt.Errorf("%d packets cannot be", count)
	}
	for i := int64(0); i < count && f.err == nil; i++ {
		duration := s.Frame
		if durations {
			duration = f.u32()
		}
		size := f.u32()
		if f.err != nil {
			break
		}
		if err := checkSample(s.Frame, duration, size, i == count-1, data, codec); err != nil {
			return fmt.Errorf("packet %d: %w", i, err)
		}
		data = data[size:]
		s.Duration += duration
		s.Packets++
	}
	if f.err == nil && len(data) != 0 {
		return fmt.Errorf("%d bytes of mdat belong to no packet", len(data))
	}
	return f.done()
}

func checkSample(frame, duration, size int64, last bool, data []byte, codec melodyud.Codec) error {
	switch {
	case duration <= 0 || duration > frame || duration < frame && !last:
		return fmt.Errorf("duration is %d, the frame size %d", duration, frame)
	case size == 0 || size > int64(len(data)):
		return fmt.Errorf("size is %d, %d bytes are left", size, len(data))
	case codec == melodyud.CodecFLAC && (size < 2 || data[0] != 0xFF || data[1] != 0xF8):
		return errors.New("no FLAC frame of fixed block size")
	}
	return nil
}

// Reference is one entry of the index.
type Reference struct {
	Size     int64 // bytes
	Duration int64 // presented samples
}

// ReadIndex reads the file-level sidx. b must be exactly the box.
func ReadIndex(b []byte) (rate int, refs []Reference, err error) {
	top, err := children(b, "sidx")
	if err != nil {
		return 0, nil, fmt.Errorf("index: %w", err)
	}
	f := fields{b: top["sidx"].body}
	f.plain()
	f.expect("reference id", f.u32(), trackID)
	rate = int(f.u32())
	f.expect("earliest presentation time", f.u32(), 0)
	f.expect("first offset", f.u32(), 0)
	f.zeros(2)
	count := f.u16()
	f.expect("bytes of references", int64(len(f.b)), 12*count)
	for f.err == nil && len(f.b) > 0 {
		refs = append(refs, Reference{f.u32(), f.u32()})
		f.expect("SAP", f.u32(), 0x90000000)
	}
	if f.err != nil {
		return 0, nil, fmt.Errorf("sidx: %w", f.err)
	}
	return rate, refs, nil
}
