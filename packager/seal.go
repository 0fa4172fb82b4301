package packager

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/hls"
)

// Meta is what Seal puts into the manifest beside what it measured itself.
type Meta struct {
	RenderHash   string
	MasterSHA256 string
	Source       melodyud.Source
	Loudness     melodyud.Loudness
	Gain         int   // hundredths of a decibel; see melodyud.Manifest
	SampleRate   int   // Hz, of the grid's lossless timeline
	Samples      int64 // presented, at SampleRate; a lossless rendition has exactly these
}

// Seal writes track files, manifest and playlists, and returns the manifest. All
// sinks must be finished. After an error no manifest is there and the package is
// of no use any more.
func (p *Package) Seal(meta Meta) (melodyud.Manifest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.checkMeta(meta); err != nil {
		return melodyud.Manifest{}, fmt.Errorf("seal package: %w", err)
	}
	p.sealed = true
	if err := os.Remove(filepath.Join(p.dir, ManifestFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return melodyud.Manifest{}, fmt.Errorf("seal package: %w", err) // of an older package, whose files go now
	}
	m, err := p.manifest(meta)
	if err == nil {
		err = writeIndexes(p.dir, &m)
	}
	if err != nil {
		return melodyud.Manifest{}, fmt.Errorf("seal package: %w", err)
	}
	return m, nil
}

func (p *Package) checkMeta(meta Meta) error {
	switch {
	case p.sealed:
		return errors.New("it is sealed already")
	case len(p.sinks) == 0:
		return errors.New("it has no rendition")
	case meta.SampleRate != p.grid.Lossless.Rate:
		return fmt.Errorf("the rate is %d Hz, the grid's %d Hz", meta.SampleRate, p.grid.Lossless.Rate)
	case meta.Samples <= 0:
		return errors.New("the track has no samples")
	}
	lengths := map[int]int64{}
	for _, k := range p.sinks {
		if err := k.check(meta); err != nil {
			return fmt.Errorf("rendition %s: %w", k.stream.Name, err)
		}
		got, rate := k.cut.Ending().Samples, k.stream.SampleRate
		if other, seen := lengths[rate]; seen && other != got {
			return fmt.Errorf("rendition %s: it presents %d samples, another of its rate %d", k.stream.Name, got, other)
		}
		lengths[rate] = got
	}
	return nil
}

// lengthTolerance is how many samples a resampled rendition may differ from the
// track's length: one for rounding at each end.
const lengthTolerance = 2

func (k *sink) check(meta Meta) error {
	if !k.cut.Finished() {
		return errors.New("it is not finished")
	}
	got, rate := k.cut.Ending().Samples, int64(k.stream.SampleRate)
	exact := k.stream.Codec == melodyud.CodecFLAC || k.stream.SampleRate == meta.SampleRate
	if exact && got != meta.Samples {
		return fmt.Errorf("it presents %d samples, the track has %d", got, meta.Samples)
	}
	diff := got*int64(meta.SampleRate) - meta.Samples*rate
	if limit := lengthTolerance * int64(meta.SampleRate); diff > limit || diff < -limit {
		return fmt.Errorf("it presents %d samples at %d Hz, the track has %d at %d Hz", got, rate, meta.Samples, meta.SampleRate)
	}
	return nil
}

func (p *Package) manifest(meta Meta) (melodyud.Manifest, error) {
	m := melodyud.Manifest{
		Version:        melodyud.ManifestVersion,
		RenderHash:     meta.RenderHash,
		MasterSHA256:   meta.MasterSHA256,
		SampleRate:     meta.SampleRate,
		Samples:        meta.Samples,
		Segments:       fmp4.Segments(p.grid.Lossless, meta.Samples, media.TargetDuration),
		TargetDuration: media.TargetDuration,
		Source:         meta.Source,
		Loudness:       meta.Loudness,
		Gain:           meta.Gain,
	}
	slices.SortStableFunc(p.sinks, func(a, b *sink) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.stream.Name, b.stream.Name))
	})
	for _, k := range p.sinks {
		r, err := k.seal(p.dir, &m)
		if err != nil {
			return m, fmt.Errorf("rendition %s: %w", k.stream.Name, err)
		}
		m.Renditions = append(m.Renditions, r)
	}
	return m, nil
}

// rank orders renditions as the manifest lists them: lowest rate first, lossless
// last.
func (k *sink) rank() int {
	if k.stream.Codec == melodyud.CodecFLAC {
		return 1 << 30
	}
	return k.stream.Bitrate
}

// seal writes the track file.
func (k *sink) seal(dir string, m *melodyud.Manifest) (melodyud.Rendition, error) {
	n := len(m.Segments)
	last := total(m.Segments[:n-1]) * int64(k.stream.SampleRate) / int64(m.SampleRate)
	if err := k.cut.Close(n, last); err != nil {
		return melodyud.Rendition{}, err
	}
	track := k.cut.Track()
	track.Loudness = m.Loudness
	init, err := track.Init()
	if err != nil {
		return melodyud.Rendition{}, err
	}
	index, err := fmp4.Index(track.SampleRate, k.cut.Sizes(), k.cut.Durations())
	if err != nil {
		return melodyud.Rendition{}, err
	}
	header, err := fmp4.ReadInit(init)
	if err != nil {
		return melodyud.Rendition{}, err
	}
	r := k.rendition(m, header)
	r.InitSize, r.IndexSize = int64(len(init)), int64(len(index))
	r.Size, r.SHA256, err = writeFile(dir, r.File, func(w io.Writer) error {
		for _, b := range [][]byte{init, index} {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return k.copyTo(w)
	})
	if err != nil {
		return r, err
	}
	return r, checkRendition(m, &r)
}

func (k *sink) rendition(m *melodyud.Manifest, h fmp4.Header) melodyud.Rendition {
	ending := k.cut.Ending()
	r := melodyud.Rendition{
		Name:         k.stream.Name,
		Codec:        h.Codec,
		Codecs:       h.Codecs,
		File:         TrackFile(k.stream.Name),
		SampleRate:   h.SampleRate,
		Channels:     h.Channels,
		BitDepth:     h.BitDepth,
		Sizes:        k.cut.Sizes(),
		Durations:    k.cut.Durations(),
		Samples:      ending.Samples,
		EncoderDelay: h.Priming,
		EndPadding:   k.cut.Padding(),
		PCMMD5:       ending.PCMMD5,
	}
	r.Bandwidth, r.AverageBandwidth = Bandwidth(r.Sizes, m.Segments, m.SampleRate, m.TargetDuration)
	return r
}

// writeIndexes writes everything but the track files; the manifest comes last, so
// that its presence means the rest is there.
func writeIndexes(dir string, m *melodyud.Manifest) error {
	files, err := indexes(m)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := writeBytes(dir, f.name, f.content); err != nil {
			return err
		}
	}
	return nil
}

type indexFile struct {
	name    string
	content []byte
}

// indexes prints the playlists that lie beside the track files, and the manifest:
// BYTERANGE form, relative names, so that any server with Range support will do
// (HLS-56).
func indexes(m *melodyud.Manifest) ([]indexFile, error) {
	var files []indexFile
	var errs []error
	add := func(name string, content []byte, err error) {
		files = append(files, indexFile{name, content})
		errs = append(errs, err)
	}
	for i := range m.Renditions {
		name := m.Renditions[i].Name
		content, err := hls.Media(m, name, hls.Options{Style: hls.ByteRange})
		add(hls.PlaylistFile(name), content, err)
	}
	if hls.HasStandard(m) {
		content, err := hls.Multivariant(m, hls.Options{Style: hls.ByteRange})
		add(StandardFile, content, err)
	}
	if hls.HasLossless(m) {
		content, err := hls.Multivariant(m, hls.Options{Style: hls.ByteRange, Flavour: hls.Hifi})
		add(HifiFile, content, err)
	}
	content, err := dash.OnDemand(m)
	add(DashFile, content, err)
	content, err = json.MarshalIndent(m, "", " ")
	add(ManifestFile, append(content, '\n'), err)
	return files, errors.Join(errs...)
}
