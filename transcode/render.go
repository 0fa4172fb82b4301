package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Render decodes f once, measures it and writes the ladder's renditions to the
// sinks that job opens. What is wrong with the file is a *melodyud.Refusal.
// After any error nothing of Render still runs and no sink that had not been
// finished will be.
//
// f is a regular file, read from its beginning.
func (e *Engine) Render(ctx context.Context, f *os.File, job Job) (Report, error) {
	group, ctx := errgroup.WithContext(ctx)
	src, err := e.open(ctx, f)
	if err != nil {
		return Report{}, errors.Join(err, group.Wait())
	}
	r := &render{engine: e, job: job, src: src, group: group, declared: src.Facts().Samples}
	err = r.run(ctx)
	if closing := src.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return Report{}, err
	}
	return r.report(), nil
}

// render is one render at work.
type render struct {
	engine   *Engine
	job      Job
	src      source
	group    *errgroup.Group
	grid     media.Grid
	declared int64 // samples that the headers promise; -1 unknown

	meter    *pcm.Meter
	waveform *features.Waveform
	samples  int64
}

func (r *render) run(ctx context.Context) error {
	r.grid = media.NewGrid(r.src.Format().Rate)
	sound, err := r.plan(ctx)
	if err != nil {
		return errors.Join(err, r.group.Wait())
	}
	r.start(func() error { return r.read(ctx, sound) })
	return r.group.Wait()
}

// start runs one part of the render. A panic there, in code that saw samples
// nobody thought of, costs this render and not the process.
func (r *render) start(part func() error) {
	r.group.Go(func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("render panicked: %v\n%s", v, debug.Stack())
			}
		}()
		return part()
	})
}

// plan starts every consumer and returns the fan that feeds them.
func (r *render) plan(ctx context.Context) (*fan, error) {
	lanes, err := r.openLanes(ctx)
	if err != nil {
		return nil, err
	}
	sound := &fan{}
	r.startMeters(ctx, sound.line())
	shared := &fan{} // of all AAC renditions
	for _, l := range lanes {
		if l.stream.Codec == melodyud.CodecAAC {
			r.startEncoder(ctx, shared.line(), l)
			continue
		}
		r.startLossless(ctx, sound, l)
	}
	if len(shared.lines) > 0 {
		r.startFront(ctx, sound.line(), shared)
	}
	return sound, nil
}

// lane is one rendition being made.
type lane struct {
	stream  media.Stream
	sink    media.Sink
	encoder encode.Encoder
}

func (r *render) openLanes(ctx context.Context) ([]*lane, error) {
	var lanes []*lane
	for _, rung := range r.job.Ladder {
		l, err := r.openLane(ctx, rung)
		if err != nil {
			for _, l := range lanes {
				l.encoder.Abort()
			}
			return nil, err
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}

func (r *render) openLane(ctx context.Context, rung melodyud.Rung) (*lane, error) {
	l := &lane{stream: r.stream(rung)}
	var err error
	if l.sink, err = r.job.Open(l.stream); err != nil {
		return nil, fmt.Errorf("open rendition %s: %w", rung.Name(), err)
	}
	if l.encoder, err = r.engine.encoderFor(ctx, l.stream, l.sink); err != nil {
		return nil, fmt.Errorf("start rendition %s: %w", rung.Name(), err)
	}
	return l, nil
}

func (r *render) stream(rung melodyud.Rung) media.Stream {
	f := r.src.Format()
	if rung.Codec == melodyud.CodecFLAC {
		return media.Stream{
			Name: rung.Name(), Codec: rung.Codec,
			SampleRate: r.grid.Lossless.Rate, Channels: f.Channels,
			BitDepth:  losslessDepth(f.BitDepth, r.src.Facts().Source.Lossless),
			FrameSize: r.grid.FLACBlock, Timeline: r.grid.Lossless,
		}
	}
	return media.Stream{
		Name: rung.Name(), Codec: rung.Codec,
		SampleRate: r.grid.AAC.Rate, Channels: pcm.NewDownmix(f.Channels).Channels(f.Channels),
		FrameSize: media.AACFrame, Priming: encode.AACPriming, Bitrate: rung.Bitrate, Timeline: r.grid.AAC,
	}
}

// losslessDepth returns the depth of the FLAC rendition: 8, 16 or 24 bits, which
// every player knows. Other depths go into the next one, where FLAC stores their
// zero bits for nothing. Lossy sources get 16 bits, float sources 24.
func losslessDepth(bits int, lossless bool) int {
	switch {
	case bits == 0 && lossless, bits > 16:
		return 24
	case bits == 0, bits > 8:
		return 16
	}
	return 8
}

func (e *Engine) encoderFor(ctx context.Context, s media.Stream, sink media.Sink) (encode.Encoder, error) {
	switch {
	case s.Codec == melodyud.CodecFLAC:
		return encode.NewFLAC(s, sink)
	case e.encoder == EncoderFFmpeg:
		return encode.NewFFmpeg(ctx, e.ffmpeg, s, sink)
	}
	return encode.NewAAC(s, encode.Coder(e.encoder), sink)
}

func (r *render) startMeters(ctx context.Context, line <-chan *chunk) {
	r.meter, r.waveform = pcm.NewMeter(r.src.Format()), features.NewWaveform(r.src.Format())
	r.start(func() error {
		err := drain(ctx, line, func(b pcm.Block) error {
			r.meter.Write(b)
			r.waveform.Write(b)
			return nil
		})
		if err != nil {
			return err
		}
		return fault.Point("render.features")
	})
}

func (r *render) startEncoder(ctx context.Context, line <-chan *chunk, l *lane) {
	r.start(func() error { return l.run(ctx, line) })
}

// run feeds the encoder from line and finishes the sink.
func (l *lane) run(ctx context.Context, line <-chan *chunk) error {
	defer l.encoder.Abort()
	if err := drain(ctx, line, l.encoder.Encode); err != nil {
		return l.wrap(err)
	}
	end, err := l.encoder.Close()
	if err != nil {
		return l.wrap(err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := fault.Point("render.rendition"); err != nil {
		return err
	}
	return l.wrap(l.sink.Finish(end))
}

func (l *lane) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("render %s: %w", l.stream.Name, err)
}

// startLossless feeds FLAC the samples as they are, unless their rate has no
// common grid with AAC.
func (r *render) startLossless(ctx context.Context, sound *fan, l *lane) {
	if !r.grid.Resampled {
		r.startEncoder(ctx, sound.line(), l)
		return
	}
	own := &fan{}
	r.startEncoder(ctx, own.line(), l)
	r.startStage(ctx, sound.line(), own, pcm.NewDownmix(1), r.grid.Lossless.Rate)
}

// startFront makes what all AAC encoders take, once.
func (r *render) startFront(ctx context.Context, line <-chan *chunk, out *fan) {
	r.startStage(ctx, line, out, pcm.NewDownmix(r.src.Format().Channels), r.grid.AAC.Rate)
}

// startStage hands out what it makes of line's blocks. Only a complete sound is
// closed: encoders take the end of a line for the end of the track.
func (r *render) startStage(ctx context.Context, line <-chan *chunk, out *fan, mix *pcm.Downmix, rate int) {
	f := r.src.Format()
	r.start(func() error {
		if f.Rate == rate {
			return out.relay(ctx, line, mix.Process, nil)
		}
		re, err := pcm.NewResampler(f.Rate, rate, mix.Channels(f.Channels))
		if err != nil {
			return err
		}
		return out.relay(ctx, line, func(b pcm.Block) pcm.Block { return re.Process(mix.Process(b)) }, re.Flush)
	})
}

// read is the render's pump.
func (r *render) read(ctx context.Context, sound *fan) error {
	for {
		b, err := r.src.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := fault.Point("render.decode"); err != nil {
			return err
		}
		if err := sound.send(ctx, b); err != nil {
			return err
		}
		r.samples += int64(b.Len())
		r.tell()
	}
	if err := r.complete(); err != nil {
		return err
	}
	sound.close()
	return nil
}

// tell reports progress, if the number of samples is known beforehand.
func (r *render) tell() {
	if r.job.Progress != nil && r.declared > 0 {
		r.job.Progress(min(1, float64(r.samples)/float64(r.declared)))
	}
}

// complete refuses sound that is clearly shorter than the file's headers say.
func (r *render) complete() error {
	missing := r.declared - r.samples
	if missing > int64(r.src.Format().Rate) && missing > r.declared/100 {
		return melodyud.Refuse(melodyud.ErrInvalid, "audio.truncated",
			"The file ends too early: part of the sound is missing. Please export or copy it again and upload the whole file.").
			Because(fmt.Errorf("decoded %d of %d samples", r.samples, r.declared))
	}
	return nil
}

func (r *render) report() Report {
	facts, f := r.src.Facts(), r.src.Format()
	rep := Report{
		Source: facts.Source, Grid: r.grid, SampleRate: r.grid.Lossless.Rate, Samples: r.samples,
		Loudness: r.meter.Loudness(), Tags: facts.Tags, Cover: facts.Cover,
		Waveform: r.waveform.Encode(), Warnings: facts.Warnings,
	}
	if r.grid.Resampled {
		to, from := int64(rep.SampleRate), int64(f.Rate)
		rep.Samples = (r.samples*to + from - 1) / from
	}
	rep.Features = melodyud.Features{
		Version: analyserVersion, Duration: float64(r.samples) / float64(f.Rate), Loudness: rep.Loudness,
	}
	return rep
}
