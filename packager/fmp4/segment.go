package fmp4

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/Eyevinn/mp4ff/mp4"
)

// fragment gathers the packets of one segment.
type fragment struct {
	start   int64 // decode time of the first sample
	end     int64 // decode time after the last
	samples []mp4.Sample
	data    []byte
}

func (f *fragment) add(data []byte, samples int) {
	f.samples = append(f.samples, mp4.NewSample(0, uint32(samples), uint32(len(data)), 0))
	f.data = append(f.data, data...)
	f.end += int64(samples)
}

// dropLast takes the last packet back.
func (f *fragment) dropLast() {
	last := f.samples[len(f.samples)-1]
	f.samples = f.samples[:len(f.samples)-1]
	f.data = f.data[:len(f.data)-int(last.Size)]
	f.end -= int64(last.Dur)
}

// trim shortens the last packet's duration so that f ends at end (GAP-3).
func (f *fragment) trim(end int64) {
	f.samples[len(f.samples)-1].Dur -= uint32(f.end - end)
	f.end = end
}

// merge appends the packets of next.
func (f *fragment) merge(next *fragment) {
	f.samples = append(f.samples, next.samples...)
	f.data = append(f.data, next.data...)
	f.end = next.end
}

// split takes the packets from decode time at off f, nil unless a packet begins
// there and both parts have some.
func (f *fragment) split(at int64) *fragment {
	tail := &fragment{start: f.start, end: f.end}
	bytes := 0
	for i, s := range f.samples {
		if tail.start == at && i > 0 {
			tail.samples, tail.data = f.samples[i:], f.data[bytes:]
			f.samples, f.data, f.end = f.samples[:i], f.data[:bytes], at
			return tail
		}
		tail.start += int64(s.Dur)
		bytes += int(s.Size)
	}
	return nil
}

func (f *fragment) reset(start int64) {
	f.start, f.end = start, start
	f.samples, f.data = f.samples[:0], f.data[:0]
}

// writeTo writes f as segment number n (from 1) and returns its bytes. frame is
// the usual duration of a packet.
func (f *fragment) writeTo(w io.Writer, n, frame int) (int64, error) {
	head, err := f.head(n, uint32(frame))
	if err != nil {
		return 0, err
	}
	for _, b := range [][]byte{head, f.data} {
		if _, err := w.Write(b); err != nil {
			return 0, fmt.Errorf("write segment: %w", err)
		}
	}
	return int64(len(head) + len(f.data)), nil
}

// head is all of a segment but its packets.
func (f *fragment) head(n int, frame uint32) ([]byte, error) {
	moof, err := f.moof(uint32(n), frame)
	if err != nil {
		return nil, err
	}
	out, err := encode(mp4.NewStyp("cmfs", 0, []string{"cmfs", "iso6", "msdh"}), moof)
	if err != nil {
		return nil, err
	}
	size := uint32(boxHeader)
	for _, s := range f.samples {
		size += s.Size
	}
	out = binary.BigEndian.AppendUint32(out, size)
	return append(out, "mdat"...), nil
}

func (f *fragment) moof(n, frame uint32) (*mp4.MoofBox, error) {
	tfdt := mp4.CreateTfdt(uint64(f.start))
	tfdt.Version = 1
	trun := &mp4.TrunBox{Flags: mp4.TrunDataOffsetPresentFlag | mp4.TrunSampleSizePresentFlag, Samples: f.samples}
	for _, s := range f.samples {
		if s.Dur != frame {
			trun.Flags |= mp4.TrunSampleDurationPresentFlag
			break
		}
	}
	traf := &mp4.TrafBox{}
	for _, b := range []mp4.Box{&mp4.TfhdBox{
		Flags:                 mp4.TfhdDefaultBaseIsMoofFlag | mp4.TfhdDefaultSampleDurationPresentFlag | mp4.TfhdDefaultSampleFlagsPresentFlag,
		TrackID:               trackID,
		DefaultSampleDuration: frame,
		DefaultSampleFlags:    syncSample,
	}, tfdt, trun} {
		if err := traf.AddChild(b); err != nil {
			return nil, fmt.Errorf("build traf: %w", err)
		}
	}
	moof := &mp4.MoofBox{}
	for _, b := range []mp4.Box{mp4.CreateMfhd(n), traf} {
		if err := moof.AddChild(b); err != nil {
			return nil, fmt.Errorf("build moof: %w", err)
		}
	}
	trun.DataOffset = int32(moof.Size() + boxHeader)
	return moof, nil
}

// MaxSegments is the most segments a track file can index: what the 16 bits of
// sidx hold, some 72 hours.
const MaxSegments = 1<<16 - 1

// Index returns the file-level sidx for segments of the given bytes and presented
// samples. Its times are presentation times, from 0 (ISO/IEC 14496-12 §8.16.3).
func Index(rate int, sizes, durations []int64) ([]byte, error) {
	if len(sizes) != len(durations) || len(sizes) == 0 || len(sizes) > MaxSegments {
		return nil, fmt.Errorf("cannot index %d segments of %d durations", len(sizes), len(durations))
	}
	sidx := &mp4.SidxBox{ReferenceID: trackID, Timescale: uint32(rate)}
	for i, size := range sizes {
		if size <= 0 || size >= 1<<31 || durations[i] <= 0 || durations[i] >= 1<<32 {
			return nil, fmt.Errorf("cannot index segment %d of %d bytes and %d samples", i, size, durations[i])
		}
		sidx.SidxRefs = append(sidx.SidxRefs, mp4.SidxRef{
			ReferencedSize: uint32(size), SubSegmentDuration: uint32(durations[i]), StartsWithSAP: 1, SAPType: 1,
		})
	}
	return encode(sidx)
}
