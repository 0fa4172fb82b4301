package decode_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
)

const someFacts = `{"SampleRate":44100,"Channels":1,"Samples":-1,"Source":{"container":"wav\n#EXT","codec":"x"},` +
	`"Tags":{"title":"a\u0000b\u202ec\nd"},"Picture":"PHN2Zz4="}`

func word(kind byte, body string) string {
	return string(kind) + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// rogue is a child that a hostile file has taken over, or killed.
func rogue(mode, arg string) {
	say := func(s string) { _, _ = io.WriteString(os.Stdout, s) }
	switch mode {
	case "mute":
		time.Sleep(time.Hour)
	case "panic":
		panic("decoder")
	case "liar":
		say("F\xff\xff\xff\xff")
		time.Sleep(time.Hour)
	case "gibberish":
		say(strings.Repeat("?", 1000))
	case "endless":
		say(word('F', someFacts))
		for {
			say(word('B', strings.Repeat("\x00", 4<<16)))
		}
	case "stops":
		say(word('F', someFacts) + word('B', "\x00\x00\x00\x00"))
	case "short count":
		say(word('F', someFacts) + word('B', "\x00\x00\x00\x00") + word('E', `{"samples":2}`))
	case "own words":
		say(word('R', `{"code":"audio.pay-me","what":"send money"}`))
	case "dirty facts":
		say(word('F', someFacts) + word('B', "\x00\x00\x00\x00") + word('E', `{"samples":1,"cover":["PHN2Zz4=","PHN2Zz4=","PHN2Zz4="]}`))
	case "stopped":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "heir":
		must(decode.Enclose(arg))
		say(word('R', `{"code":"audio.damaged","cause":"`+inherited()+`"}`))
	case "caller":
		must(decode.Enclose(arg))
		say(word('R', `{"code":"audio.damaged","cause":"`+sockets()+`"}`))
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "eater":
		must(decode.Enclose(arg))
		for hoard := [][]byte{}; ; hoard = append(hoard, make([]byte, 1<<20)) {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			hoard = append(hoard, b)
		}
	case "spinner":
		must(decode.Enclose(arg))
		for i := 0; ; i++ {
			_ = i
		}
	case "escape":
		escape(arg)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// escape tries everything a decoder has no business with and tells what worked.
func escape(arg string) {
	dir := os.TempDir()
	must(decode.Enclose(arg))
	must(decode.Seal())
	worked := []string{}
	try := func(name string, err error) {
		if err == nil {
			worked = append(worked, name)
		}
	}
	_, err := os.ReadFile("/etc/passwd")
	try("read /etc/passwd", err)
	_, err = os.ReadDir("/")
	try("list /", err)
	try("write a file", os.WriteFile(dir+"/melodyud-escape", []byte("x"), 0o600))
	try("run a program", exec.Command("/bin/true").Run())
	conn, err := net.Dial("tcp", "127.0.0.1:9")
	if !errors.Is(err, syscall.EACCES) {
		worked = append(worked, fmt.Sprintf("connect: %v %v", conn, err))
	}
	_, err = os.Open("/proc/self/environ")
	try("read the environment", err)
	_, _ = io.WriteString(os.Stderr, strings.Join(worked, "; "))
	_, _ = io.WriteString(os.Stdout, word('R', `{"code":"audio.damaged","cause":"`+strings.Join(worked, "; ")+`"}`))
}

// sockets lists the kinds of socket that can be had.
func sockets() (list string) {
	for name, kind := range map[string][2]int{
		"tcp": {syscall.AF_INET, syscall.SOCK_STREAM}, "udp": {syscall.AF_INET6, syscall.SOCK_DGRAM},
		"local": {syscall.AF_UNIX, syscall.SOCK_STREAM},
	} {
		if _, err := syscall.Socket(kind[0], kind[1], 0); !errors.Is(err, syscall.EACCES) {
			list += fmt.Sprint(name, ": ", err, " ")
		}
	}
	return list
}

// inherited lists the descriptors that have outlived an exec.
func inherited() (list string) {
	for fd := 3; fd < 256; fd++ {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			list += fmt.Sprint(fd, " ")
		}
	}
	return list
}

func rogueConfig(t *testing.T, mode string) decode.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return decode.Config{
		Child: []string{self, "rogue", mode}, FFmpeg: "-",
		Limits: decode.Limits{MaxStall: 20 * time.Second, MaxCPU: 2 * time.Second, MaxMemory: 256 << 20, MaxDuration: time.Minute},
	}
}

func TestAChildThatFailsIsARefusalAndNoMore(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"mute": "audio.too-complex", "panic": "audio.too-complex", "liar": "audio.too-complex",
		"gibberish": "audio.too-complex", "endless": "audio.too-long", "stops": "audio.too-complex",
		"short count": "audio.too-complex", "own words": "audio.too-complex",
		"eater": "audio.too-complex", "spinner": "audio.too-complex",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cfg := rogueConfig(t, mode)
			if mode == "mute" {
				cfg.Limits.MaxStall = 200 * time.Millisecond
			}
			r := decodeAll(t, cfg, masterFile(t, bytesOf(t, fixtures.WAV, fixtures.Spec{Samples: 10})))
			if r.code() != want {
				t.Errorf("got %q (%v), want %s", r.code(), r.err, want)
			}
		})
	}
}

func TestAChildKilledByTheMachineIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := decodeAll(t, rogueConfig(t, "killed"), masterFile(t, []byte("x")))
	if !errors.Is(r.err, melodyud.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", r.err)
	}
}

func TestAChildThatIsHeldIsTriedAgain(t *testing.T) {
	t.Parallel()
	cfg := rogueConfig(t, "stopped")
	cfg.Limits.MaxStall = 100 * time.Millisecond
	r := decodeAll(t, cfg, masterFile(t, []byte("x")))
	if !errors.Is(r.err, melodyud.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", r.err)
	}
}

func TestACallerThatStoodStillStillHearsTheChild(t *testing.T) {
	t.Parallel()
	cfg := rogueConfig(t, "dirty facts")
	cfg.Limits.MaxStall = time.Nanosecond // it is always over
	if r := decodeAll(t, cfg, masterFile(t, []byte("x"))); r.err != nil || len(r.planes[0]) != 1 {
		t.Errorf("got %v, %d channels", r.err, len(r.planes))
	}
}

func TestAChildHasNoDescriptorOfOurCallers(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0) // as a shell would leave it: not to be closed on exec
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	r := decodeAll(t, rogueConfig(t, "heir"), masterFile(t, []byte("x")))
	refusal, ok := melodyud.AsRefusal(r.err)
	if !ok || refusal.Code != "audio.damaged" || refusal.Cause != nil {
		t.Errorf("the child still has: %v", r.err)
	}
}

func TestAChildHasNoSocketOfAnyKind(t *testing.T) {
	t.Parallel()
	r := decodeAll(t, rogueConfig(t, "caller"), masterFile(t, []byte("x")))
	refusal, ok := melodyud.AsRefusal(r.err)
	if !ok || refusal.Code != "audio.damaged" || refusal.Cause != nil {
		t.Errorf("the child can have: %v", r.err)
	}
}

func TestFactsFromAChildAreCleaned(t *testing.T) {
	t.Parallel()
	r := decodeAll(t, rogueConfig(t, "dirty facts"), masterFile(t, []byte("x")))
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.facts.Tags.Title != "abc d" || r.facts.Source.Container != "wavEXT" || !r.facts.Cover.None() || r.facts.Picture != nil {
		t.Errorf("got %+v", r.facts)
	}
}

func TestAnEnclosedChildReachesNothing(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/kernel/security/landlock"); err != nil && landlockABI() < 4 {
		t.Skip("this kernel has no Landlock of version 4")
	}
	r := decodeAll(t, rogueConfig(t, "escape"), masterFile(t, []byte("x")))
	refusal, ok := melodyud.AsRefusal(r.err)
	if !ok || refusal.Code != "audio.damaged" {
		t.Fatalf("the probe did not run: %v", r.err)
	}
	if refusal.Cause != nil {
		t.Errorf("worked: %v", refusal.Cause)
	}
}

func landlockABI() int {
	const createRuleset, versionFlag = 444, 1
	v, _, errno := syscall.Syscall(createRuleset, 0, 0, versionFlag)
	if errno != 0 {
		return 0
	}
	return int(v)
}

func TestCancellingEndsTheChild(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := decode.Start(ctx, rogueConfig(t, "endless"), masterFile(t, []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = s.Read()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, again := s.Read(); !errors.Is(again, err) {
		t.Errorf("second read gives %v", again)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}
