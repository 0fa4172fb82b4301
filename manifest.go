package melodyud

import (
	"fmt"
	"time"
)

// ManifestVersion is the version of the Manifest's JSON form. It is part of the
// render hash, so a changed form makes new object names.
const ManifestVersion = 1

// Manifest is everything the edge needs to play one rendered track: it is stored
// as media/<render-hash>/manifest.json and never changes.
type Manifest struct {
	Version      int    `json:"version"`
	RenderHash   string `json:"render_hash"`
	MasterSHA256 string `json:"master_sha256"`

	// SampleRate (Hz) and Samples (per channel) are those of the decoded source
	// (or of the lossless rendition where the source's rate had to be changed).
	// API durations derive from them, never from EXTINF sums (GAP-9).
	SampleRate int   `json:"sample_rate"`
	Samples    int64 `json:"samples"`

	// Segments holds each segment's presented length in samples at SampleRate; all
	// renditions share these boundaries (ALIGN-4), so playlists print EXTINF from
	// here and nowhere else (HLS-55).
	Segments []int64 `json:"segments"`
	// TargetDuration is the EXT-X-TARGETDURATION shared by all renditions, seconds.
	TargetDuration int `json:"target_duration"`

	Renditions []Rendition `json:"renditions"` // lowest rate first, lossless last
	Source     Source      `json:"source"`
	Loudness   Loudness    `json:"loudness"`

	// Gain was applied to the source before anything else, in hundredths of a
	// decibel: of ads alone, which are rendered to the loudness of music (NORM-1).
	// Loudness is what was measured behind it.
	Gain int `json:"gain,omitempty"`
}

// Duration returns the presented length.
func (m *Manifest) Duration() time.Duration {
	if m.SampleRate == 0 {
		return 0
	}
	whole, rest := m.Samples/int64(m.SampleRate), m.Samples%int64(m.SampleRate)
	return time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(m.SampleRate)
}

// Rendition returns the rendition called name.
func (m *Manifest) Rendition(name string) (*Rendition, bool) {
	for i := range m.Renditions {
		if m.Renditions[i].Name == name {
			return &m.Renditions[i], true
		}
	}
	return nil, false
}

// Rendition is one coded form of a track, kept as one CMAF track file: the init
// segment, the index (sidx), then one fragment per segment.
type Rendition struct {
	Name       string `json:"name"`   // "aac-96", "flac"; also the STABLE-VARIANT-ID (HLS-18)
	Codec      Codec  `json:"codec"`  // aac or flac
	Codecs     string `json:"codecs"` // RFC 6381: mp4a.40.2, fLaC
	File       string `json:"file"`   // object name beside the manifest: "aac-96.mp4"
	SampleRate int    `json:"sample_rate"`
	Channels   int    `json:"channels"`
	BitDepth   int    `json:"bit_depth,omitempty"` // lossless only

	Size      int64  `json:"size"`       // bytes of the whole file
	InitSize  int64  `json:"init_size"`  // the init segment is bytes [0, InitSize)
	IndexSize int64  `json:"index_size"` // the sidx follows it
	SHA256    string `json:"sha256"`     // of the whole file; also the ETag's source (EDGE-14)

	// Sizes holds each segment's bytes, Durations its presented samples at
	// SampleRate. Segment i starts at InitSize+IndexSize plus the sizes before it.
	Sizes     []int64 `json:"sizes"`
	Durations []int64 `json:"durations"`

	Bandwidth        int `json:"bandwidth"`         // bits per second, peak (HLS-40)
	AverageBandwidth int `json:"average_bandwidth"` // bits per second (HLS-40)

	Samples      int64  `json:"samples"`           // presented, at SampleRate
	EncoderDelay int64  `json:"encoder_delay"`     // priming samples trimmed by the edit list (GAP-2)
	EndPadding   int64  `json:"end_padding"`       // samples the last access unit holds beyond the end (GAP-3)
	PCMMD5       string `json:"pcm_md5,omitempty"` // lossless only: MD5 of the decoded samples, as STREAMINFO has it
}

// SegmentRange returns the byte offset and length of segment i in the track file,
// or false when there is no such segment.
func (r *Rendition) SegmentRange(i int) (offset, length int64, ok bool) {
	if i < 0 || i >= len(r.Sizes) {
		return 0, 0, false
	}
	offset = r.InitSize + r.IndexSize
	for _, n := range r.Sizes[:i] {
		offset += n
	}
	return offset, r.Sizes[i], true
}

// Length returns how long segment i plays, 0 when there is no such segment.
func (r *Rendition) Length(i int) time.Duration {
	if i < 0 || i >= len(r.Durations) || r.SampleRate <= 0 {
		return 0
	}
	return time.Duration(float64(r.Durations[i]) / float64(r.SampleRate) * float64(time.Second))
}

// Starts returns the byte at which each segment starts in the track file, and that
// behind the last one. Sizes that do not fit into the file are an error: a range beyond
// it would be read from nowhere.
func (r *Rendition) Starts() ([]int64, error) {
	at := r.InitSize + r.IndexSize
	if r.InitSize < 0 || r.IndexSize < 0 || at > r.Size {
		return nil, fmt.Errorf("rendition %s: %d bytes before the first segment of a file of %d", r.Name, at, r.Size)
	}
	starts := make([]int64, 0, len(r.Sizes)+1)
	for i, n := range r.Sizes {
		if n < 0 || n > r.Size-at {
			return nil, fmt.Errorf("rendition %s: segment %d of %d bytes does not fit into the file", r.Name, i, n)
		}
		starts = append(starts, at)
		at += n
	}
	return append(starts, at), nil
}

// Source says what the creator's file was.
type Source struct {
	Container  string `json:"container"` // "wav", "flac", "mp3", "ogg", "aiff", "mp4", …
	Codec      string `json:"codec"`     // "pcm_s16le", "flac", "mp3", "vorbis", "aac", …
	Lossless   bool   `json:"lossless"`
	SampleRate int    `json:"sample_rate"`
	Channels   int    `json:"channels"`
	BitDepth   int    `json:"bit_depth"` // significant bits; 0 for lossy sources
	Gapless    bool   `json:"gapless"`   // start and end are known exactly (MP3-2)
}

// Loudness is measured on the decoded source (NORM-5). Values are nil where they
// are undefined: silence, or less than one 400 ms block (LOUD-6).
type Loudness struct {
	Integrated *float64 `json:"integrated_lufs"` // ITU-R BS.1770-4
	Range      *float64 `json:"range_lu"`        // EBU Tech 3342
	TruePeak   *float64 `json:"true_peak_dbtp"`
	SamplePeak *float64 `json:"sample_peak_dbfs"`
	// The loudest 400 ms and the loudest 3 s, in LUFS.
	MaxMomentary *float64 `json:"max_momentary_lufs,omitempty"`
	MaxShortTerm *float64 `json:"max_short_term_lufs,omitempty"`
}
