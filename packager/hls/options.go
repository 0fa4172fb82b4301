package hls

import melodyud "github.com/melodyud/melodyud"

// Flavour says which renditions a Multivariant playlist lists (HLS-34).
type Flavour int

// The flavours.
const (
	Standard Flavour = iota // the AAC ladder
	Hifi                    // lossless and the AAC ladder, with SCORE on all
)

// Style says where playlists point.
type Style int

// The styles.
const (
	// Virtual: <rendition>/index.m3u8, and in it init.mp4 and s/<n>.m4s.
	Virtual Style = iota
	// ByteRange: <rendition>.m3u8, and in it ranges of <rendition>.mp4.
	ByteRange
)

// Options are the choices of a playlist. The zero value is the standard flavour
// with virtual URLs and no track id.
type Options struct {
	Flavour Flavour // of Multivariant; Media takes any rendition
	Style   Style
	// Track, if set, is printed as session data com.melodyud.track. Characters that
	// do not belong into a quoted string are dropped (HLS-2).
	Track melodyud.TrackID
	// First is the number of the manifest's first segment in virtual URLs: of a Clip,
	// where it was cut.
	First int
	// Steering, if set, lists every variant once for each of its pathways (HLS-22).
	Steering *Steering
	// Protection, if set, says how the segments at virtual URLs are encrypted.
	Protection *Protection
	// Interstitials are the breaks of a media playlist; none: it is as if there were
	// no such thing.
	Interstitials []Interstitial
}

// PlaylistFile is the name of a rendition's media playlist in the ByteRange style.
func PlaylistFile(rendition string) string { return rendition + ".m3u8" }

func (o Options) playlist(rendition string) string {
	if o.Style == ByteRange {
		return PlaylistFile(rendition)
	}
	return rendition + "/index.m3u8"
}

// HasStandard reports whether m has a rendition of the standard flavour.
func HasStandard(m *melodyud.Manifest) bool { return has(m, melodyud.CodecAAC) }

// HasLossless reports whether m has a lossless rendition, so that a hifi flavour
// makes sense.
func HasLossless(m *melodyud.Manifest) bool { return has(m, melodyud.CodecFLAC) }

func has(m *melodyud.Manifest, c melodyud.Codec) bool {
	for i := range m.Renditions {
		if m.Renditions[i].Codec == c {
			return true
		}
	}
	return false
}
