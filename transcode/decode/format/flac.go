package format

import (
	"crypto/md5" //nolint:gosec // FLAC's own checksum, not for security
	"errors"
	"io"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/flac"
	"github.com/melodyud/melodyud/transcode/decode/label"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// flacInfo is STREAMINFO (RFC 9639, 8.2).
type flacInfo struct {
	rate, channels, depth int
	samples               int64 // 0 unknown
	md5                   [md5.Size]byte
}

const (
	flacBlockHead  = 4
	flacStreamInfo = 0
	flacComment    = 4
	flacPicture    = 6
	flacInfoLen    = 34
	maxFLACBlocks  = 10_000
)

// openFLAC reads native FLAC (RFC 9639).
func openFLAC(in *Input, at int64) (Facts, Sound, error) {
	var lab label.Set
	info, start, err := flacMetadata(in, at+4, &lab)
	if err != nil {
		return Facts{}, nil, err
	}
	lab.ReadLeading(in, at) // no part of FLAC: its own labels come first
	facts := Facts{
		Source: melodyud.Source{
			Codec: "flac", Lossless: true, Gapless: true,
			SampleRate: info.rate, Channels: info.channels, BitDepth: info.depth,
		},
		SampleRate: info.rate, Channels: info.channels, BitDepth: max(info.depth, 8), Samples: info.samples,
	}
	facts.adopt(&lab)
	if info.samples == 0 || info.samples > in.Size*maxFLACExpansion {
		facts.Samples = -1
	}
	end := soundEnd(in, start)
	frames := flac.NewReader(in.from(start, end-start), flac.Info{Rate: info.rate, Channels: info.channels, Depth: info.depth})
	return facts, &flacSound{frames: frames, info: info, out: NewPlanes(info.channels), sum: pcm.NewDigest(info.depth)}, nil
}

// maxFLACExpansion: a constant block of 65,535 samples takes 11 bytes at least;
// a header that promises more samples than this per byte is not believed.
const maxFLACExpansion = 65535 / 11

// flacMetadata walks the metadata blocks and returns where the frames begin.
func flacMetadata(in *Input, at int64, lab *label.Set) (info flacInfo, start int64, err error) {
	for i := range maxFLACBlocks {
		head, err := in.Peek(at, flacBlockHead)
		if err != nil {
			return info, 0, err
		}
		if len(head) < flacBlockHead {
			return info, 0, Reject("audio.truncated", "file ends in the metadata")
		}
		kind, size := int(head[0]&0x7F), int64(head[1])<<16|int64(head[2])<<8|int64(head[3])
		body := chunk{at: at + flacBlockHead, size: size}
		if size > in.Size-body.at {
			return info, 0, Reject("audio.truncated", "metadata block of %d bytes", size)
		}
		if (i == 0) != (kind == flacStreamInfo) {
			return info, 0, Reject("audio.damaged", "metadata block %d is of type %d", i, kind)
		}
		if kind == flacStreamInfo {
			if info, err = readStreamInfo(in, body); err != nil {
				return info, 0, err
			}
		}
		readFLACLabels(lab, in, kind, body)
		at = body.at + size
		if head[0]&0x80 != 0 {
			return info, at, nil
		}
	}
	return info, 0, Reject("audio.damaged", "more than %d metadata blocks", maxFLACBlocks)
}

func readStreamInfo(in *Input, c chunk) (info flacInfo, err error) {
	b, err := in.Peek(c.at, flacInfoLen)
	if err != nil {
		return info, err
	}
	if c.size != flacInfoLen || len(b) != flacInfoLen {
		return info, Reject("audio.damaged", "STREAMINFO of %d bytes", c.size)
	}
	info.rate = int(b[10])<<12 | int(b[11])<<4 | int(b[12])>>4
	info.channels = int(b[12]>>1&7) + 1
	info.depth = int(b[12]&1)<<4 | int(b[13]>>4) + 1
	info.samples = int64(b[13]&15)<<32 | int64(b[14])<<24 | int64(b[15])<<16 | int64(b[16])<<8 | int64(b[17])
	copy(info.md5[:], b[18:])
	if info.depth > 24 || info.depth < 4 {
		return info, Reject("audio.bad-depth", "%d bits", info.depth)
	}
	return info, nil
}

// readFLACLabels reads a metadata block that has labels.
func readFLACLabels(l *label.Set, in *Input, kind int, c chunk) {
	if kind != flacComment && kind != flacPicture {
		return
	}
	body, err := in.Peek(c.at, int(min(c.size, label.MaxTag)))
	switch {
	case err != nil:
	case kind == flacComment:
		l.ReadComments(body)
	default:
		l.ReadPicture(body)
	}
}

// soundEnd is where the sound ends before an ID3v1 tag.
func soundEnd(in *Input, start int64) int64 {
	const id3v1 = 128
	if in.Size-start < id3v1 {
		return in.Size
	}
	b, err := in.Peek(in.Size-id3v1, 3)
	if err != nil || string(b) != "TAG" {
		return in.Size
	}
	return in.Size - id3v1
}

// flacSound decodes frames. Every frame is checked by its CRC-16 and the whole
// by the MD5 of STREAMINFO.
type flacSound struct {
	frames *flac.Reader
	info   flacInfo
	out    *Planes
	sum    *pcm.Digest
	done   int64
	notes  []string
	err    error
}

func (s *flacSound) Read() (pcm.Block, error) {
	if s.err != nil {
		return pcm.Block{}, s.err
	}
	b, err := s.next()
	if err != nil {
		s.err = err
	}
	return b, err
}

func (s *flacSound) next() (pcm.Block, error) {
	samples, err := s.frames.Next()
	if errors.Is(err, flac.ErrFormat) {
		return pcm.Block{}, Reject("audio.changes-format", "%v", err)
	}
	if err != nil {
		return pcm.Block{}, s.finish(err)
	}
	b := s.out.First(len(samples[0]))
	scale := 1 / float32(int(1)<<(s.info.depth-1))
	for c, ints := range samples {
		plane := b.Samples[c][:len(ints)]
		for i, v := range ints {
			plane[i] = float32(v) * scale
		}
	}
	s.sum.Write(samples, len(samples[0]))
	s.done += int64(b.Len())
	return b, nil
}

// finish turns the end of the frames into the end of the sound, or into what is
// wrong with it. After the promised number of samples, bytes that are no frame
// are somebody's tag.
func (s *flacSound) finish(err error) error {
	whole := s.info.samples > 0 && s.done >= s.info.samples
	switch {
	case err == io.EOF && s.done == 0:
		return Reject("audio.no-sound-data", "no frames")
	case err == io.EOF && s.info.samples > s.done:
		return Reject("audio.truncated", "%d of %d samples", s.done, s.info.samples)
	case err == io.ErrUnexpectedEOF && !whole:
		return Reject("audio.truncated", "file ends in a frame after %d samples", s.done)
	case err != io.EOF && (!whole || s.done == 0):
		return err
	}
	return s.verify()
}

func (s *flacSound) verify() error {
	unset := s.info.md5 == [md5.Size]byte{}
	if !unset && s.sum.Sum() != s.info.md5 {
		return Reject("audio.damaged", "MD5 differs from STREAMINFO")
	}
	if unset {
		s.notes = append(s.notes, "The FLAC file has no checksum, so damage could not be ruled out.")
	}
	if s.info.samples > 0 && s.done > s.info.samples {
		s.notes = append(s.notes, "The FLAC header promises fewer samples than there are; all were taken.")
	}
	return io.EOF
}

func (s *flacSound) Warnings() []string { return s.notes }
