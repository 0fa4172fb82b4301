package decode_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode"
)

// The numbers of resource limits that package syscall does not name.
const (
	limitCPU, limitFileSize, limitData, limitCore, limitFiles = 0, 1, 2, 4, 7
)

// spied is what a spy has found out where a converter runs.
type spied struct {
	Args, Env, Worked []string
	Limits            map[int]uint64
	Fed               string // the first bytes of what it is fed
}

// spy stands in for ffmpeg. It complains of all it can do there, and gives no sound.
func spy(args []string) int {
	fed, _ := io.ReadAll(io.LimitReader(os.Stdin, 64))
	if strings.Contains(string(fed), "sleep") {
		time.Sleep(time.Hour)
	}
	s := spied{Args: args, Env: os.Environ(), Fed: string(fed), Limits: map[int]uint64{}}
	try := func(name string, err error) {
		if err == nil {
			s.Worked = append(s.Worked, name)
		}
	}
	_, err := os.ReadFile("/etc/passwd")
	try("read /etc/passwd", err)
	_, err = os.ReadFile(fmt.Sprintf("/proc/%d/fd/0", os.Getppid()))
	try("open the master", err)
	try("write a file", os.WriteFile(os.TempDir()+"/melodyud-spy", []byte("x"), 0o600))
	try("run a program", exec.Command("/bin/true").Run())
	for _, network := range []string{"tcp", "udp"} {
		if _, err := net.Dial(network, "127.0.0.1:9"); !errors.Is(err, syscall.EACCES) {
			s.Worked = append(s.Worked, network)
		}
	}
	for _, which := range []int{limitCPU, limitFileSize, limitData, limitCore, limitFiles} {
		var l syscall.Rlimit
		if syscall.Getrlimit(which, &l) == nil {
			s.Limits[which] = l.Max
		}
	}
	body, err := json.Marshal(s)
	must(err)
	_, _ = os.Stderr.Write(body)
	return 1
}

// spyConfig has our own test binary, under a name of its own, for a converter.
func spyConfig(t *testing.T) decode.Config {
	t.Helper()
	body, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(name, body, 0o700); err != nil {
		t.Fatal(err)
	}
	return decode.Config{FFmpeg: name, Limits: decode.Limits{MaxMemory: 768 << 20, MaxCPU: 9 * time.Second}}
}

// caf begins like Core Audio, which goes to the converter.
const caf = "caff\x00\x01\x00\x00"

// TestAConverterCanDoNothingButConvert: pipes only, no network, no files, no
// environment, limits of memory, time and files.
func TestAConverterCanDoNothingButConvert(t *testing.T) {
	t.Parallel()
	if landlockABI() < 4 {
		t.Skip("this kernel has no Landlock of version 4")
	}
	cfg := spyConfig(t)
	r := decodeAll(t, cfg, masterFile(t, []byte(caf+"the sound")))
	refusal, ok := melodyud.AsRefusal(r.err)
	if !ok || refusal.Code != "audio.no-sound-data" {
		t.Fatalf("the spy did not run: %v", r.err)
	}
	var s spied
	_, report, _ := strings.Cut(refusal.Cause.Error(), "{")
	if err := json.Unmarshal([]byte("{"+report), &s); err != nil {
		t.Fatalf("%v: %v", err, refusal.Cause)
	}
	at := slices.Index(s.Args, "-protocol_whitelist")
	if want := []string{"-protocol_whitelist", "pipe", "-f", "caf", "-i", "pipe:0"}; at < 0 || !slices.Equal(s.Args[at:at+len(want)], want) {
		t.Errorf("arguments %q", s.Args)
	}
	if s.Fed != caf+"the sound" || len(s.Env) > 0 || len(s.Worked) > 0 {
		t.Errorf("fed %q, environment %q, can %q", s.Fed, s.Env, s.Worked)
	}
	for which, most := range map[int]uint64{limitCPU: 9, limitFileSize: 0, limitData: 768 << 20, limitCore: 0, limitFiles: 32} {
		if got, ok := s.Limits[which]; !ok || got > most {
			t.Errorf("limit %d is %d, want at most %d", which, got, most)
		}
	}
}

func TestAConverterThatHangsDiesWithItsChild(t *testing.T) {
	t.Parallel()
	cfg := spyConfig(t)
	cfg.Limits.MaxStall = 300 * time.Millisecond
	r := decodeAll(t, cfg, masterFile(t, []byte(caf+"sleep")))
	if r.code() != "audio.too-complex" {
		t.Errorf("got %q %v", r.code(), r.err)
	}
	for range 100 {
		if !running(cfg.FFmpeg) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the converter is still running")
}

// running reports a process whose command is name.
func running(name string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	return slices.ContainsFunc(lines, func(line string) bool {
		b, err := os.ReadFile(line)
		return err == nil && strings.HasPrefix(string(b), name+"\x00")
	})
}

// TestScriptsUnderAnotherNameNeverReachAConverter: what could make ffmpeg open
// other files is refused by its first bytes, whatever comes in front.
func TestScriptsUnderAnotherNameNeverReachAConverter(t *testing.T) {
	t.Parallel()
	cfg := spyConfig(t)
	tags := string(taggedWithCover())
	for name, body := range map[string]string{
		"HLS": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nfile:///etc/passwd\n", "ffconcat": "ffconcat version 1.0\nfile /etc/passwd\n",
		"plain concat": "file '/etc/passwd'\n", "protocol": "concat:/etc/passwd|/etc/group", "subfile": "subfile,,start,0,end,9,,:/etc/passwd",
		"SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n", "DASH": "<?xml version=\"1.0\"?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>",
		"SVG": "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file:///etc/passwd\"/></svg>", "playlist of Winamp": "[playlist]\nFile1=/etc/passwd\n",
		"behind a byte order mark": "\xef\xbb\xbf#EXTM3U\n/etc/passwd\n", "behind blanks": "\n\n #EXTM3U\n/etc/passwd\n", "behind tags": tags + "#EXTM3U\nfile:///etc/passwd\n",
		"concat behind tags": tags + tags + "ffconcat version 1.0\nfile /etc/passwd\n",
	} {
		r := decodeAll(t, cfg, masterFile(t, []byte(body+strings.Repeat(" ", 4096))))
		refusal, ok := melodyud.AsRefusal(r.err)
		if !ok || refusal.Code != "audio.unknown-format" && refusal.Code != "audio.no-sound-data" || strings.Contains(fmt.Sprint(refusal.Cause), "nostdin") {
			t.Errorf("%s: %v", name, r.err)
		}
	}
}
