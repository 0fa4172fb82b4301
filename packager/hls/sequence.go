package hls

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// Sequence is the content of a media playlist of several tracks that play one
// after the other, such as an album.
type Sequence struct {
	TargetDuration int // seconds
	Runs           []Run
	Interstitials  []Interstitial
}

// Run is a stretch of segments that one init segment describes. Between two runs
// stands EXT-X-DISCONTINUITY (HLS-57).
type Run struct {
	Init     string // URI
	Segments []Segment
}

// Encode prints s. A sequence without runs, or a run without segments, is an error.
func (s Sequence) Encode() ([]byte, error) {
	n := 0
	for _, r := range s.Runs {
		if len(r.Segments) == 0 {
			return nil, fmt.Errorf("print sequence: the run of %s has no segments", r.Init)
		}
		n += len(r.Segments)
	}
	if n == 0 {
		return nil, fmt.Errorf("print sequence: it is empty")
	}
	out, err := m3u8.NewMediaPlaylist(0, uint(n))
	if err != nil {
		return nil, fmt.Errorf("print sequence: %w", err)
	}
	out.SetWritePrecision(6)
	out.SetTargetDuration(uint(s.TargetDuration))
	out.MediaType = m3u8.VOD
	for i, r := range s.Runs {
		if err := r.appendTo(out, i > 0); err != nil {
			return nil, fmt.Errorf("print sequence: %w", err)
		}
	}
	out.SetVersion(mediaVersion)
	out.Close()
	text, err := withInterstitials(clearMaps(inOrder(out.Encode().Bytes())), s.Interstitials)
	if err != nil {
		return nil, fmt.Errorf("print sequence: %w", err)
	}
	return text, nil
}

// clearMaps takes an EXT-X-MAP out of the reach of the keys that the library prints
// before it: init segments stay in the clear (HLS-91).
func clearMaps(text []byte) []byte {
	var out, keys []byte
	for line := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(line, []byte("#EXT-X-KEY:")):
			keys = append(keys, line...)
			continue
		case bytes.HasPrefix(line, []byte("#EXT-X-MAP:")) && len(keys) > 0:
			out = append(out, "#EXT-X-KEY:METHOD=NONE\n"...)
			out = append(out, line...)
			continue
		}
		out = append(append(out, keys...), line...)
		keys = nil
	}
	return append(out, keys...)
}

func (r Run) appendTo(out *m3u8.MediaPlaylist, follows bool) error {
	if !follows {
		out.SetDefaultMap(r.Init, 0, 0)
	}
	for i, s := range r.Segments {
		for _, k := range s.Keys {
			if err := k.check(); err != nil {
				return err
			}
		}
		one := &m3u8.MediaSegment{URI: s.URI, Duration: float64(s.Microseconds) / 1e6, Keys: toLibrary(s.Keys)}
		if follows && i == 0 {
			one.Discontinuity, one.Map = true, &m3u8.Map{URI: r.Init}
		}
		if err := out.AppendSegment(one); err != nil {
			return err
		}
	}
	return nil
}
