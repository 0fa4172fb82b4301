package fmp4

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	melodyud "github.com/melodyud/melodyud"
)

const trackID = 1

// syncSample is default_sample_flags of audio: depends on no other sample, is a
// sync sample (CMAF-1).
const syncSample = 0x02000000

// Track is what the init segment says of a stream.
type Track struct {
	Codec      melodyud.Codec
	SampleRate int    // Hz; also the timescale
	Channels   int    // 1..8
	BitDepth   int    // FLAC only
	Priming    int64  // samples the edit list trims from the start (GAP-2)
	Config     []byte // AAC: AudioSpecificConfig; FLAC: the 34 bytes of STREAMINFO

	// Loudness of the source (NORM-6), stated as Stated has it.
	Loudness melodyud.Loudness

	// Rates of the coded stream for esds (ISO/IEC 14496-1 §7.2.6.6), AAC only.
	BufferSize int // bytes of the largest access unit
	MaxBitrate int // bits in the busiest second
	AvgBitrate int // bits per second
}

// Init returns the init segment of t: ftyp and moov exactly as table 2.1 has
// them, with all times 0.
func (t Track) Init() ([]byte, error) {
	entry, err := t.sampleEntry()
	if err != nil {
		return nil, err
	}
	moov := mp4.NewMoovBox()
	moov.AddChild(&mp4.MvhdBox{Timescale: uint32(t.SampleRate), NextTrackID: trackID + 1, Rate: 0x00010000, Volume: 0x0100})
	moov.AddChild(t.trak(entry))
	mvex := mp4.NewMvexBox()
	mvex.AddChild(&mp4.TrexBox{TrackID: trackID, DefaultSampleDescriptionIndex: 1})
	moov.AddChild(mvex)
	return encode(t.brands(), moov)
}

func (t Track) brands() *mp4.FtypBox {
	compatible := []string{"iso6", "cmfc", "mp41"}
	if t.Codec == melodyud.CodecAAC {
		compatible = append(compatible, "caac")
	}
	return mp4.NewFtyp("iso6", 0, compatible)
}

func (t Track) trak(entry mp4.Box) *mp4.TrakBox {
	trak := mp4.NewTrakBox()
	trak.AddChild(&mp4.TkhdBox{Flags: 0x000003, TrackID: trackID, Volume: 0x0100, Matrix: mp4.UnityMatrix()})
	if t.Priming > 0 {
		trak.AddChild(t.edit())
	}
	mdia := mp4.NewMdiaBox()
	mdhd := &mp4.MdhdBox{Timescale: uint32(t.SampleRate)}
	mdhd.SetLanguage("und")
	mdia.AddChild(mdhd)
	mdia.AddChild(&mp4.HdlrBox{HandlerType: "soun", Name: "SoundHandler"})
	mdia.AddChild(mediaInformation(entry))
	trak.AddChild(mdia)
	if udta := t.udta(); udta != nil {
		trak.AddChild(udta)
	}
	return trak
}

// edit skips the priming samples and plays the rest: one entry, duration 0, which
// in a fragmented file means all that follows (GAP-2).
func (t Track) edit() *mp4.EdtsBox {
	elst := &mp4.ElstBox{Entries: []mp4.ElstEntry{{MediaTime: t.Priming, MediaRateInteger: 1}}}
	edts := &mp4.EdtsBox{Elst: []*mp4.ElstBox{elst}}
	edts.AddChild(elst)
	return edts
}

func mediaInformation(entry mp4.Box) *mp4.MinfBox {
	minf := mp4.NewMinfBox()
	minf.AddChild(mp4.CreateSmhd())
	dinf := &mp4.DinfBox{}
	dinf.AddChild(mp4.CreateDref())
	minf.AddChild(dinf)
	stsd := mp4.NewStsdBox()
	stsd.AddChild(entry)
	stbl := mp4.NewStblBox()
	for _, b := range []mp4.Box{stsd, &mp4.SttsBox{}, &mp4.StscBox{}, &mp4.StszBox{}, &mp4.StcoBox{}} {
		stbl.AddChild(b)
	}
	minf.AddChild(stbl)
	return minf
}

func (t Track) sampleEntry() (mp4.Box, error) {
	switch t.Codec {
	case melodyud.CodecAAC:
		return t.mp4a()
	case melodyud.CodecFLAC:
		return t.fLaC()
	}
	return nil, fmt.Errorf("no sample entry for codec %q", t.Codec)
}

func (t Track) mp4a() (mp4.Box, error) {
	if err := checkASC(t.Config, t.SampleRate, t.Channels); err != nil {
		return nil, err
	}
	esds := mp4.CreateEsdsBox(t.Config)
	esds.EsID = 0 // 0 in a file: the track id names the stream (ISO/IEC 14496-14 §3.1.2)
	d := esds.DecConfigDescriptor
	d.BufferSizeDB = uint32(min(t.BufferSize, 1<<24-1))
	d.MaxBitrate, d.AvgBitrate = uint32(t.MaxBitrate), uint32(t.AvgBitrate)
	return mp4.CreateAudioSampleEntryBox("mp4a", uint16(t.Channels), 16, uint16(t.SampleRate), esds), nil
}

func (t Track) fLaC() (mp4.Box, error) {
	if err := checkStreamInfo(t.Config, t.SampleRate, t.Channels, t.BitDepth); err != nil {
		return nil, err
	}
	dfla := &mp4.DfLaBox{MetadataBlocks: []mp4.FLACMetadataBlock{{
		LastMetadataBlockFlag: true, Length: uint32(len(t.Config)), BlockData: t.Config,
	}}}
	return mp4.CreateAudioSampleEntryBox("fLaC", uint16(t.Channels), uint16(t.BitDepth), entryRate(t.SampleRate), dfla), nil
}

// entryRate is the 16-bit rate of a sample entry: the rate itself, or its largest
// regular division that fits; the true rate stands in STREAMINFO (isoflac §3.3.2).
func entryRate(rate int) uint16 {
	for rate > 65535 {
		if rate%2 != 0 {
			return 0
		}
		rate /= 2
	}
	return uint16(rate)
}

// encode writes boxes one after the other.
func encode(boxes ...mp4.Box) ([]byte, error) {
	var buf bytes.Buffer
	for _, b := range boxes {
		if err := b.Encode(&buf); err != nil {
			return nil, fmt.Errorf("encode %s: %w", b.Type(), err)
		}
	}
	return buf.Bytes(), nil
}
