package encode

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/aac"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// FFmpeg codes AAC-LC with an ffmpeg process, which only ever sees our own
// samples: nothing of a creator's file reaches it.
type FFmpeg struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	errors  bytes.Buffer
	done    chan struct{} // closed when the access units have been read
	readErr error
	units   unitWriter
	config  []byte
	samples int64
	raw     []byte
	waited  bool
}

// NewFFmpeg starts the program at path as an Encoder of s, with the same demands
// as NewAAC. The process ends with ctx, Close or Abort, one of which must come.
func NewFFmpeg(ctx context.Context, path string, s media.Stream, sink media.Sink) (*FFmpeg, error) {
	f := &FFmpeg{
		done: make(chan struct{}), units: unitWriter{sink: sink},
		config: aac.Config{SampleRate: s.SampleRate, Channels: s.Channels}.AudioSpecificConfig(),
	}
	f.cmd = exec.CommandContext(ctx, path, "-nostdin", "-hide_banner", "-v", "error",
		"-f", "f32le", "-ar", strconv.Itoa(s.SampleRate), "-ac", strconv.Itoa(s.Channels), "-i", "pipe:0",
		"-c:a", "aac", "-b:a", strconv.Itoa(s.Bitrate), "-flags", "+bitexact", "-f", "adts", "pipe:1")
	f.cmd.Env = []string{}
	f.cmd.Stderr = &f.errors
	f.cmd.WaitDelay = 5 * time.Second
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("pipe to ffmpeg: %w", err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe from ffmpeg: %w", err)
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	go f.read(out)
	return f, nil
}

// Encode implements Encoder.
func (f *FFmpeg) Encode(b pcm.Block) error {
	f.raw = f.raw[:0]
	for i := range b.Len() {
		for _, s := range b.Samples {
			v := min(max(s[i], -1), 1)
			f.raw = binary.LittleEndian.AppendUint32(f.raw, math.Float32bits(v))
		}
	}
	f.samples += int64(b.Len())
	if _, err := f.in.Write(f.raw); err != nil {
		return f.fail(err)
	}
	return nil
}

// read writes access units to the sink until ffmpeg ends; it then swallows the
// rest, so that ffmpeg never blocks on us.
func (f *FFmpeg) read(out io.Reader) {
	defer close(f.done)
	r := bufio.NewReader(out)
	for f.readErr == nil {
		unit, err := nextADTS(r)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = f.units.write(unit)
		}
		f.readErr = err
	}
	_, _ = io.Copy(io.Discard, out)
}

// nextADTS reads one ADTS frame (ISO/IEC 13818-7 §6.2) and returns its access
// unit, or io.EOF at the end.
func nextADTS(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(7)
	if len(head) == 0 {
		return nil, err
	}
	if len(head) < 7 || head[0] != 0xFF || head[1]&0xF6 != 0xF0 || head[6]&3 != 0 {
		return nil, fmt.Errorf("ffmpeg gave no ADTS frame: % x", head)
	}
	size := int(head[3]&3)<<11 | int(head[4])<<3 | int(head[5])>>5
	skip := 7
	if head[1]&1 == 0 {
		skip = 9 // with a CRC
	}
	if size < skip {
		return nil, fmt.Errorf("ffmpeg gave an ADTS frame of %d bytes", size)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, fmt.Errorf("read ADTS frame: %w", err)
	}
	return frame[skip:], nil
}

// Close implements Encoder.
func (f *FFmpeg) Close() (media.Ending, error) {
	if err := f.in.Close(); err != nil {
		return media.Ending{}, f.fail(err)
	}
	<-f.done
	if f.readErr != nil {
		return media.Ending{}, f.fail(f.readErr)
	}
	if err := f.wait(); err != nil {
		return media.Ending{}, f.fail(err)
	}
	return f.units.end(f.samples, f.config)
}

// Abort implements Encoder.
func (f *FFmpeg) Abort() {
	if f.waited {
		return
	}
	_ = f.cmd.Process.Kill() // it may have ended by itself
	_ = f.in.Close()
	<-f.done
	_ = f.wait()
}

func (f *FFmpeg) wait() error {
	if f.waited {
		return nil
	}
	f.waited = true
	return f.cmd.Wait()
}

// fail ends the process and joins what it said to err.
func (f *FFmpeg) fail(err error) error {
	f.Abort()
	said := strings.TrimSpace(f.errors.String())
	return fmt.Errorf("ffmpeg aac: %w: %s", err, said[:min(len(said), 300)])
}

// FFmpegVersion returns what the program at path calls itself, as one word.
func FFmpegVersion(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, path, "-version").Output()
	if err != nil {
		return "", fmt.Errorf("ask ffmpeg's version: %w", err)
	}
	words := strings.Fields(string(out))
	if len(words) < 3 || words[1] != "version" {
		return "", errors.New("ffmpeg does not say its version")
	}
	return "ffmpeg" + words[2], nil
}
