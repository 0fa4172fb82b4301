package decode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/cover"
	"github.com/melodyud/melodyud/transcode/decode/format"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Stream is a master being decoded by a child. It is a pcm.Source; like one, it
// is for one goroutine at a time.
type Stream struct {
	ctx     context.Context // of Start: ends the child
	cmd     *exec.Cmd
	out     *secondLook
	ear     ear
	stderr  format.Complaint
	limits  Limits
	logger  *slog.Logger
	facts   Facts
	samples int64 // read so far
	err     error // sticky
	reaped  bool
}

// Start starts a child on f, which must be a regular file open for reading and
// stay open until Close, and reads its facts. What is wrong with the file comes
// as a *melodyud.Refusal from here or from Read; trouble of the machine comes as
// ErrUnavailable. The Stream must be closed.
func Start(ctx context.Context, cfg Config, f *os.File) (*Stream, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat master: %w", err)
	}
	limits := cfg.Limits.Filled(info.Size())
	if info.Size() == 0 {
		return nil, refusal(&format.Fault{Code: "upload.empty"}, limits)
	}
	s := &Stream{ctx: ctx, limits: limits, logger: cfg.Logger}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if err := s.spawn(ctx, cfg, f); err != nil {
		return nil, err
	}
	if err := s.readFacts(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stream) spawn(ctx context.Context, cfg Config, f *os.File) error {
	argv, err := childCommand(cfg, s.limits)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("%w: pipe to decoder: %w", melodyud.ErrUnavailable, err)
	}
	s.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	s.cmd.Env = []string{} // nil would hand over ours
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = f, w, &s.stderr
	s.cmd.Cancel = func() error { return killTree(s.cmd.Process) }
	s.cmd.WaitDelay = 5 * time.Second
	confine(s.cmd)
	err = s.cmd.Start()
	_ = w.Close() // the child's end
	if err != nil {
		_ = r.Close()
		return fmt.Errorf("%w: start decoder: %w", melodyud.ErrUnavailable, err)
	}
	widen(r)
	s.out = &secondLook{File: r}
	s.ear.r = bufio.NewReaderSize(s.out, 64<<10)
	return nil
}

// errand is what the child is told: its only argument after "decode".
type errand struct {
	Limits Limits `json:"limits"`
	FFmpeg string `json:"ffmpeg,omitempty"` // absolute path, "" none
}

func childCommand(cfg Config, l Limits) ([]string, error) {
	argv := cfg.Child
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own executable: %w", err)
		}
		argv = []string{self, "child"}
	}
	body, err := json.Marshal(errand{Limits: l, FFmpeg: findFFmpeg(cfg.FFmpeg)})
	if err != nil {
		return nil, err
	}
	return append(argv[:len(argv):len(argv)], "decode", string(body)), nil
}

func findFFmpeg(wish string) string {
	switch wish {
	case "-":
		return ""
	case "":
		wish = "ffmpeg"
	}
	path, err := exec.LookPath(wish)
	if err != nil {
		return ""
	}
	return path
}

// Facts returns what is known of the master; after Read has returned io.EOF the
// number of samples, the cover and the warnings are final.
func (s *Stream) Facts() Facts { return s.facts }

// Format returns the format of the samples.
func (s *Stream) Format() pcm.Format {
	return pcm.Format{Rate: s.facts.SampleRate, Channels: s.facts.Channels, BitDepth: s.facts.BitDepth}
}

// Read returns the next block, as pcm.Source says. Anything but io.EOF at the
// end means the blocks before must not be published.
func (s *Stream) Read() (pcm.Block, error) {
	if s.err != nil {
		return pcm.Block{}, s.err
	}
	b, err := s.next()
	if err != nil {
		s.err = err
		return pcm.Block{}, err
	}
	return b, nil
}

func (s *Stream) next() (pcm.Block, error) {
	kind, body, err := s.listen()
	if err != nil {
		return pcm.Block{}, s.obituary(err)
	}
	switch kind {
	case wordBlock:
		b, err := s.ear.block(body)
		if err != nil {
			return pcm.Block{}, s.disown(err)
		}
		return b, s.count(b.Len())
	case wordEnd:
		return pcm.Block{}, s.farewell(body)
	case wordRefusal:
		return pcm.Block{}, s.refused(body)
	}
	return pcm.Block{}, s.disown(fmt.Errorf("child said %q", kind))
}

// listen waits for a word, but not longer than MaxStall.
func (s *Stream) listen() (byte, []byte, error) {
	if err := s.out.SetReadDeadline(time.Now().Add(s.limits.MaxStall)); err != nil {
		return 0, nil, err
	}
	s.out.taken = false
	return s.ear.listen()
}

// secondLook is a pipe that is read once more when time is up: if it was we who
// stood still, in a paused container, the child's words are there.
type secondLook struct {
	*os.File
	taken bool
}

func (l *secondLook) Read(p []byte) (int, error) {
	n, err := l.File.Read(p)
	if n > 0 || l.taken || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	l.taken = true
	if err := l.SetReadDeadline(time.Now().Add(grace)); err != nil {
		return 0, err
	}
	return l.File.Read(p)
}

func (s *Stream) readFacts() error {
	kind, body, err := s.listen()
	if err != nil {
		return s.obituary(err)
	}
	if kind == wordRefusal {
		return s.refused(body)
	}
	if kind != wordFacts {
		return s.disown(fmt.Errorf("child began with %q", kind))
	}
	if err := json.Unmarshal(body, &s.facts); err != nil {
		return s.disown(fmt.Errorf("read facts: %w", err))
	}
	if f := s.facts.Check(s.limits); f != nil {
		return refusal(f, s.limits)
	}
	s.facts.Tidy()
	s.ear.channels = s.facts.Channels
	return nil
}

func (s *Stream) count(n int) error {
	s.samples += int64(n)
	if f := s.facts.TooLong(s.samples, s.limits); f != nil {
		s.kill()
		return refusal(f, s.limits)
	}
	return nil
}

func (s *Stream) farewell(body []byte) error {
	var bye farewell
	if err := json.Unmarshal(body, &bye); err != nil {
		return s.disown(fmt.Errorf("read farewell: %w", err))
	}
	if bye.Samples != s.samples {
		return s.disown(fmt.Errorf("child sent %d samples and says %d", s.samples, bye.Samples))
	}
	if f := s.facts.TooShort(s.samples, s.limits); f != nil {
		return refusal(f, s.limits)
	}
	s.facts.Samples = s.samples
	s.facts.Warnings = append(s.facts.Warnings, bye.Warnings...)
	s.facts.Cover = asPromised(bye.Cover)
	s.facts.Tidy()
	return io.EOF
}

// asPromised returns c if it holds what package cover makes, or no cover.
func asPromised(c Cover) Cover {
	for _, image := range c {
		if cover.Kind(image) != "image/jpeg" || len(image) > cover.MaxImage {
			return Cover{}
		}
	}
	return c
}

func (s *Stream) refused(body []byte) error {
	f := &format.Fault{}
	if err := json.Unmarshal(body, f); err != nil {
		return s.disown(fmt.Errorf("read refusal: %w", err))
	}
	if _, ok := reasonFor(f.Code); !ok || !knownDetail(f.What) {
		return s.disown(fmt.Errorf("child refuses with %q, %q", f.Code, f.What))
	}
	return refusal(f, s.limits)
}

// disown is for a child that breaks the protocol: it can only be a file that has
// taken it over, or a fault of ours.
func (s *Stream) disown(cause error) error {
	s.kill()
	return s.tooComplex(cause)
}

func (s *Stream) tooComplex(cause error) error {
	s.logger.Warn("decoder child failed", "cause", cause, "stderr", s.stderr.String())
	f := &format.Fault{Code: "audio.too-complex", Cause: cause.Error()}
	return refusal(f, s.limits)
}

// obituary says why a child stopped talking.
func (s *Stream) obituary(cause error) error {
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		held := standsStill(s.cmd.Process)
		s.kill()
		if held { // not the file's doing
			return fmt.Errorf("%w: decoder stood still: %w", melodyud.ErrUnavailable, cause)
		}
		return s.tooComplex(fmt.Errorf("silent for %s", s.limits.MaxStall))
	}
	if ctx := context.Cause(s.ctx); ctx != nil {
		s.kill()
		return ctx
	}
	if !errors.Is(cause, io.EOF) && !errors.Is(cause, io.ErrUnexpectedEOF) {
		return s.disown(cause)
	}
	err := s.reap()
	if ctx := context.Cause(s.ctx); ctx != nil {
		return ctx
	}
	if killedFromOutside(s.cmd.ProcessState, s.limits.MaxCPU) {
		return fmt.Errorf("%w: decoder was killed: %w", melodyud.ErrUnavailable, err)
	}
	if err == nil {
		err = cause
	}
	return s.tooComplex(err)
}

func (s *Stream) kill() {
	if !s.reaped {
		_ = killTree(s.cmd.Process) // already gone is as good
	}
}

// grace is how long a child that has closed its mouth may take to die, and how
// long one may still speak when its time is up.
const grace = 5 * time.Second

// reap waits for the child's end, which tells more than its silence.
func (s *Stream) reap() error {
	if s.reaped {
		return nil
	}
	s.reaped = true
	late := time.AfterFunc(grace, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	return s.cmd.Wait()
}

// Close ends the child, whatever it is doing, and waits for it. It may be called
// more than once.
func (s *Stream) Close() error {
	s.kill()
	_ = s.reap() // how it died has been said by Read
	if s.err == nil {
		s.err = os.ErrClosed
	}
	if err := s.out.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close pipe of decoder: %w", err)
	}
	return nil
}
