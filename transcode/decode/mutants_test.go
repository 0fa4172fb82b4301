package decode_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
)

// What the mutants must keep to, each of them and all together.
const (
	mutantTime   = 60 * time.Second
	mutantMemory = 512 << 20 // bytes resident
)

// errandOfMutants is what a process that decodes mutants is told.
type errandOfMutants struct {
	From, To, Step int
	Corpus         string // folder, "" for our own seeds only
}

// mutantCount is how many files are mutated: MELODYUD_MUTANTS, or else 20,000, or
// few in short runs.
func mutantCount(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("MELODYUD_MUTANTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("MELODYUD_MUTANTS=%q is no number", s)
		}
		return n
	}
	if testing.Short() {
		return 400
	}
	return 20_000
}

// TestNoMutantKillsADecoder mutates files of every format we decode and gives them
// to the decoder as the child runs it: in processes confined like a child (memory,
// files, network, system calls), which take many files each, because a process for
// each would cost minutes. Every file has to end, within the limits, in samples or
// in a refusal there is a sentence for; not even the process that read it may die.
func TestNoMutantKillsADecoder(t *testing.T) {
	t.Parallel()
	n, processes := mutantCount(t), min(2, runtime.NumCPU())
	var all sync.WaitGroup
	results := make([]mutantReport, processes)
	for i := range processes {
		all.Go(func() {
			results[i] = runMutants(t, errandOfMutants{From: i, To: n, Step: processes, Corpus: corpusFolder()})
		})
	}
	all.Wait()
	sum := mutantReport{codes: map[string]int{}}
	for _, r := range results {
		sum.add(r)
	}
	if sum.files != n {
		t.Errorf("%d of %d files came to an end", sum.files, n)
	}
	if sum.peak > mutantMemory {
		t.Errorf("%d MiB resident, more than %d", sum.peak>>20, mutantMemory>>20)
	}
	if share := float64(sum.codes[""]) / float64(n); share < 0.02 || share > 0.9 {
		t.Errorf("%.0f %% of the mutants were accepted: they are too broken, or not broken enough, to test anything", 100*share)
	}
	t.Logf("%d files, slowest %s, %d MiB, %d panics caught, %v", sum.files, sum.slowest.Round(time.Millisecond), sum.peak>>20, sum.panics, sum.codes)
}

// mutantReport is what came of some mutants.
type mutantReport struct {
	files, panics int
	slowest       time.Duration
	peak          int64
	codes         map[string]int
}

func (r *mutantReport) add(o mutantReport) {
	r.files, r.panics = r.files+o.files, r.panics+o.panics
	r.slowest, r.peak = max(r.slowest, o.slowest), max(r.peak, o.peak)
	for code, n := range o.codes {
		r.codes[code] += n
	}
}

// runMutants starts a process of mutants and listens to it. A process that falls
// silent for the time a file may take is killed, and the file named.
func runMutants(t *testing.T, job errandOfMutants) mutantReport {
	r := mutantReport{codes: map[string]int{}}
	order, err := json.Marshal(job)
	if err != nil {
		t.Error(err)
		return r
	}
	cmd := exec.CommandContext(t.Context(), self(t), "mutants", string(order))
	cmd.Env = []string{}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return r
	}
	watchdog := time.AfterFunc(mutantTime, func() { _ = cmd.Process.Kill() })
	next := job.From
	for lines := bufio.NewScanner(out); lines.Scan(); next += job.Step {
		watchdog.Reset(mutantTime)
		r.note(t, lines.Text())
	}
	watchdog.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("mutant %d ended the decoder's process: %v\n%.2000s", next, err, complaint.String())
	}
	return r
}

// note takes a process's word on one file: index, code, time, panic.
func (r *mutantReport) note(t *testing.T, line string) {
	var index, panicked int
	var code string
	var took time.Duration
	if _, err := fmt.Sscanf(line, "%d %q %d %d %d", &index, &code, &took, &panicked, &r.peak); err != nil {
		t.Errorf("a process of mutants says %q: %v", line, err)
		return
	}
	if code != "" && !decode.Known(code) {
		t.Errorf("mutant %d is refused with %q, which has no sentence", index, code)
	}
	r.files++
	r.panics += panicked
	r.slowest = max(r.slowest, took)
	r.codes[code]++
}

// mutants is the main function of a process of mutants. The seeds are read before
// it gives up its files.
func mutants(arg string) {
	var job errandOfMutants
	must(json.Unmarshal([]byte(arg), &job))
	of := mutantSeeds(job.Corpus)
	limits := mutantLimits()
	limits.MaxMemory, limits.MaxCPU = mutantMemory, 24*time.Hour
	order, err := json.Marshal(struct {
		Limits decode.Limits `json:"limits"`
	}{limits})
	must(err)
	must(decode.Enclose(string(order)))
	must(decode.Seal())
	for i := job.From; i < job.To; i += job.Step {
		body := mutant(of, uint64(i))
		began := time.Now()
		code, panicked := decode.Verdict(body, mutantLimits())
		died := 0
		if panicked {
			died = 1
		}
		fmt.Printf("%d %q %d %d %d\n", i, code, time.Since(began), died, resident())
	}
}

// mutantLimits are the product's own.
func mutantLimits() decode.Limits { return decode.Limits{MaxDuration: 12 * time.Hour} }

// resident is the most memory this process had in RAM, in bytes.
func resident() int64 {
	var u syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Maxrss << 10
}

func self(t testing.TB) string {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRealChildrenJudgeMutantsAlike gives some of the same mutants to children of
// their own, one each: what the many-file processes say is what a child says.
func TestRealChildrenJudgeMutantsAlike(t *testing.T) {
	t.Parallel()
	of, n := mutantSeeds(""), 60
	if testing.Short() {
		n = 12
	}
	for i := range n {
		body := mutant(of, uint64(i))
		want, _ := decode.Verdict(body, mutantLimits())
		r := decodeAll(t, decode.Config{FFmpeg: "-", Limits: mutantLimits()}, masterFile(t, body))
		if len(body) > 0 && r.code() != want {
			t.Errorf("mutant %d: a child says %q (%v), the swarm %q", i, r.code(), r.err, want)
		}
	}
}

// TestMutantsNeverHarmAChildWithAConverter lets ffmpeg, in its child, read mutants
// of formats that only it knows, and of such that are sent on to it.
func TestMutantsNeverHarmAChildWithAConverter(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	of, n := seeds{own: [][]byte{fixtures.Media(fixtures.Opus), fixtures.Media(fixtures.ALAC)}}, 40
	if testing.Short() {
		n = 6
	}
	for i := range n {
		r := decodeAll(t, decode.Config{Limits: mutantLimits()}, masterFile(t, mutant(of, uint64(i))))
		if _, refused := melodyud.AsRefusal(r.err); r.err != nil && !refused {
			t.Errorf("mutant %d: %v", i, r.err)
		}
	}
}

// mutantSeeds are files of every kind we decode, and, from the corpus, those small
// enough to mutate by the thousand.
func mutantSeeds(corpus string) seeds {
	all := seeds{own: ownSeeds()}
	if corpus == "" {
		return all
	}
	for _, dir := range []string{"tags", "edge", "wav-odd", "flac-real", "mp3-iso", "mp3-real", "hostile/00-control", "hostile/05-mp3", "hostile/07-mp4-ogg"} {
		entries, err := os.ReadDir(filepath.Join(corpus, dir))
		must(err)
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(corpus, dir, e.Name()))
			must(err)
			if len(b) <= 64<<10 && !strings.HasSuffix(e.Name(), ".pcm") {
				all.corpus = append(all.corpus, b)
			}
		}
	}
	return all
}

// seeds are what mutants are made of. The corpus, which is slower to decode, is
// taken for every fourth.
type seeds struct{ own, corpus [][]byte }

func (s seeds) pick(r *rand.Rand) []byte {
	from := s.own
	if len(s.corpus) > 0 && r.IntN(4) == 0 {
		from = s.corpus
	}
	return from[r.IntN(len(from))]
}

// ownSeeds are made here, the same on every machine.
func ownSeeds() (all [][]byte) {
	wave := fixtures.Sines(440)
	info := fixtures.Chunk{ID: "LIST", Body: []byte("INFOINAM\x05\x00\x00\x00Song\x00\x00")}
	for _, s := range []fixtures.Spec{
		{Samples: 3000, Wave: wave, Chunks: []fixtures.Chunk{info, {ID: "junk", Body: []byte("odd")}}},
		{Samples: 1000, Wave: wave, RF64: true, Encoding: fixtures.S24}, {Samples: 1000, Wave: wave, Channels: 6, Encoding: fixtures.Float32, ValidBits: 32},
		{Samples: 2000, Wave: wave, Chunks: []fixtures.Chunk{{ID: "id3 ", Body: taggedWithCover()}}},
	} {
		all = append(all, written(fixtures.WAV, s))
	}
	all = append(all, written(fixtures.AIFF, fixtures.Spec{Samples: 2000, Wave: wave}), written(fixtures.AIFFSowt, fixtures.Spec{Samples: 2000, Wave: wave}))
	for _, s := range []fixtures.Spec{{Samples: 6000, Wave: wave}, {Samples: 5000, Wave: wave, Channels: 1, Encoding: fixtures.S24}} {
		flac := written(fixtures.FLAC, s)
		all = append(all, flac, append(taggedWithCover(), flac...))
	}
	for _, name := range []string{fixtures.MP3, fixtures.OggVorbis, fixtures.AAC, fixtures.ALAC, fixtures.Opus} {
		all = append(all, fixtures.Media(name))
	}
	for _, o := range fixtures.OddFiles() {
		all = append(all, o.Body)
	}
	return append(all, append(taggedWithCover(), fixtures.Media(fixtures.MP3)...))
}

func written(write func(io.Writer, fixtures.Spec) error, s fixtures.Spec) []byte {
	var b bytes.Buffer
	must(write(&b, s))
	return b.Bytes()
}

// taggedWithCover is an ID3 tag of every sort of frame, with covers.
func taggedWithCover() []byte {
	var frames []byte
	frame := func(id string, body []byte) {
		frames = append(binary.BigEndian.AppendUint32(append(frames, id...), uint32(len(body))), 0, 0)
		frames = append(frames, body...)
	}
	picture := image.NewNRGBA(image.Rect(0, 0, 24, 16))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * 7)
	}
	picture.Set(3, 3, color.NRGBA{})
	var asPNG, asJPEG bytes.Buffer
	must(png.Encode(&asPNG, picture))
	must(jpeg.Encode(&asJPEG, picture, nil))
	frame("TIT2", []byte("\x01\xff\xfeS\x00o\x00n\x00g\x00"))
	frame("TPE1", []byte("\x00Caf\xe9"))
	frame("TRCK", []byte("\x003/12"))
	frame("COMM", []byte("\x00engiTunSMPB\x00 00000000 00000210 000007A4 0000000000A1B2C4"))
	frame("APIC", append([]byte("\x00image/jpeg\x00\x00\x00"), asJPEG.Bytes()...))
	frame("APIC", append([]byte("\x00image/png\x00\x03\x00"), asPNG.Bytes()...))
	n := len(frames)
	return append([]byte{'I', 'D', '3', 3, 0, 0, byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}, frames...)
}

// mutant is the file of that number: always the same for the same seeds.
func mutant(of seeds, number uint64) []byte {
	r := rand.New(rand.NewPCG(0x6d656c6f6479, number))
	b := bytes.Clone(of.pick(r))
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		b = mutate(r, b, of)
	}
	return b
}

func mutate(r *rand.Rand, b []byte, of seeds) []byte {
	at := r.IntN(len(b))
	if r.IntN(2) == 0 {
		at = r.IntN(min(len(b), 512)) // where headers are
	}
	end := min(len(b), at+1+r.IntN(1+min(len(b), 1<<r.IntN(14))))
	switch r.IntN(8) {
	case 0: // bits
		for range 1 + r.IntN(16) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
	case 1: // a byte of a header
		b[at] = byte(r.Uint32())
	case 2: // noise
		for i := at; i < end; i++ {
			b[i] = byte(r.Uint32())
		}
	case 3: // cut
		return b[:at]
	case 4: // a hole
		return append(b[:at], b[end:]...)
	case 5: // twice
		return append(b[:end:end], b[at:]...)
	case 6: // part of another file
		other := of.pick(r)
		if len(other) > 0 {
			from := r.IntN(len(other))
			return append(append(b[:at:at], other[from:min(len(other), from+end-at)]...), b[at:]...)
		}
	default:
		lie(r, b, at)
	}
	return b
}

// lie writes a wrong size beside the next four letters from at on: behind them as
// in RIFF, IFF and ID3, or in front as in MP4.
func lie(r *rand.Rand, b []byte, at int) {
	for ; at+8 <= len(b); at++ {
		if !letters(b[at:]) {
			continue
		}
		place := b[at+4:]
		if at >= 4 && r.IntN(2) == 0 {
			place = b[at-4:]
		}
		was := binary.LittleEndian.Uint32(place)
		sizes := []uint32{0, 1, was + 1, was - 1, was * 2, was / 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFF00, r.Uint32()}
		size := sizes[r.IntN(len(sizes))]
		if r.IntN(2) == 0 {
			binary.LittleEndian.PutUint32(place, size)
		} else {
			binary.BigEndian.PutUint32(place, size)
		}
		return
	}
}

func letters(b []byte) bool {
	for _, c := range b[:4] {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
