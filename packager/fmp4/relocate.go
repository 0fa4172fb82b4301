package fmp4

import (
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	melodyud "github.com/melodyud/melodyud"
)

// Place says where a segment lies when tracks follow each other as one stream.
type Place struct {
	Shift  int64 // samples its decode time moves by
	Number int   // sequence number, from 1
	// Skip leaves out packets of so many samples at the start: the priming, whose
	// time the track before has filled.
	Skip int64
	// Whole gives the last packet back the duration that GAP-3 took: for players
	// that cut the sound at the track's end themselves.
	Whole bool
}

// Relocate rewrites the beginning of a segment of ours for p. head is the segment
// up to its first packet or further; the answer replaces the bytes of the segment
// before offset rest, what follows stays. It fails on anything that Cutter would
// not write.
func Relocate(head []byte, p Place) (moved []byte, rest int64, err error) {
	f, frame, packets, err := readHead(head)
	if err != nil {
		return nil, 0, fmt.Errorf("relocate segment: %w", err)
	}
	rest = int64(packets)
	for skipped := int64(0); skipped < p.Skip; skipped += int64(frame) {
		if len(f.samples) < 2 {
			return nil, 0, fmt.Errorf("relocate segment: it holds nothing but %d samples of priming", p.Skip)
		}
		rest += int64(f.samples[0].Size)
		f.start += int64(f.samples[0].Dur)
		f.samples = f.samples[1:]
	}
	if p.Whole {
		f.samples[len(f.samples)-1].Dur = frame
	}
	f.start += p.Shift
	moved, err = f.head(p.Number, frame)
	if err != nil {
		return nil, 0, fmt.Errorf("relocate segment: %w", err)
	}
	return moved, rest, nil
}

// readHead reads a segment up to its first packet, which is at offset packets.
func readHead(b []byte) (f *fragment, frame uint32, packets int, err error) {
	styp, rest, err := nextBox(b)
	if err != nil {
		return nil, 0, 0, err
	}
	moof, rest, err := nextBox(rest)
	switch {
	case err != nil:
		return nil, 0, 0, err
	case styp.kind != "styp" || moof.kind != "moof" || len(rest) < boxHeader || string(rest[4:8]) != "mdat":
		return nil, 0, 0, errors.New("it does not begin with styp, moof and mdat")
	}
	kids, err := children(moof.body, "mfhd", "traf")
	if err != nil {
		return nil, 0, 0, fmt.Errorf("moof: %w", err)
	}
	traf, err := children(kids["traf"].body, "tfhd", "tfdt", "trun")
	if err != nil {
		return nil, 0, 0, fmt.Errorf("traf: %w", err)
	}
	var s Segment
	if err := s.readTfhd(traf["tfhd"].body); err != nil {
		return nil, 0, 0, fmt.Errorf("tfhd: %w", err)
	}
	tfdt := fields{b: traf["tfdt"].body}
	tfdt.skip(4)
	f = &fragment{start: tfdt.u64()}
	if err := tfdt.done(); err != nil {
		return nil, 0, 0, fmt.Errorf("tfdt: %w", err)
	}
	if f.samples, err = readRun(traf["trun"].body, uint32(s.Frame)); err != nil {
		return nil, 0, 0, fmt.Errorf("trun: %w", err)
	}
	return f, uint32(s.Frame), styp.size + moof.size + boxHeader, nil
}

func readRun(b []byte, frame uint32) ([]mp4.Sample, error) {
	f := fields{b: b}
	_, flags := f.full()
	count := f.u32()
	f.skip(4)
	if f.err == nil && (count == 0 || count > int64(len(f.b)/4)) {
		return nil, fmt.Errorf("%d packets cannot be", count)
	}
	var out []mp4.Sample
	for i := int64(0); i < count && f.err == nil; i++ {
		duration := frame
		if flags&0x100 != 0 {
			duration = uint32(f.u32())
		}
		out = append(out, mp4.NewSample(0, duration, uint32(f.u32()), 0))
	}
	return out, f.done()
}

// SequenceInit returns the init segment for tracks of one format that follow each
// other as one stream, made from that of the first of them: what only the first
// track's STREAMINFO knows, its length, its MD5 and the sizes of its frames,
// becomes unknown (RFC 9639 §8.2). So does its loudness, which is not the album's.
func SequenceInit(init []byte) ([]byte, error) {
	h, err := ReadInit(init)
	if err != nil {
		return nil, err
	}
	h.Loudness = melodyud.Loudness{}
	if h.Codec == melodyud.CodecFLAC {
		info := append([]byte(nil), h.Config...)
		clear(info[4:10])
		info[13] &= 0xF0
		clear(info[14:34])
		h.Config = info
	}
	return h.Track.Init()
}
