package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud/fixtures"
)

// TestMain lets this test binary be the program itself, so that tests see real
// processes with real exit codes.
func TestMain(m *testing.M) {
	if os.Getenv("MELODYUD_TEST_MAIN") == "1" || (len(os.Args) > 1 && os.Args[1] == "child") {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the command line run for one data directory.
type program struct {
	t    *testing.T
	data string
	url  string
	pid  int // of the server
}

// result is what a command left.
type result struct {
	code     int
	out, err string
}

func (p *program) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "MELODYUD_TEST_MAIN=1", "MELODYUD_DATA="+p.data, "MELODYUD_SERVER="+p.url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (p *program) run(args ...string) result {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must runs a command that has to succeed and returns its standard output.
func (p *program) must(args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	if r.code != 0 {
		p.t.Fatalf("melodyud %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// serving starts a server of its own for a test, with flags besides the usual ones.
func serving(t *testing.T, flags ...string) *program {
	t.Helper()
	p := &program{t: t, data: t.TempDir()}
	cmd := p.command(append([]string{"serve", "--addr", "127.0.0.1:0", "--ffmpeg", "-"}, flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	lines := bufio.NewScanner(out)
	for lines.Scan() && p.url == "" {
		p.url, _ = strings.CutPrefix(lines.Text(), "MelodyUD serves ")
	}
	go io.Copy(io.Discard, out)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", log.String())
		}
	})
	if p.url == "" {
		t.Fatal("serve told no address")
	}
	return p
}

// tone writes a WAV of music and returns its path.
func tone(t *testing.T, seconds int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Tone & Täst.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := fixtures.WAV(f, fixtures.Spec{Samples: seconds * 44100, Wave: fixtures.Music()}); err != nil {
		t.Fatal(err)
	}
	return path
}

func words(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "words.mp3")
	if err := os.WriteFile(path, []byte(strings.Repeat("words ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}

func TestUploadWaitsForAPublishedTrackThatPlays(t *testing.T) {
	t.Parallel()
	p := serving(t)
	up := decode[uploaded](t, p.must("upload", tone(t, 5), "--title", "Tune", "--artist", "Me", "--wait", "--json"))
	if up.State != "published" || !strings.HasPrefix(up.PlaybackURL, p.url+"/p/") {
		t.Fatalf("%+v", up)
	}
	got := decode[track](t, p.must("track", up.Track, "--json"))
	if got.Title != "Tune" || got.Artist != "Me" || got.FileName != "Tone & Täst.wav" || got.Release.Duration != 5 {
		t.Errorf("%+v", got)
	}
	if list := p.must("tracks"); !strings.Contains(list, up.Track) || !strings.Contains(list, "0:05") {
		t.Errorf("tracks says\n%s", list)
	}
	for _, flags := range [][]string{{}, {"--hifi"}, {"--dash"}, {"--hifi", "--encrypt"}} { // HLS-90
		address := strings.TrimSpace(p.must(append([]string{"play-url", up.Track}, flags...)...))
		plays(t, address)
		playsInVLC(t, address)
	}
	for _, args := range [][]string{{"health"}, {"queue", "ls"}, {"queue", "dead"}, {"version"}} {
		if out := p.must(args...); strings.TrimSpace(out) == "" {
			t.Errorf("%v says nothing", args)
		}
	}
}

// plays lets the players that are installed play an address; none may warn about
// the stream. mpv writes to a file: a device would run dry on a busy machine.
func plays(t *testing.T, address string) {
	t.Helper()
	for _, player := range []*exec.Cmd{
		exec.Command("ffmpeg", "-nostdin", "-v", "warning", "-i", address, "-f", "null", "-"),
		exec.Command("mpv", "--no-config", "--no-video", "--ao=pcm", "--ao-pcm-file="+os.DevNull, "--msg-level=all=warn", address),
	} {
		if !installed(t, player) {
			continue
		}
		out, err := player.CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("%s on %s: %v\n%s", player.Args[0], filepath.Base(address), err, out)
		}
	}
}

func installed(t *testing.T, player *exec.Cmd) bool {
	t.Helper()
	if player.Err == nil {
		return true
	}
	if os.Getenv("CI") != "" {
		t.Errorf("%s is not installed", player.Args[0])
	}
	t.Logf("%s is not installed: not tried", player.Args[0])
	return false
}

// playsInVLC lets VLC play an address to its end. It refuses to be root, and what
// it says of desktops that are not there is not about the stream.
func playsInVLC(t *testing.T, address string) {
	t.Helper()
	const nobody = 65534
	home, err := os.MkdirTemp("", "vlc-home-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	vlc := exec.Command("cvlc", "--intf", "dummy", "--no-video", "--aout", "adummy", "--play-and-exit", address, "vlc://quit")
	if !installed(t, vlc) {
		return
	}
	if os.Getuid() == 0 {
		vlc.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(home, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	vlc.Env = append(os.Environ(), "HOME="+home)
	out, err := vlc.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		about := strings.ToLower(line)
		if !strings.Contains(about, "interface") && (strings.Contains(about, "error") || strings.Contains(about, "warning")) {
			t.Errorf("VLC on %s: %s", filepath.Base(address), line)
		}
	}
	if err != nil || !strings.Contains(string(out), "end of playlist") {
		t.Errorf("VLC on %s: %v\n%s", filepath.Base(address), err, out)
	}
}

func TestRefusedFilesExitWithThreeAndAReason(t *testing.T) {
	t.Parallel()
	p := serving(t)
	empty := filepath.Join(t.TempDir(), "empty.wav")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, code := range map[string]string{words(t): "audio.unknown-format", empty: "upload.empty"} {
		r := p.run("upload", file, "--wait")
		if r.code != exitRefused || !strings.Contains(r.err, code+": ") {
			t.Errorf("%s: exit %d, %s", filepath.Base(file), r.code, r.err)
		}
	}
	r := p.run("upload", words(t), tone(t, 1), "--wait", "--json")
	if r.code != exitRefused || !strings.Contains(r.out, `"published"`) || !strings.Contains(r.out, `"refused"`) {
		t.Errorf("one bad file of two: exit %d, %s", r.code, r.out)
	}
}

func TestWaitingEndsWhenAnUploadIsRefusedBeforeItIsATrack(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /v1/uploads":
			w.Header().Set("Location", "/v1/uploads/upl_1")
			w.Header().Set("Melodyud-Track", "trk_1")
			w.WriteHeader(http.StatusCreated)
		case "PATCH /v1/uploads/upl_1":
			n, _ := io.Copy(io.Discard, r.Body)
			w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
			w.WriteHeader(http.StatusNoContent)
		case "GET /v1/uploads/upl_1":
			io.WriteString(w, `{"state":"refused","refusal":{"code":"upload.damaged","text":"Upload it again."}}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	p := &program{t: t, data: t.TempDir(), url: server.URL}
	r := p.run("upload", words(t), "--wait", "--key", "mk_any")
	if r.code != exitRefused || !strings.Contains(r.err, "upload.damaged: Upload it again.") {
		t.Errorf("exit %d, want 3\n%s%s", r.code, r.out, r.err)
	}
}

func TestABusyServerHasNotRefusedTheFile(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"status":429,"code":"upload.too-many","detail":"Finish some first."}`)
	}))
	defer server.Close()
	p := &program{t: t, data: t.TempDir(), url: server.URL}
	if r := p.run("upload", words(t), "--key", "mk_any"); r.code != exitFailed || !strings.Contains(r.err, "upload.too-many") {
		t.Errorf("exit %d, want 1\n%s%s", r.code, r.out, r.err)
	}
}

func TestProbeSaysAcceptOrRefuse(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	if out := p.must("probe", tone(t, 2), "--json"); !strings.Contains(out, `"verdict":"accept"`) || !strings.Contains(out, `"seconds":2`) {
		t.Error(out)
	}
	r := p.run("probe", tone(t, 1), words(t), "--ffmpeg", "-")
	if r.code != exitRefused || !strings.Contains(r.out, "refuse audio.unknown-format: ") || !strings.Contains(r.out, ": accept ") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
}

func TestRenderWritesEverythingWithoutAServer(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	out := t.TempDir()
	made := decode[struct {
		Seconds  float64 `json:"seconds"`
		Wall     float64 `json:"wall_seconds"`
		CPU      float64 `json:"cpu_seconds"`
		Realtime float64 `json:"x_realtime"`
		Peak     int64   `json:"peak_bytes"`
		Manifest struct {
			Renditions []struct{ File string }
		}
	}](t, p.must("render", tone(t, 6), "--out", out, "--ladder", "aac-96,flac", "--json"))
	if made.Seconds != 6 || made.Wall <= 0 || made.CPU <= 0 || made.Realtime <= 0 || made.Peak <= 0 || len(made.Manifest.Renditions) != 2 {
		t.Errorf("%+v", made)
	}
	for _, name := range []string{
		"aac-96.mp4", "flac.mp4", "manifest.json", "index.m3u8", "hifi.m3u8", "aac-96.m3u8", "flac.m3u8",
		"manifest.mpd", "features.json", "waveform.dat",
	} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	plays(t, filepath.Join(out, "hifi.m3u8"))
	if r := p.run("render", words(t), "--out", t.TempDir(), "--ffmpeg", "-"); r.code != exitRefused {
		t.Errorf("words: exit %d", r.code)
	}
}

func TestServeThatCannotStartExitsWithTwoAndOneLine(t *testing.T) {
	t.Parallel()
	p := serving(t)
	for name, args := range map[string][]string{
		"data directory in use": {"serve", "--addr", "127.0.0.1:0"},
		"unreachable database":  {"serve", "--data", t.TempDir(), "--db", "postgres://127.0.0.1:1/x"},
		"unreachable queue":     {"serve", "--data", t.TempDir(), "--queue", "redis://127.0.0.1:1"},
		"bad URL":               {"serve", "--data", t.TempDir(), "--objects", "ftp://x"},
		"address in use":        {"serve", "--data", t.TempDir(), "--addr", strings.TrimPrefix(p.url, "http://")},
	} {
		r := p.run(args...)
		if r.code != exitStart || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: exit %d, %s", name, r.code, r.err)
		}
	}
}

func TestCommandsWithoutAServerSayWhatToDo(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir(), url: "http://127.0.0.1:1"}
	if r := p.run("tracks"); r.code != exitFailed || !strings.Contains(r.err, "--key") {
		t.Errorf("without a key: exit %d, %s", r.code, r.err)
	}
	if r := p.run("tracks", "--key", "mk_x"); r.code != exitFailed || !strings.Contains(r.err, "melodyud serve") {
		t.Errorf("without a server: exit %d, %s", r.code, r.err)
	}
	if r := p.run("--help"); r.code != exitOK || !strings.Contains(r.out, "melodyud upload song.flac --wait") {
		t.Errorf("--help: exit %d", r.code)
	}
	if r := p.run("dance"); r.code != exitFailed || !strings.Contains(r.err, "--help") {
		t.Errorf("unknown command: exit %d, %s", r.code, r.err)
	}
}

func TestOnlyVariablesOfOurOwnAreRead(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	for _, variable := range regexp.MustCompile(`\(\$(\w+)\)`).FindAllStringSubmatch(p.must("upload", "--help")+p.must("serve", "--help"), -1) {
		if !strings.HasPrefix(variable[1], "MELODYUD_") {
			t.Errorf("$%s may mean anything on somebody's machine", variable[1])
		}
	}
}

func TestASecondSignalEndsAServerAtOnce(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	cmd := p.command("serve", "--addr", "127.0.0.1:0", "--ffmpeg", "-", "--drain", "10m")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(strings.TrimSpace(first), "MelodyUD serves http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // the server waits for the rest of this request
	if _, err := fmt.Fprintf(conn, "POST /v1/session HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n", address); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(answer, "100") {
		t.Fatalf("the request began with %q %v", answer, err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), "node stopping"); {
	}
	go io.Copy(io.Discard, log)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(10 * time.Millisecond) // the first may still be being taken
	defer again.Stop()
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the server ended with %v, want the second signal to end it", cmd.ProcessState)
	}
}
