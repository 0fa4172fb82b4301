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
	"github.com/melodyud/melodyud/transcode/aac"
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
	measured chan struct{} // closed when the meter has heard everything
	features melodyud.Features
	analysis melodyud.Analysis
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
func (r *render) plan(ctx context.Context) (*fan[chunk], error) {
	lanes, err := r.openLanes(ctx)
	if err != nil {
		return nil, err
	}
	sound := newSoundFan()
	r.startMeters(ctx, sound.line())
	if !r.job.deaf {
		if err := r.startAnalyzer(ctx, sound.line()); err != nil {
			return nil, err
		}
	}
	if r.job.Tap != nil {
		r.startTap(ctx, sound.line())
	}
	folded := newSoundFan() // for AAC encoders that take samples
	var coders []*lane
	for _, l := range lanes {
		switch {
		case l.coder != nil:
			coders = append(coders, l)
		case l.stream.Codec == melodyud.CodecAAC:
			r.startEncoder(ctx, folded.line(), l)
		default:
			r.startLossless(ctx, sound, l)
		}
	}
	if len(folded.lines) > 0 {
		r.startStage(ctx, sound.line(), folded, r.front())
	}
	if len(coders) > 0 {
		r.startCoders(ctx, sound.line(), coders)
	}
	return sound, nil
}

// lane is one rendition being made.
type lane struct {
	stream  media.Stream
	sink    media.Sink
	encoder encode.Encoder // takes samples; or
	coder   *encode.AAC    // takes the analysis that all of its kind share
}

func (r *render) openLanes(ctx context.Context) ([]*lane, error) {
	var lanes []*lane
	for _, rung := range r.job.Ladder {
		l, err := r.openLane(ctx, rung)
		if err != nil {
			for _, l := range lanes {
				l.abort()
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
	switch {
	case rung.Codec == melodyud.CodecFLAC:
		l.encoder, err = encode.NewFLAC(l.stream, l.sink)
	case r.engine.encoder == EncoderFFmpeg:
		l.encoder, err = encode.NewFFmpeg(ctx, r.engine.ffmpeg, l.stream, l.sink)
	default:
		l.coder, err = encode.NewAAC(l.stream, l.sink)
	}
	if err != nil {
		return nil, fmt.Errorf("start rendition %s: %w", rung.Name(), err)
	}
	return l, nil
}

func (l *lane) abort() {
	if l.encoder != nil {
		l.encoder.Abort()
	}
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

func (r *render) startMeters(ctx context.Context, line <-chan *shared[chunk]) {
	r.meter, r.waveform = pcm.NewMeter(r.src.Format()), features.NewWaveform(r.src.Format())
	r.measured = make(chan struct{})
	r.start(func() error {
		err := drain(ctx, line, func(c *chunk) error {
			r.meter.Write(c.block)
			r.waveform.Write(c.block)
			return nil
		})
		if err != nil {
			return err
		}
		close(r.measured)
		return fault.Point("render.features")
	})
}

func (r *render) startTap(ctx context.Context, line <-chan *shared[chunk]) {
	r.start(func() error {
		return drain(ctx, line, func(c *chunk) error {
			r.job.Tap(c.block)
			return nil
		})
	})
}

// startAnalyzer hears the sound in a line of its own: no encoder waits for it
// longer than a line is.
func (r *render) startAnalyzer(ctx context.Context, line <-chan *shared[chunk]) error {
	source := r.src.Facts().Source
	analyzer, err := features.New(r.src.Format(), features.Source{Lossless: source.Lossless, BitDepth: source.BitDepth}, r.engine.features)
	if err != nil {
		return err
	}
	r.start(func() error {
		err := drain(ctx, line, func(c *chunk) error {
			analyzer.Write(c.block)
			return nil
		})
		if err != nil {
			return err
		}
		select {
		case <-r.measured:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.features, r.analysis = analyzer.Close(features.Measured{
			Loudness: r.meter.Loudness(), Blocks: r.meter.Blocks(), ShortTerm: r.meter.ShortTerm(),
		})
		return nil
	})
	return nil
}

func (r *render) startEncoder(ctx context.Context, line <-chan *shared[chunk], l *lane) {
	r.start(func() error {
		defer l.abort()
		if err := drain(ctx, line, func(c *chunk) error { return l.encoder.Encode(c.block) }); err != nil {
			return l.wrap(err)
		}
		return l.finish(ctx, l.encoder.Close)
	})
}

// startCoders analyses the sound once and starts a coder for each lane beside it.
func (r *render) startCoders(ctx context.Context, line <-chan *shared[chunk], lanes []*lane) {
	frames := &fan[aac.Frame]{waiting: framesWaiting}
	samples := int64(0) // in all, set before frames is closed
	for _, l := range lanes {
		r.startCoder(ctx, frames.line(), l, &samples)
	}
	r.start(func() error {
		analysis, err := encode.NewAnalysis(lanes[0].stream)
		if err != nil {
			return err
		}
		if err := r.analyse(ctx, line, analysis, frames); err != nil {
			return err
		}
		samples = analysis.Samples()
		frames.close()
		return nil
	})
}

// analyse hands out the frames of the sound.
func (r *render) analyse(ctx context.Context, line <-chan *shared[chunk], analysis *encode.Analysis, frames *fan[aac.Frame]) error {
	frame := frames.blank()
	turn := func() error {
		for analysis.Next(&frame.item) {
			if err := frames.hand(ctx, frame); err != nil {
				return err
			}
			frame = frames.blank()
		}
		return nil
	}
	err := r.front().run(ctx, line, func(b pcm.Block) error { return analysis.Write(b, turn) })
	if err != nil {
		return err
	}
	analysis.Close()
	return turn()
}

func (r *render) startCoder(ctx context.Context, line <-chan *shared[aac.Frame], l *lane, samples *int64) {
	r.start(func() error {
		if err := drain(ctx, line, l.coder.Code); err != nil {
			return l.wrap(err)
		}
		return l.finish(ctx, func() (media.Ending, error) { return l.coder.Close(*samples) })
	})
}

// finish ends the encoder and the sink.
func (l *lane) finish(ctx context.Context, end func() (media.Ending, error)) error {
	ending, err := end()
	if err != nil {
		return l.wrap(err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := fault.Point("render.rendition"); err != nil {
		return err
	}
	return l.wrap(l.sink.Finish(ending))
}

func (l *lane) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("render %s: %w", l.stream.Name, err)
}

// startLossless feeds FLAC the samples as they are, unless their rate has no
// common grid with AAC.
func (r *render) startLossless(ctx context.Context, sound *fan[chunk], l *lane) {
	if !r.grid.Resampled {
		r.startEncoder(ctx, sound.line(), l)
		return
	}
	own := newSoundFan()
	r.startEncoder(ctx, own.line(), l)
	r.startStage(ctx, sound.line(), own, stage{from: r.src.Format(), mix: pcm.NewDownmix(1), rate: r.grid.Lossless.Rate})
}

// front makes what AAC encoders take.
func (r *render) front() stage {
	f := r.src.Format()
	return stage{from: f, mix: pcm.NewDownmix(f.Channels), rate: r.grid.AAC.Rate}
}

// startStage hands out what a stage makes of line. Only a complete sound is closed:
// encoders take the end of a line for the end of the track.
func (r *render) startStage(ctx context.Context, line <-chan *shared[chunk], out *fan[chunk], s stage) {
	r.start(func() error {
		if err := s.run(ctx, line, func(b pcm.Block) error { return send(ctx, out, b) }); err != nil {
			return err
		}
		out.close()
		return nil
	})
}

// stage folds channels and changes the rate.
type stage struct {
	from pcm.Format
	mix  *pcm.Downmix
	rate int // Hz
}

// run calls do with what the stage makes of each chunk of line.
func (s stage) run(ctx context.Context, line <-chan *shared[chunk], do func(pcm.Block) error) error {
	if s.from.Rate == s.rate {
		return drain(ctx, line, func(c *chunk) error { return do(s.mix.Process(c.block)) })
	}
	re, err := pcm.NewResampler(s.from.Rate, s.rate, s.mix.Channels(s.from.Channels))
	if err != nil {
		return err
	}
	if err := drain(ctx, line, func(c *chunk) error { return do(re.Process(s.mix.Process(c.block))) }); err != nil {
		return err
	}
	return do(re.Flush())
}

// read is the render's pump.
func (r *render) read(ctx context.Context, sound *fan[chunk]) error {
	var level *pcm.Level
	if r.job.Gain != 0 {
		level = pcm.NewLevel(r.src.Format(), r.job.Gain)
	}
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
		r.samples += int64(b.Len())
		if level != nil {
			b = level.Process(b)
		}
		if err := send(ctx, sound, b); err != nil {
			return err
		}
		r.tell()
	}
	if err := r.complete(); err != nil {
		return err
	}
	if level != nil {
		if err := send(ctx, sound, level.Flush()); err != nil {
			return err
		}
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
		Features: r.features, Analysis: r.analysis, Waveform: r.waveform.Encode(), Overview: r.waveform.Overview(), Warnings: facts.Warnings,
	}
	if r.grid.Resampled {
		to, from := int64(rep.SampleRate), int64(f.Rate)
		rep.Samples = (r.samples*to + from - 1) / from
	}
	return rep
}
