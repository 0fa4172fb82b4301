package workers_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/workers"
)

// staged is an engine of packets that say nothing, which notes when the lowest
// rendition began and when it had two segments.
type staged struct {
	seconds                int
	probed, begun, spooled time.Time
}

func (*staged) Version() string { return "staged" }

func (e *staged) Probe(context.Context, *os.File) (transcode.Facts, error) {
	e.probed = time.Now()
	return transcode.Facts{SampleRate: 44100}, nil
}

func (e *staged) Render(_ context.Context, _ *os.File, job transcode.Job) (transcode.Report, error) {
	grid := media.NewGrid(44100)
	samples := int64(e.seconds * 44100 / media.AACFrame * media.AACFrame)
	for _, rung := range job.Ladder {
		sink, err := job.Open(media.Stream{
			Name: rung.Name(), Codec: rung.Codec, SampleRate: 44100, Channels: 2, FrameSize: media.AACFrame,
			Priming: media.AACFrame, Bitrate: rung.Bitrate, Timeline: grid.AAC,
		})
		if err != nil {
			return transcode.Report{}, err
		}
		if rung.Bitrate == 64000 {
			e.begun = time.Now()
		}
		for at := int64(-media.AACFrame); at < samples; at += media.AACFrame {
			if err := sink.WritePacket(media.Packet{Data: []byte{1, 2, 3}, Samples: media.AACFrame}); err != nil {
				return transcode.Report{}, err
			}
			if rung.Bitrate == 64000 && at > 9*44100 && e.spooled.IsZero() {
				e.spooled = time.Now()
			}
		}
		if err := sink.Finish(media.Ending{Samples: samples, Config: []byte{0x12, 0x10}}); err != nil {
			return transcode.Report{}, err
		}
	}
	return transcode.Report{Grid: grid, SampleRate: 44100, Samples: samples}, nil
}

func TestARenderTellsWhenTheLowestRenditionCouldBePlayed(t *testing.T) {
	t.Parallel()
	ladder := melodyud.Ladder{}
	if err := ladder.UnmarshalText([]byte("aac-96,aac-64,aac-160")); err != nil {
		t.Fatal(err)
	}
	for _, seconds := range []int{20, 2} {
		src, err := os.Create(filepath.Join(t.TempDir(), "x"))
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		engine, began := &staged{seconds: seconds}, time.Now()
		got, err := workers.RenderFile(t.Context(), engine, src, strings.Repeat("0", 64), t.TempDir(), ladder, nil)
		if err != nil {
			t.Fatal(err)
		}
		if engine.spooled.IsZero() { // too short for a whole segment
			engine.spooled = time.Now()
		}
		if got.FirstSegment < engine.begun.Sub(engine.probed) || began.Add(got.FirstSegment).After(engine.spooled) {
			t.Errorf("%d s: the first segment was there after %v, its packets came from %v to %v", seconds,
				got.FirstSegment, engine.begun.Sub(began), engine.spooled.Sub(began))
		}
	}
}
