package format

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// conversion is one job for ffmpeg.
type conversion struct {
	demuxer        string    // forced: it never guesses
	what           string    // for the refusal when there is no ffmpeg
	rate, channels int       // expected; 0 as it comes
	feed           io.Reader // the bytes to convert
}

// converted is the sound of an ffmpeg that runs inside this sandbox. It is fed
// through a pipe, is told the demuxer, may use no protocol but pipes, and can open
// nothing but its own libraries.
type converted struct {
	cmd    *exec.Cmd
	from   *bufio.Reader
	stderr Complaint
	sound  *interleaved
	rate   int
	count  int64
	ended  error
	cpu    time.Duration // it may use
}

// startConverter runs ffmpeg and waits for the format it decodes to.
func startConverter(in *Input, c conversion) (*converted, error) {
	if in.FFmpeg == "" {
		return nil, needsConverter(c.what)
	}
	v := &converted{cpu: in.Limits.MaxCPU}
	v.cmd = exec.Command(in.FFmpeg, converterArgs(c)...) //nolint:gosec // a path of our configuration
	v.cmd.Env = []string{}
	v.cmd.Stdin, v.cmd.Stderr = c.feed, &v.stderr
	shareFate(v.cmd)
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := v.cmd.Start(); err != nil {
		return nil, &Fault{Code: "audio.needs-converter", What: c.what, Cause: err.Error()}
	}
	v.from = bufio.NewReaderSize(out, 64<<10)
	if err := v.head(c); err != nil {
		return nil, err
	}
	return v, nil
}

func converterArgs(c conversion) []string {
	return []string{
		"-nostdin", "-hide_banner", "-v", "error", "-threads", "1",
		"-protocol_whitelist", "pipe", "-f", c.demuxer, "-i", "pipe:0",
		"-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-threads", "1",
		"-c:a", "pcm_f32le", "-fflags", "+bitexact", "-f", "wav", "pipe:1",
	}
}

// head reads the header of the endless WAV that ffmpeg writes.
func (v *converted) head(c conversion) error {
	rate, channels, err := streamedWAV(v.from)
	if err != nil {
		return v.verdict(err)
	}
	if c.channels != 0 && c.channels != channels || c.rate != 0 && c.rate != rate {
		return Reject("audio.damaged", "converter gives %d Hz, %d channels instead of %d, %d", rate, channels, c.rate, c.channels)
	}
	if channels < 1 || channels > MaxChannels {
		return Reject("audio.too-many-channels", "%d channels", channels)
	}
	v.rate = rate
	v.sound = newInterleaved(v.from, codings["f32"], channels, 1<<62)
	return nil
}

// streamedWAV reads up to the data chunk of a WAV that cannot be sought in.
func streamedWAV(r io.Reader) (rate, channels int, err error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	for range 16 {
		if _, err := io.ReadFull(r, head[:chunkHead]); err != nil {
			return 0, 0, unexpected(err)
		}
		if string(head[:4]) == "data" {
			return rate, channels, nil
		}
		n := binary.LittleEndian.Uint32(head[4:])
		if n > 1<<16 {
			return 0, 0, fmt.Errorf("converter's WAV has a chunk of %d bytes", n)
		}
		body := make([]byte, n+n&1)
		if _, err := io.ReadFull(r, body); err != nil {
			return 0, 0, unexpected(err)
		}
		if string(head[:4]) == "fmt " && n >= 16 {
			channels, rate = int(binary.LittleEndian.Uint16(body[2:])), int(binary.LittleEndian.Uint32(body[4:]))
		}
	}
	return 0, 0, errors.New("converter's WAV has no data chunk")
}

// Read reads whole blocks; the last may be short, which only the end tells.
func (v *converted) Read() (pcm.Block, error) {
	if v.ended != nil {
		return pcm.Block{}, v.ended
	}
	want := 4 * v.sound.channels
	if b, err := v.from.Peek(want); len(b) < want {
		v.ended = v.verdict(err)
		return pcm.Block{}, v.ended
	}
	v.sound.left = int64(max(1, min(v.from.Buffered()/want, BlockLen)))
	b, err := v.sound.Read()
	if err != nil {
		v.ended = v.verdict(err)
		return pcm.Block{}, v.ended
	}
	v.count += int64(b.Len())
	return b, nil
}

// verdict is what ffmpeg's end says of the file.
func (v *converted) verdict(err error) error {
	if err != io.EOF {
		_ = v.cmd.Process.Kill() // it may be the one that is stuck
	}
	died := v.cmd.Wait()
	complaint := v.stderr.String()
	switch {
	case spent(v.cmd.ProcessState, v.cpu):
		return Reject("audio.too-complex", "converter ran out of time or memory: %s", complaint)
	case died != nil && v.count > 0:
		return Reject("audio.damaged", "converter: %v: %s", died, complaint)
	case v.count == 0:
		return Reject("audio.no-sound-data", "converter: %v: %s", died, complaint)
	case err != io.EOF:
		return Reject("audio.damaged", "converter: %v: %s", err, complaint)
	}
	return io.EOF
}

func (v *converted) Warnings() []string {
	if v.stderr.buf.Len() == 0 {
		return nil
	}
	return []string{"Parts of the file could not be read cleanly while it was converted."}
}

// openConverted makes the facts of a form that only ffmpeg knows.
func openConverted(in *Input, f form, facts Facts, feed io.Reader) (Facts, Sound, error) {
	v, err := startConverter(in, conversion{demuxer: f.demuxer, what: f.what, feed: feed})
	if err != nil {
		return Facts{}, nil, err
	}
	facts.SampleRate, facts.Channels, facts.Samples = v.rate, v.sound.channels, -1
	facts.Source.SampleRate, facts.Source.Channels = v.rate, v.sound.channels
	return facts, v, nil
}
