package decode_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
)

func TestOddFilesGetTheirRefusal(t *testing.T) {
	t.Parallel()
	for _, o := range fixtures.OddFiles() {
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, o.Body))
			if r.code() != o.Code {
				t.Errorf("got %q (%v), want %q", r.code(), r.err, o.Code)
			}
		})
	}
}

func TestEveryRefusalIsASentenceForPeople(t *testing.T) {
	t.Parallel()
	for _, r := range decode.Reasons {
		if r.Kind == nil || !strings.HasSuffix(r.Text, ".") || strings.ToLower(r.Code) != r.Code || !strings.Contains(r.Code, ".") {
			t.Errorf("%+v", r)
		}
	}
	limits := decode.Limits{MinDuration: 30 * time.Second}
	r := decodeAll(t, decode.Config{FFmpeg: "-", Limits: limits}, masterFile(t, bytesOf(t, fixtures.WAV, fixtures.Spec{Samples: 44100})))
	refusal, ok := melodyud.AsRefusal(r.err)
	if !ok || refusal.Code != "audio.too-short" || !strings.Contains(refusal.Text, "30 seconds") {
		t.Errorf("got %v", r.err)
	}
}

func TestAIFFOfEveryKindDecodesExactly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		encoding fixtures.Encoding
		depth    int
		sowt     bool
	}{
		"8 bit": {fixtures.S8, 8, false}, "16 bit": {fixtures.S16, 16, false}, "24 bit": {fixtures.S24, 24, false},
		"32 bit": {fixtures.S32, 32, false}, "fl32": {fixtures.Float32, 0, false}, "fl64": {fixtures.Float64, 0, false},
		"sowt": {fixtures.S16, 16, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withDefaults(fixtures.Spec{Encoding: tc.encoding, Chunks: []fixtures.Chunk{{ID: "NAME", Body: []byte("Song")}}})
			write := fixtures.AIFF
			if tc.sowt {
				write = fixtures.AIFFSowt
			}
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, bytesOf(t, write, s)))
			checkExact(t, r, s, tc.depth)
			if r.facts.Tags.Title != "Song" {
				t.Errorf("title %q", r.facts.Tags.Title)
			}
		})
	}
}

// TestLossyFilesKeepLengthAndPlace: MP3-1, GAP-2 and granule positions give back
// as many samples as were coded, at lag 0, labelled.
func TestLossyFilesKeepLengthAndPlace(t *testing.T) {
	t.Parallel()
	want := fixtures.Planar(fixtures.Music(), fixtures.MediaRate, 2, fixtures.MediaSamples)
	for _, name := range []string{fixtures.MP3, fixtures.OggVorbis, fixtures.AAC} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, fixtures.Media(name)))
			if r.err != nil {
				t.Fatal(r.err)
			}
			if r.facts.Samples != fixtures.MediaSamples || !r.facts.Source.Gapless {
				t.Errorf("%d samples, gapless %v", r.facts.Samples, r.facts.Source.Gapless)
			}
			for c := range want {
				if db := signalToNoise(want[c], r.planes[c]); db < 12 {
					t.Errorf("channel %d is %.1f dB above its difference: shifted, swapped or wrong", c, db)
				}
			}
			if r.facts.Tags != (melodyud.Tags{Title: "Four Chords", Artist: "MelodyUD", Album: "Fixtures"}) {
				t.Errorf("tags %+v", r.facts.Tags)
			}
		})
	}
}

func signalToNoise(want []float64, got []float32) float64 {
	var signal, noise float64
	for i, v := range want {
		signal += v * v
		noise += (float64(got[i]) - v) * (float64(got[i]) - v)
	}
	return 10 * math.Log10(signal/noise)
}

// TestChunksOfOddLengthAreFoundWithAndWithoutTheirPad: RIFF pads them, some writers
// do not.
func TestChunksOfOddLengthAreFoundWithAndWithoutTheirPad(t *testing.T) {
	t.Parallel()
	odd := fixtures.Chunk{ID: "LIST", Body: []byte("INFOINAM\x05\x00\x00\x00Song\x00")}
	for name, tc := range map[string]struct {
		write func(io.Writer, fixtures.Spec) error
		chunk fixtures.Chunk
	}{
		"wav": {fixtures.WAV, odd}, "aiff": {fixtures.AIFF, fixtures.Chunk{ID: "NAME", Body: []byte("Songs")}},
	} {
		s := withDefaults(fixtures.Spec{Encoding: fixtures.S16, Chunks: []fixtures.Chunk{tc.chunk}})
		padded := bytesOf(t, tc.write, s)
		at := bytes.Index(padded, tc.chunk.Body) + len(tc.chunk.Body)
		for how, body := range map[string][]byte{"padded": padded, "not padded": append(padded[:at:at], padded[at+1:]...)} {
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, body))
			if r.err != nil || r.facts.Samples != int64(s.Samples) || !strings.HasPrefix(r.facts.Tags.Title, "Song") {
				t.Errorf("%s, %s: %d samples, %+v, %v", name, how, r.facts.Samples, r.facts.Tags, r.err)
			}
		}
	}
}

// TestMP3sGluedTogetherAreRefused, whatever lies between them: the second part
// would be lost or play at the wrong speed.
func TestMP3sGluedTogetherAreRefused(t *testing.T) {
	t.Parallel()
	other := bytes.Repeat(append([]byte{0xFF, 0xF3, 0x80, 0xC0}, make([]byte, 204)...), 12) // MPEG-2, 22.05 kHz, mono
	for name, between := range map[string][]byte{"nothing": nil, "tags": taggedWithCover(), "junk": bytes.Repeat([]byte("junk "), 1000)} {
		body := slices.Concat(fixtures.Media(fixtures.MP3), between, other)
		if r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, body)); r.code() != "audio.changes-format" {
			t.Errorf("%s between: %q %v", name, r.code(), r.err)
		}
		same := slices.Concat(fixtures.Media(fixtures.MP3), between, fixtures.Media(fixtures.MP3))
		if r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, same)); r.err != nil {
			t.Errorf("%s between alike: %v", name, r.err)
		}
	}
}

// TestAnMP3ThatEndsInsideOfAFrameIsTakenWithAWarning: without a Xing header nobody
// knows how much is missing.
func TestAnMP3ThatEndsInsideOfAFrameIsTakenWithAWarning(t *testing.T) {
	t.Parallel()
	frame := append([]byte{0xFF, 0xFB, 0x90, 0xC4}, make([]byte, 413)...) // 128 kbit/s, 44.1 kHz, mono, silent
	whole := bytes.Repeat(frame, 20)
	for _, cut := range []int{0, 1, 300} {
		r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, whole[:len(whole)-cut]))
		warned, lost := len(r.facts.Warnings) == 1, (cut+416)/417
		if r.err != nil || warned != (cut > 0) || r.facts.Samples != int64(1152*(20-lost)) {
			t.Errorf("%d bytes short: %d samples, %q, %v", cut, r.facts.Samples, r.facts.Warnings, r.err)
		}
	}
}

// TestLongSilenceInAFewBytesIsJudgedByItsDuration: by what the header says at once,
// by what comes out where the header says nothing, and in little memory.
func TestLongSilenceInAFewBytesIsJudgedByItsDuration(t *testing.T) {
	t.Parallel()
	const seconds = 240
	told := written(fixtures.FLAC, fixtures.Spec{Rate: 8000, Channels: 1, Samples: seconds * 8000, Wave: fixtures.Silence})
	untold := bytes.Clone(told)
	untold[21] &= 0xF0 // the number of samples in STREAMINFO: 36 bits
	clear(untold[22:26])
	for name, body := range map[string][]byte{"told": told, "not told": untold} {
		for most, want := range map[time.Duration]string{seconds * time.Second: "", (seconds - 1) * time.Second: "audio.too-long"} {
			s, err := decode.Start(t.Context(), decode.Config{FFmpeg: "-", Limits: decode.Limits{MaxDuration: most}}, masterFile(t, body))
			for err == nil {
				_, err = s.Read()
			}
			if err == io.EOF {
				err = nil
			}
			if code := (result{err: err}).code(); code != want {
				t.Errorf("%s, at most %s: %q, want %q", name, most, code, want)
			}
			if s == nil {
				continue
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, memory := s.Cost(); memory > 128<<20 {
				t.Errorf("%s: %d bytes took %d MiB", name, len(body), memory>>20)
			}
		}
	}
}

func TestADescriptionOfABroadcastWaveIsATitleIfThereIsNone(t *testing.T) {
	t.Parallel()
	bext := fixtures.Chunk{ID: "bext", Body: append([]byte("Morning take"), make([]byte, 602-12)...)}
	info := fixtures.Chunk{ID: "LIST", Body: []byte("INFOINAM\x05\x00\x00\x00Song\x00\x00")}
	for want, chunks := range map[string][]fixtures.Chunk{"Morning take": {bext}, "Song": {bext, info}} {
		r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, bytesOf(t, fixtures.WAV, fixtures.Spec{Samples: 100, Chunks: chunks})))
		if r.err != nil || r.facts.Tags.Title != want {
			t.Errorf("title %q, want %q, %v", r.facts.Tags.Title, want, r.err)
		}
	}
}

// withCover is a WAV whose ID3 tag has the picture.
func withCover(t *testing.T, picture []byte) []byte {
	t.Helper()
	body := append([]byte("\x00image/png\x00\x03\x00"), picture...)
	tag := append(binary.BigEndian.AppendUint32([]byte("APIC"), uint32(len(body))), 0, 0)
	tag = append(tag, body...)
	head := []byte{'I', 'D', '3', 3, 0, 0, byte(len(tag) >> 21 & 127), byte(len(tag) >> 14 & 127), byte(len(tag) >> 7 & 127), byte(len(tag) & 127)}
	return bytesOf(t, fixtures.WAV, fixtures.Spec{Samples: 44100, Chunks: []fixtures.Chunk{{ID: "id3 ", Body: append(head, tag...)}}})
}

func TestACoverComesOutOfTheChildMadeAnew(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 1300, 650))); err != nil {
		t.Fatal(err)
	}
	r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, withCover(t, picture.Bytes())))
	if r.err != nil || len(r.facts.Warnings) > 0 {
		t.Fatalf("%v %q", r.err, r.facts.Warnings)
	}
	for i, size := range decode.CoverSizes {
		c, err := jpeg.DecodeConfig(bytes.NewReader(r.facts.Cover[i]))
		if err != nil || c.Width != size || c.Height != size/2 {
			t.Errorf("size %d: %+v %v", size, c, err)
		}
	}
}

func TestACoverThatIsNoneCostsNoMoreThanItself(t *testing.T) {
	t.Parallel()
	bomb := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x06\x00\x00\x00\x05\xa1\xcf\xa7"
	for _, picture := range []string{bomb, "\xff\xd8\xff\xe0 nothing else"} {
		r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, withCover(t, []byte(picture))))
		if r.err != nil || !r.facts.Cover.None() || len(r.facts.Warnings) != 1 || r.facts.Samples != 44100 {
			t.Errorf("%q: %v, %d samples, warnings %q", picture, r.err, r.facts.Samples, r.facts.Warnings)
		}
	}
}

func TestOtherFormatsNeedTheConverter(t *testing.T) {
	t.Parallel()
	for name, samples := range map[string]int64{fixtures.ALAC: fixtures.MediaRate / 2, fixtures.Opus: 2 * 48000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := fixtures.Media(name)
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, master))
			refusal, _ := melodyud.AsRefusal(r.err)
			if r.code() != "audio.needs-converter" || !strings.Contains(refusal.Text, "FLAC") {
				t.Errorf("without converter: %v", r.err)
			}
			if _, err := exec.LookPath("ffmpeg"); err != nil {
				t.Skip("ffmpeg is not installed")
			}
			r = decodeAll(t, decode.Config{}, masterFile(t, master))
			if r.err != nil || r.facts.Samples != samples || r.facts.Tags.Title != "Four Chords" {
				t.Errorf("%d samples, %+v, %v", r.facts.Samples, r.facts.Tags, r.err)
			}
		})
	}
}

func TestACutFileIsNeverTakenForAWholeOne(t *testing.T) {
	t.Parallel()
	var flac []byte
	f, err := os.Create(t.TempDir() + "/x.flac")
	if err == nil {
		err = fixtures.FLAC(f, fixtures.Spec{Samples: 44100})
	}
	if err == nil {
		flac, err = os.ReadFile(f.Name())
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"wav": bytesOf(t, fixtures.WAV, fixtures.Spec{Samples: 44100}), "aiff": bytesOf(t, fixtures.AIFF, fixtures.Spec{Samples: 44100}),
		"flac": flac, "mp3": fixtures.Media(fixtures.MP3), "ogg": fixtures.Media(fixtures.OggVorbis), "m4a": fixtures.Media(fixtures.AAC),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, keep := range []float64{0.05, 0.3, 0.7, 0.95} {
				r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, fixtures.Truncate(body, keep)))
				if r.code() != "audio.truncated" {
					t.Errorf("%g of the file: %q (%v)", keep, r.code(), r.err)
				}
			}
		})
	}
}
