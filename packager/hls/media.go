package hls

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/Eyevinn/hls-m3u8/m3u8"

	melodyud "github.com/melodyud/melodyud"
)

// mediaVersion is what EXT-X-MAP in a media playlist needs, and more than any key
// does (HLS-4).
const mediaVersion = 6

// MediaPlaylist is the content of a media playlist.
type MediaPlaylist struct {
	TargetDuration int // seconds
	Init           Part
	Segments       []Segment
	Interstitials  []Interstitial
}

// Part is a resource or a range of one.
type Part struct {
	URI    string
	Offset int64
	Length int64 // 0: the whole resource
}

// Segment is one media segment.
type Segment struct {
	Part
	Keys         []Key // of this segment and those behind it, up to the next with keys; none: as before
	Microseconds int64 // EXTINF, which has 6 digits (HLS-52)
}

// Media prints the media playlist of a rendition. EXTINF comes from the manifest's
// common segments, so that the lists of all renditions are the same strings
// (HLS-55). An unknown rendition is ErrNotFound.
func Media(m *melodyud.Manifest, rendition string, o Options) ([]byte, error) {
	p, err := NewMedia(m, rendition, o)
	if err != nil {
		return nil, err
	}
	return p.encode()
}

// NewMedia returns what Media prints.
func NewMedia(m *melodyud.Manifest, rendition string, o Options) (MediaPlaylist, error) {
	r, ok := m.Rendition(rendition)
	if !ok {
		return MediaPlaylist{}, fmt.Errorf("%w: the track has no rendition %q", melodyud.ErrNotFound, rendition)
	}
	if len(r.Sizes) != len(m.Segments) || m.SampleRate <= 0 {
		return MediaPlaylist{}, fmt.Errorf("%w: manifest of %d segments, rendition %s of %d",
			melodyud.ErrInvalid, len(m.Segments), rendition, len(r.Sizes))
	}
	p := MediaPlaylist{TargetDuration: m.TargetDuration, Init: Part{URI: "init.mp4"}, Interstitials: o.Interstitials}
	if o.Style == ByteRange {
		p.Init = Part{URI: r.File, Length: r.InitSize}
	}
	offset := r.InitSize + r.IndexSize
	for i, samples := range m.Segments {
		s := Segment{Microseconds: microseconds(samples, m.SampleRate)}
		if o.Style == ByteRange {
			s.Part = Part{URI: r.File, Offset: offset, Length: r.Sizes[i]}
		} else {
			s.URI = "s/" + strconv.Itoa(o.First+i) + ".m4s"
			s.Keys = o.Protection.keysAt(rendition, o.First, o.First+i)
		}
		offset += r.Sizes[i]
		p.Segments = append(p.Segments, s)
	}
	return p, nil
}

// microseconds rounds to nearest. A segment below half a microsecond cannot be.
func microseconds(samples int64, rate int) int64 {
	return (2*samples*1_000_000 + int64(rate)) / (2 * int64(rate))
}

func (p MediaPlaylist) encode() ([]byte, error) {
	out, err := m3u8.NewMediaPlaylist(0, uint(len(p.Segments)))
	if err != nil {
		return nil, fmt.Errorf("print media playlist: %w", err)
	}
	out.SetWritePrecision(6)
	out.SetTargetDuration(uint(p.TargetDuration))
	out.MediaType = m3u8.VOD
	out.SetDefaultMap(p.Init.URI, p.Init.Length, p.Init.Offset)
	for _, s := range p.Segments {
		for _, k := range s.Keys {
			if err := k.check(); err != nil {
				return nil, fmt.Errorf("print media playlist: %w", err)
			}
		}
		if err := out.AppendSegment(&m3u8.MediaSegment{
			URI: s.URI, Duration: float64(s.Microseconds) / 1e6, Limit: s.Length, Offset: s.Offset, Keys: toLibrary(s.Keys),
		}); err != nil {
			return nil, fmt.Errorf("print media playlist: %w", err)
		}
	}
	out.SetVersion(mediaVersion)
	out.Close()
	text, err := withInterstitials(inOrder(out.Encode().Bytes()), p.Interstitials)
	if err != nil {
		return nil, fmt.Errorf("print media playlist: %w", err)
	}
	return text, nil
}

// headTags is the order of the tags before the first segment (HLS-50).
var headTags = []string{
	"#EXTM3U", "#EXT-X-VERSION:", "#EXT-X-TARGETDURATION:", "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-PLAYLIST-TYPE:", "#EXT-X-MAP:",
}

// inOrder puts the library's first lines in the order of headTags.
func inOrder(text []byte) []byte {
	lines := bytes.SplitAfterN(text, []byte("\n"), len(headTags)+1)
	rank := func(line []byte) int {
		return slices.IndexFunc(headTags, func(tag string) bool { return bytes.HasPrefix(line, []byte(tag)) })
	}
	slices.SortStableFunc(lines[:len(headTags)], func(a, b []byte) int { return cmp.Compare(rank(a), rank(b)) })
	return bytes.Join(lines, nil)
}

// ParseMedia reads what Media printed and holds it to the rules a player may rely
// on: VOD with an end, a map, version 6, no segment too long (HLS-50..54).
func ParseMedia(b []byte) (MediaPlaylist, error) {
	if err := checkText(b); err != nil {
		return MediaPlaylist{}, fmt.Errorf("parse media playlist: %w", err)
	}
	in, err := m3u8.NewMediaPlaylist(0, uint(bytes.Count(b, []byte("\n#EXTINF:"))+1))
	if err != nil {
		return MediaPlaylist{}, fmt.Errorf("parse media playlist: %w", err)
	}
	in.SetTargetDuration(1) // else the library raises what it reads to fit the segments
	lines, err := decode(in, b)
	if err != nil {
		return MediaPlaylist{}, fmt.Errorf("parse media playlist: %w", err)
	}
	p, err := fromLibrary(in)
	if err == nil {
		p.Interstitials, err = interstitials(lines)
	}
	if err != nil {
		return p, fmt.Errorf("parse media playlist: %w: %w", melodyud.ErrInvalid, err)
	}
	return p, nil
}

func fromLibrary(in *m3u8.MediaPlaylist) (MediaPlaylist, error) {
	if in.Map == nil || in.MediaType != m3u8.VOD || !in.Closed || in.Version() != mediaVersion || in.Count() == 0 {
		return MediaPlaylist{}, errors.New("no VOD playlist of version 6 with EXT-X-MAP, segments and EXT-X-ENDLIST")
	}
	p := MediaPlaylist{
		TargetDuration: int(in.TargetDuration),
		Init:           Part{URI: in.Map.URI, Offset: in.Map.Offset, Length: in.Map.Limit},
	}
	for i, s := range in.GetAllSegments() {
		if playable := s.Duration > 0 && math.Round(s.Duration) <= float64(p.TargetDuration); !playable {
			return p, fmt.Errorf("segment %d lasts %f s, the target duration is %d s", i, s.Duration, p.TargetDuration)
		}
		keys, err := fromLibraryKeys(s.Keys)
		if err != nil {
			return p, err
		}
		p.Segments = append(p.Segments, Segment{
			Part:         Part{URI: s.URI, Offset: s.Offset, Length: s.Limit},
			Keys:         keys,
			Microseconds: int64(math.Round(s.Duration * 1e6)),
		})
	}
	return p, nil
}

// decode lets the library read b once Read has found nothing wrong: alone it
// panics on attribute lists that are cut off, which a damaged object may hold, and
// on who knows what else.
func decode(in m3u8.Playlist, b []byte) (d Document, err error) {
	if d, err = Read(b); err != nil {
		return d, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", melodyud.ErrInvalid, r)
		}
	}()
	return d, in.Decode(*bytes.NewBuffer(bytes.Clone(b)), true)
}

// checkText holds b to HLS-1.
func checkText(b []byte) error {
	switch {
	case !bytes.HasPrefix(b, []byte("#EXTM3U\n")):
		return fmt.Errorf("%w: the first line is not #EXTM3U", melodyud.ErrInvalid)
	case !utf8.Valid(b):
		return fmt.Errorf("%w: not UTF-8", melodyud.ErrInvalid)
	}
	for _, c := range b {
		if c < ' ' && c != '\n' {
			return fmt.Errorf("%w: control character %#x", melodyud.ErrInvalid, c)
		}
	}
	return nil
}
