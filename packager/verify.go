package packager

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/hls"
)

// maxIndexFile bounds what Verify reads of a playlist or manifest: 72 hours of
// segments are far below it.
const maxIndexFile = 64 << 20

// Verify reads every file of a package back and holds it to m: sizes, hashes,
// boxes, the timeline, codecs, playlists. open reads length bytes of a file from
// offset, -1 meaning to its end. Memory is bounded by the largest segment. An
// error says which file and what in it is wrong; what open returned stays in its
// chain.
func Verify(ctx context.Context, open func(name string, offset, length int64) (io.ReadCloser, error), m *melodyud.Manifest) error {
	return Prove(ctx, open, m, nil)
}

// Prove is Verify that also decodes every lossless rendition, from the segments as
// they are stored, and holds the samples to the MD5 of those that were encoded. A
// nil decoder proves nothing.
func Prove(ctx context.Context, open func(name string, offset, length int64) (io.ReadCloser, error), m *melodyud.Manifest, decode Decoder) error {
	if err := checkManifest(m); err != nil {
		return fmt.Errorf("verify manifest: %w", err)
	}
	for i := range m.Renditions {
		r := &m.Renditions[i]
		if err := verifyTrack(ctx, open, r, m.Loudness, decode); err != nil {
			return fmt.Errorf("verify %s: %w", r.File, err)
		}
	}
	files, err := indexes(m)
	if err != nil {
		return fmt.Errorf("verify playlists: %w", err)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := verifyIndex(open, f, m); err != nil {
			return fmt.Errorf("verify %s: %w", f.name, err)
		}
	}
	return nil
}

func checkManifest(m *melodyud.Manifest) error {
	switch {
	case m.Version != melodyud.ManifestVersion:
		return fmt.Errorf("version %d, this program knows %d", m.Version, melodyud.ManifestVersion)
	case len(m.Renditions) == 0:
		return errors.New("no rendition")
	case m.SampleRate <= 0 || m.Samples <= 0 || total(m.Segments) != m.Samples:
		return fmt.Errorf("segments of %d samples in all, the track has %d at %d Hz", total(m.Segments), m.Samples, m.SampleRate)
	}
	for i := range m.Renditions {
		if err := checkRendition(m, &m.Renditions[i]); err != nil {
			return fmt.Errorf("rendition %s: %w", m.Renditions[i].Name, err)
		}
	}
	return nil
}

// checkRendition holds the numbers of r to those of the track.
func checkRendition(m *melodyud.Manifest, r *melodyud.Rendition) error {
	n := len(m.Segments)
	if len(r.Sizes) != n || len(r.Durations) != n {
		return fmt.Errorf("%d sizes and %d durations of %d segments", len(r.Sizes), len(r.Durations), n)
	}
	peak, average := Bandwidth(r.Sizes, m.Segments, m.SampleRate, m.TargetDuration)
	switch {
	case r.InitSize+r.IndexSize+total(r.Sizes) != r.Size:
		return fmt.Errorf("init, index and segments have %d bytes, the file %d", r.InitSize+r.IndexSize+total(r.Sizes), r.Size)
	case total(r.Durations) != r.Samples:
		return fmt.Errorf("segments of %d samples in all, it presents %d", total(r.Durations), r.Samples)
	case slices.Min(r.Durations) <= 0 || slices.Min(r.Sizes) <= 0:
		return errors.New("a segment is empty")
	case r.Bandwidth != peak || r.AverageBandwidth != average:
		return fmt.Errorf("bandwidth %d and %d, its segments have %d and %d", r.Bandwidth, r.AverageBandwidth, peak, average)
	}
	for i, d := range r.Durations[:n-1] {
		if d*int64(m.SampleRate) != m.Segments[i]*int64(r.SampleRate) {
			return fmt.Errorf("segment %d has %d samples at %d Hz, the track's %d at %d Hz (ALIGN-4)", i, d, r.SampleRate, m.Segments[i], m.SampleRate)
		}
	}
	return nil
}

// verifyTrack reads one track file from first byte to last.
func verifyTrack(ctx context.Context, open func(string, int64, int64) (io.ReadCloser, error), r *melodyud.Rendition, l melodyud.Loudness, decode Decoder) (err error) {
	f, err := open(r.File, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	t := &trackReader{r: io.TeeReader(f, hash), want: r, loudness: fmp4.Stated(l), proof: newProof(r, decode)}
	if err := t.readHead(); err != nil {
		return err
	}
	for i := range r.Sizes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.readSegment(i); err != nil {
			return fmt.Errorf("segment %d: %w", i, err)
		}
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(f, 1)); err != nil || n != 0 {
		return cmpErr(err, fmt.Errorf("it goes on after %d bytes", r.Size))
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != r.SHA256 {
		return fmt.Errorf("SHA-256 is %s instead of %s", sum, r.SHA256)
	}
	return t.checkEnd()
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// trackReader walks through a track file, holding it to a rendition.
type trackReader struct {
	r        io.Reader
	want     *melodyud.Rendition
	loudness melodyud.Loudness // that the init segment must state
	proof    *proof            // of a lossless rendition; nil: none
	next     int64             // decode time the next segment must have
}

// read reads exactly n bytes, without trusting n for memory.
func (t *trackReader) read(n int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(t.r, n))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != n {
		return nil, fmt.Errorf("%d bytes are missing", n-int64(len(b)))
	}
	return b, nil
}

func (t *trackReader) readHead() error {
	init, err := t.read(t.want.InitSize)
	if err != nil {
		return fmt.Errorf("init segment: %w", err)
	}
	h, err := fmp4.ReadInit(init)
	if err != nil {
		return err
	}
	if err := checkHeader(t.want, h); err != nil {
		return fmt.Errorf("init segment: %w", err)
	}
	if !reflect.DeepEqual(h.Loudness, t.loudness) {
		return errors.New("init segment: ludt states another loudness than the manifest (NORM-6)")
	}
	index, err := t.read(t.want.IndexSize)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	rate, refs, err := fmp4.ReadIndex(index)
	if err != nil {
		return err
	}
	return checkIndex(t.want, rate, refs)
}

func checkHeader(r *melodyud.Rendition, h fmp4.Header) error {
	switch {
	case h.Codec != r.Codec || h.Codecs != r.Codecs:
		return fmt.Errorf("codec is %s instead of %s", h.Codecs, r.Codecs)
	case h.SampleRate != r.SampleRate || h.Channels != r.Channels || h.BitDepth != r.BitDepth:
		return fmt.Errorf("%d Hz, %d channels, %d bits instead of %d, %d, %d",
			h.SampleRate, h.Channels, h.BitDepth, r.SampleRate, r.Channels, r.BitDepth)
	case h.Priming != r.EncoderDelay:
		return fmt.Errorf("edit list skips %d samples instead of %d", h.Priming, r.EncoderDelay)
	case h.Codec == melodyud.CodecFLAC && (h.Samples != r.Samples || h.MD5 != r.PCMMD5):
		return fmt.Errorf("STREAMINFO has %d samples of MD5 %s instead of %d of %s", h.Samples, h.MD5, r.Samples, r.PCMMD5)
	}
	return nil
}

func checkIndex(r *melodyud.Rendition, rate int, refs []fmp4.Reference) error {
	if rate != r.SampleRate || len(refs) != len(r.Sizes) {
		return fmt.Errorf("index of %d segments at %d Hz instead of %d at %d Hz", len(refs), rate, len(r.Sizes), r.SampleRate)
	}
	for i, ref := range refs {
		if ref.Size != r.Sizes[i] || ref.Duration != r.Durations[i] {
			return fmt.Errorf("index has %d bytes and %d samples for segment %d instead of %d and %d",
				ref.Size, ref.Duration, i, r.Sizes[i], r.Durations[i])
		}
	}
	return nil
}

func (t *trackReader) readSegment(i int) error {
	b, err := t.read(t.want.Sizes[i])
	if err != nil {
		return err
	}
	s, err := fmp4.ReadSegment(b, t.want.Codec)
	if err != nil {
		return err
	}
	want := t.want.Durations[i]
	if i == 0 {
		want += t.want.EncoderDelay
	}
	switch {
	case s.Number != i+1:
		return fmt.Errorf("sequence number is %d instead of %d", s.Number, i+1)
	case s.DecodeTime != t.next:
		return fmt.Errorf("tfdt is %d, the segment before ends at %d", s.DecodeTime, t.next)
	case s.Duration != want:
		return fmt.Errorf("packets of %d samples instead of %d", s.Duration, want)
	}
	t.next = s.End()
	return t.proof.add(s.Data, s.Duration)
}

func (t *trackReader) checkEnd() error {
	if end := t.want.EncoderDelay + t.want.Samples; t.next != end {
		return fmt.Errorf("it ends at sample %d instead of %d", t.next, end)
	}
	return t.proof.end()
}

// verifyIndex reads a playlist or the manifest, compares what it says with m, and
// then its bytes with those that m gives.
func verifyIndex(open func(string, int64, int64) (io.ReadCloser, error), file indexFile, m *melodyud.Manifest) (err error) {
	f, err := open(file.name, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxIndexFile))
	if err != nil {
		return err
	}
	got, want, err := parseIndex(file.name, b, m)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return errors.New("it says something else than the manifest")
	}
	if !bytes.Equal(b, file.content) {
		return fmt.Errorf("from byte %d on it is written differently than the manifest gives it", firstDifference(b, file.content))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func parseIndex(name string, b []byte, m *melodyud.Manifest) (got, want any, err error) {
	o := hls.Options{Style: hls.ByteRange}
	switch name {
	case ManifestFile:
		var read melodyud.Manifest
		err = json.Unmarshal(b, &read)
		return &read, m, err
	case DashFile:
		return nil, nil, dash.Check(b, m)
	case StandardFile:
		got, err = hls.ParseMultivariant(b)
		return got, hls.NewMultivariant(m, o), err
	case HifiFile:
		o.Flavour = hls.Hifi
		got, err = hls.ParseMultivariant(b)
		return got, hls.NewMultivariant(m, o), err
	}
	if got, err = hls.ParseMedia(b); err != nil {
		return nil, nil, err
	}
	want, err = hls.NewMedia(m, name[:len(name)-len(".m3u8")], o)
	return got, want, err
}
