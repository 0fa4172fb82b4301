package hls

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/Eyevinn/hls-m3u8/m3u8"

	melodyud "github.com/melodyud/melodyud"
)

// Methods of a Key.
const (
	// AES128 is whole segments in AES-128-CBC with PKCS7 padding: the identity key
	// format (HLS-91).
	AES128 = "AES-128"
	// SampleAES is Common Encryption (cbcs) in our fragmented MP4: it needs a Format
	// of a DRM system (HLS-93).
	SampleAES = "SAMPLE-AES"
)

// Key is one way to get the key of the segments behind it: one EXT-X-KEY. Several
// in a row are alternatives for players of different DRM systems (HLS-94).
type Key struct {
	Method   string // AES128 or SampleAES
	URI      string
	IV       string // "0x" and 32 hexadecimal digits; required for AES128 (HLS-91)
	Format   string // KEYFORMAT; empty: identity
	Versions string // KEYFORMATVERSIONS; empty: 1
}

// Protection says how the segments of a playlist are encrypted. Runs of Every
// segments share their keys, the same runs in all renditions.
type Protection struct {
	Every int // segments; at least 1
	// Keys returns the keys of a run, counted from 0 at the track's first segment.
	// URIs are relative to the rendition's media playlist.
	Keys func(rendition string, run int) []Key
	// Session returns the same keys as a Multivariant playlist names them, without
	// what differs between renditions (HLS-21). Nil: no session keys.
	Session func(run int) []Key
}

// keysAt returns the keys that have to be printed before segment i of a playlist
// that begins with segment first: none within a run.
func (p *Protection) keysAt(rendition string, first, i int) []Key {
	if p == nil || i != first && i%p.Every != 0 {
		return nil
	}
	return p.Keys(rendition, i/p.Every)
}

// sessionKeys lists the keys of segments first to first+n-1.
func (p *Protection) sessionKeys(first, n int) []Key {
	if p == nil || p.Session == nil || n == 0 {
		return nil
	}
	var all []Key
	for run := first / p.Every; run <= (first+n-1)/p.Every; run++ {
		for _, k := range p.Session(run) {
			if !slices.Contains(all, k) { // a tag must not be repeated (RFC 8216 §4.3.4.5)
				all = append(all, k)
			}
		}
	}
	return all
}

var initializationVector = regexp.MustCompile(`^0x[0-9a-f]{32}$`)

// check holds k to what players may rely on.
func (k Key) check() error {
	switch {
	case k.Method != AES128 && k.Method != SampleAES:
		return fmt.Errorf("%w: encryption method %q", melodyud.ErrInvalid, k.Method)
	case k.URI == "" || k.URI != quotable(k.URI) || k.Format != quotable(k.Format) || k.Versions != quotable(k.Versions):
		return fmt.Errorf("%w: key at %q", melodyud.ErrInvalid, k.URI)
	case k.IV != "" && !initializationVector.MatchString(k.IV):
		return fmt.Errorf("%w: initialization vector %q", melodyud.ErrInvalid, k.IV)
	}
	return nil
}

func toLibrary(keys []Key) []m3u8.Key {
	var out []m3u8.Key
	for _, k := range keys {
		out = append(out, m3u8.Key{Method: k.Method, URI: k.URI, IV: k.IV, Keyformat: k.Format, Keyformatversions: k.Versions})
	}
	return out
}

func fromLibraryKeys(in []m3u8.Key) ([]Key, error) {
	var keys []Key
	for _, l := range in {
		k := Key{Method: l.Method, URI: l.URI, IV: l.IV, Format: l.Keyformat, Versions: l.Keyformatversions}
		if err := k.check(); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}
