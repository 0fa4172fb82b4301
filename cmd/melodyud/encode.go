package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
)

type encodeCmd struct {
	engine
	In      string         `arg:"" type:"existingfile" help:"Audio file to read."`
	Out     string         `arg:"" type:"path" help:"File to write: .m4a, .mp4, .aac or .flac. Replaced when there already."`
	Codec   melodyud.Codec `enum:"aac,flac," default:"" placeholder:"CODEC" help:"aac or flac. Default: flac for a .flac file, else aac."`
	Bitrate bitrate        `default:"128k" placeholder:"N" help:"Bits per second of AAC, 16k to 320k: 128000 or ${default}."`
	Encoder string         `env:"MELODYUD_ENCODER" enum:"${encoders}" default:"${encoder}" help:"AAC encoder: ${encoders}."`
	JSON    bool           `help:"Print JSON."`
}

// Help is printed under the flags.
func (encodeCmd) Help() string {
	return `Decodes a file as an upload would be and encodes it once, to hear or to measure an encoder:

  melodyud encode song.wav song.m4a --bitrate 96k
  melodyud encode song.mp3 song.aac
  melodyud encode song.wav song.flac

An .m4a or .mp4 is a track file as the server makes it: players drop the encoder's priming
and padding, so it is as long as its source and starts with it. An .aac stream cannot say so: it
begins with 1024 samples of priming. AAC is made at 44.1 or 48 kHz, whichever is nearer kin
to the source's rate. The bitrate printed is that of the coded frames alone.
Exit code 3 if the file is refused.`
}

// bitrate is a number of bits per second, "128000" or "128k".
type bitrate int

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *bitrate) UnmarshalText(text []byte) error {
	digits, kilo := strings.CutSuffix(strings.ToLower(string(text)), "k")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return fmt.Errorf("%q is no bitrate: use 128k or 128000", text)
	}
	switch {
	case kilo:
		n *= 1000
	case n < 1000:
		return fmt.Errorf("%d bit/s is too low: did you mean %dk?", n, n)
	}
	*b = bitrate(n)
	return nil
}

func (cmd encodeCmd) Run(ctx context.Context, s std) error {
	f, err := os.Open(cmd.In)
	if err != nil {
		return err
	}
	defer f.Close()
	show, done := percent(s, cmd.JSON)
	r, err := node.Encode(ctx, f, node.EncodeConfig{
		Out: cmd.Out, Codec: cmd.Codec, Bitrate: int(cmd.Bitrate), Encoder: cmd.Encoder, FFmpeg: cmd.FFmpeg,
		Progress: show, LogOutput: s.err,
	})
	done()
	if err != nil {
		return refused(err)
	}
	if cmd.JSON {
		return printJSON(s.out, r)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(s.err, "warning: %s\n", warning)
	}
	_, err = fmt.Fprintf(s.out, "%s: %s of %s at %.1f kbit/s (busiest 4 s: %.1f), %d Hz, %d channels, %.1f kB, %.1f x realtime\n",
		r.File, clock(time.Duration(r.Seconds*float64(time.Second))), r.Codec, float64(r.Bitrate)/1000, float64(r.PeakBitrate)/1000,
		r.SampleRate, r.Channels, float64(r.Size)/1000, r.Realtime)
	return err
}
