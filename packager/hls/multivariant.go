package hls

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"

	melodyud "github.com/melodyud/melodyud"
)

// Session data we write (HLS-20).
const (
	LoudnessID = "com.melodyud.loudness" // see loudnessValue
	TrackID    = "com.melodyud.track"
)

// MultivariantPlaylist is the content of a Multivariant playlist.
type MultivariantPlaylist struct {
	Variants []Variant
	Session  []SessionData
	Keys     []Key       // EXT-X-SESSION-KEY (HLS-21)
	Steering SteeringTag // zero: none
}

// Variant is one EXT-X-STREAM-INF with its URI.
type Variant struct {
	URI              string
	Name             string // STABLE-VARIANT-ID: the rendition's name (HLS-18)
	Codecs           string
	Bandwidth        int    // bits per second, peak
	AverageBandwidth int    // bits per second
	Score            int    // 0: none
	Pathway          string // PATHWAY-ID; empty: none
}

// SessionData is one EXT-X-SESSION-DATA with a VALUE.
type SessionData struct{ ID, Value string }

// Multivariant prints the playlist a player starts with. It fails if m has no
// rendition of the flavour.
func Multivariant(m *melodyud.Manifest, o Options) ([]byte, error) {
	if err := o.Steering.check(); err != nil {
		return nil, fmt.Errorf("print multivariant playlist: %w", err)
	}
	p := NewMultivariant(m, o)
	if len(p.Variants) == 0 {
		return nil, fmt.Errorf("%w: the track has no rendition of this flavour", melodyud.ErrNotFound)
	}
	return p.encode(), nil
}

// NewMultivariant returns what Multivariant prints.
func NewMultivariant(m *melodyud.Manifest, o Options) MultivariantPlaylist {
	var p MultivariantPlaylist
	if v := loudnessValue(m.Loudness); v != "" {
		p.Session = append(p.Session, SessionData{LoudnessID, v})
	}
	if v := quotable(string(o.Track)); v != "" {
		p.Session = append(p.Session, SessionData{TrackID, v})
	}
	for i := range m.Renditions {
		r := &m.Renditions[i]
		if r.Codec != melodyud.CodecAAC && o.Flavour == Standard {
			continue
		}
		v := Variant{
			URI: o.playlist(r.Name), Name: r.Name, Codecs: r.Codecs,
			Bandwidth: r.Bandwidth, AverageBandwidth: r.AverageBandwidth,
		}
		if o.Flavour == Hifi {
			v.Score = len(p.Variants) + 1 // the manifest lists the best last
		}
		p.Variants = append(p.Variants, v)
	}
	startWith(p.Variants, firstVariant(p.Variants))
	p.Variants, p.Steering = o.Steering.spread(p.Variants), o.Steering.tag()
	p.Keys = o.Protection.sessionKeys(o.First, len(m.Segments))
	return p
}

// startBitrate is the rate a player should start with (HLS-15).
const startBitrate = 128_000

// firstVariant picks the AAC variant nearest to startBitrate, of two equally near
// the lower.
func firstVariant(vs []Variant) int {
	best, distance := 0, -1
	for i, v := range vs {
		if !strings.HasPrefix(v.Codecs, "mp4a") {
			continue
		}
		rate := nominal(v)
		d := max(rate-startBitrate, startBitrate-rate)
		if distance < 0 || d < distance {
			best, distance = i, d
		}
	}
	return best
}

// nominal is the rate in the rendition's name, so that silence and noise start
// with the same rendition, or the measured rate where the name has none.
func nominal(v Variant) int {
	ladder, err := melodyud.ParseLadder(v.Name)
	if err != nil || len(ladder) != 1 || ladder[0].Bitrate == 0 {
		return v.AverageBandwidth
	}
	return ladder[0].Bitrate
}

// startWith moves variant i to the front and keeps the order of the rest.
func startWith(vs []Variant, i int) {
	if i >= len(vs) {
		return
	}
	first := vs[i]
	copy(vs[1:i+1], vs[:i])
	vs[0] = first
}

// loudnessValue prints what was measured as name=value pairs with the names of
// the manifest's JSON: a quoted string cannot hold JSON's quotes (HLS-2). What is
// undefined is left out; of silence nothing is left.
func loudnessValue(l melodyud.Loudness) string {
	var pairs []string
	for _, v := range []struct {
		name  string
		value *float64
	}{
		{"integrated_lufs", l.Integrated}, {"range_lu", l.Range},
		{"true_peak_dbtp", l.TruePeak}, {"sample_peak_dbfs", l.SamplePeak},
	} {
		if v.value != nil {
			pairs = append(pairs, v.name+"="+strconv.FormatFloat(*v.value, 'f', 2, 64))
		}
	}
	return strings.Join(pairs, ";")
}

// quotable drops what a quoted string may not hold (HLS-2).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7F || r == '\uFEFF' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func (p MultivariantPlaylist) encode() []byte {
	out := m3u8.NewMasterPlaylist()
	out.SetIndependentSegments(true)
	out.SetWritePrecision(0)
	out.ContentSteering = p.Steering.toLibrary()
	for _, d := range p.Session {
		out.SessionDatas = append(out.SessionDatas, &m3u8.SessionData{DataId: d.ID, Value: d.Value, Format: "JSON"})
	}
	for _, k := range toLibrary(p.Keys) {
		out.SessionKeys = append(out.SessionKeys, &k)
	}
	for _, v := range p.Variants {
		out.Append(v.URI, nil, m3u8.VariantParams{
			Bandwidth: uint32(v.Bandwidth), AverageBandwidth: uint32(v.AverageBandwidth),
			Score: float64(v.Score), Codecs: v.Codecs, StableVariantId: v.Name, PathwayId: v.Pathway,
		})
	}
	if slices.ContainsFunc(p.Keys, func(k Key) bool { return k.Format != "" || k.Method == SampleAES }) {
		out.SetVersion(formatVersion)
		return out.Encode().Bytes()
	}
	return withoutVersion(out.Encode().Bytes())
}

// formatVersion is what the keys of a DRM system need (HLS-4).
const formatVersion = 5

// withoutVersion drops the library's EXT-X-VERSION: nothing else in a Multivariant
// playlist of ours needs one (HLS-4).
func withoutVersion(text []byte) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("#EXT-X-VERSION:")) {
			out = append(out, line...)
		}
	}
	return out
}

// ParseMultivariant reads what Multivariant printed.
func ParseMultivariant(b []byte) (MultivariantPlaylist, error) {
	if err := checkText(b); err != nil {
		return MultivariantPlaylist{}, fmt.Errorf("parse multivariant playlist: %w", err)
	}
	in := m3u8.NewMasterPlaylist()
	if _, err := decode(in, b); err != nil {
		return MultivariantPlaylist{}, fmt.Errorf("parse multivariant playlist: %w", err)
	}
	p := MultivariantPlaylist{Steering: fromLibrarySteering(in.ContentSteering)}
	for _, d := range in.SessionDatas {
		p.Session = append(p.Session, SessionData{d.DataId, d.Value})
	}
	for _, l := range in.SessionKeys {
		keys, err := fromLibraryKeys([]m3u8.Key{*l})
		if err != nil {
			return p, fmt.Errorf("parse multivariant playlist: %w", err)
		}
		p.Keys = append(p.Keys, keys...)
	}
	for _, v := range in.Variants {
		p.Variants = append(p.Variants, Variant{
			URI: v.URI, Name: v.StableVariantId, Codecs: v.Codecs,
			Bandwidth: int(v.Bandwidth), AverageBandwidth: int(v.AverageBandwidth), Score: int(v.Score), Pathway: v.PathwayId,
		})
	}
	if !in.IndependentSegments() || len(p.Variants) == 0 {
		return p, fmt.Errorf("%w: multivariant playlist without EXT-X-INDEPENDENT-SEGMENTS or variants", melodyud.ErrInvalid)
	}
	return p, nil
}
